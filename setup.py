"""The optional compiled part; everything else about the package is in pyproject.toml."""

import platform
import sys

from setuptools import Extension, setup

SOURCES = "src/bertblocks/encoder/native"
CAN_BUILD = sys.platform == "linux" and platform.machine() in ("x86_64", "AMD64")

# Without a C compiler the package is installed all the same, and runs on torch alone.
KERNELS = Extension(
    "bertblocks.encoder.native._kernels",
    sources=[f"{SOURCES}/{name}.c" for name in ("attention", "linear", "module", "norm")],
    depends=[
        f"{SOURCES}/{name}.h"
        for name in ("attention_backward_impl", "attention_impl", "kernels", "random", "simd")
    ],
    extra_compile_args=["-O3", "-g0", "-fopenmp", "-Wall", "-Wextra"],
    extra_link_args=["-fopenmp"],
    py_limited_api=True,
    optional=True,
)

setup(ext_modules=[KERNELS] if CAN_BUILD else [])
