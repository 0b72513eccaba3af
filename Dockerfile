# An image of `bertblocks serve`, without CUDA. It was written where images cannot be built, and has not been built yet.
#
#     docker build --tag bertblocks .
#     docker run --read-only --tmpfs /tmp --volume "$PWD/my-model:/model:ro" --env BERTBLOCKS_TOKENS=a-long-token \
#         --publish 8080:8080 bertblocks

FROM python:3.11-slim AS build
# The kernels are compiled when bertblocks is installed; the compiler stays in this stage.
RUN apt-get update && apt-get install --yes --no-install-recommends gcc libc6-dev libgomp1
RUN python -m venv /opt/bertblocks
ENV PATH=/opt/bertblocks/bin:$PATH PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
# On Linux this alone brings several gigabytes for NVIDIA's GPUs. Give pip the index of PyTorch's CPU builds here, or a
# wheel that you have: what is installed already is not fetched again below.
ARG TORCH=torch==2.13.0
RUN pip install "$TORCH"
COPY . /src
RUN pip install --constraint /src/constraints.txt '/src[serve]'

FROM python:3.11-slim
RUN apt-get update && apt-get install --yes --no-install-recommends libgomp1 && rm -rf /var/lib/apt/lists/* \
    && useradd --system --create-home bertblocks
COPY --from=build /opt/bertblocks /opt/bertblocks
ENV PATH=/opt/bertblocks/bin:$PATH PYTHONUNBUFFERED=1 HF_HUB_OFFLINE=1
USER bertblocks
EXPOSE 8080
HEALTHCHECK --start-period=120s --interval=10s --timeout=5s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8080/health', timeout=4)"]
# Inside a container "everybody" is who the ports are published to. Without BERTBLOCKS_TOKENS a warning says so.
ENTRYPOINT ["bertblocks", "serve", "/model", "--host", "0.0.0.0", "--port", "8080"]
STOPSIGNAL SIGTERM
