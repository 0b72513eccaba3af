"""The rows of the tables."""

from __future__ import annotations

from engines.interface import Row

PRECISIONS = ("float32", "bfloat16", "int8")
_NAMES = {"native": "own kernels", "zentorch": "zentorch", "onednn": "oneDNN", "plain": "torch's own"}


def all_rows(kernels: dict[str, list[str]]) -> list[Row]:
    """Every engine in every precision that it has.

    Args:
        kernels: bertblocks' kernels on this machine by precision, the preferred first.
    """
    return [*_transformers(), *_others(), *_ours(kernels)]


def reference_row() -> Row:
    """What the others' vectors are compared with: no padding, float32."""
    return _transformers()[0]


def _transformers() -> list[Row]:
    engine, packages = "transformers.Transformers", ("transformers", "torch")
    compiled = {"compiled_by": "zentorch"}
    return [
        Row(
            name="transformers-single",
            label="transformers, one text at a time, its pipeline's default",
            precision="float32",
            engine=engine,
            options={"precision": "float32", "batch_texts": 1},
            packages=packages,
            workloads=("mixed", "text", "one"),
        ),
        Row(
            name="transformers-batches",
            label="transformers, batches of 32 as they come",
            precision="float32",
            engine=engine,
            options={"precision": "float32", "batch_texts": 32},
            packages=packages,
            workloads=("mixed", "fixed"),
        ),
        *(
            Row(
                name=f"transformers-{precision}",
                label="transformers, sorted",
                precision=precision,
                engine=engine,
                options={"precision": precision},
                packages=packages,
                # One text at a time in float32 is the first row.
                workloads=("mixed", "fixed", "text") + (("one",) if precision == "bfloat16" else ()),
            )
            for precision in ("float32", "bfloat16")
        ),
        *(
            Row(
                name=f"transformers-zentorch-{precision}",
                label="transformers, sorted, compiled by zentorch",
                precision=precision,
                engine=engine,
                options={"precision": precision, **compiled},
                packages=(*packages, "zentorch"),
            )
            for precision in ("float32", "bfloat16")
        ),
    ]


def _others() -> list[Row]:
    rows = []
    for precision, how in (("float32", ""), ("int8", ", dynamic int8")):
        rows.append(
            Row(
                name=f"onnxruntime-{precision}",
                label=f"onnxruntime, sorted{how}",
                precision=precision,
                engine="onnxruntime.OnnxRuntime",
                options={"precision": precision},
                converts=True,
                packages=("onnxruntime",),
            )
        )
    for precision, how in (("float32", ""), ("bfloat16", ""), ("int8", ", static int8 by NNCF")):
        rows.append(
            Row(
                name=f"openvino-{precision}",
                label=f"OpenVINO, sorted{how}",
                precision=precision,
                engine="openvino.OpenVino",
                options={"precision": precision},
                converts=True,
                packages=("openvino", "nncf"),
            )
        )
    for precision, compute_type, how in (
        ("float32", "float32", ""),
        ("int8", "int8_float32", ", dynamic int8"),
        ("int8", "int8_bfloat16", ", dynamic int8, bfloat16 between"),
    ):
        rows.append(
            Row(
                name=f"ctranslate2-{compute_type}",
                label=f"CTranslate2, sorted{how}",
                precision=precision,
                engine="ctranslate2.CTranslate2",
                options={"compute_type": compute_type},
                converts=True,
                packages=("ctranslate2",),
            )
        )
    return rows


def _ours(kernels: dict[str, list[str]]) -> list[Row]:
    """What a user gets without asking; in int8 also every other library that can multiply here."""
    rows = []
    for precision in PRECISIONS:
        preferred, *others = kernels[precision]
        shown = [kernel for kernel in others if kernel != "plain"] if precision == "int8" else []
        for kernel in (preferred, *shown):
            is_default = kernel == preferred
            rows.append(
                Row(
                    name=f"bertblocks-{precision}-{kernel}",
                    label=f"bertblocks ({_NAMES[kernel]})"
                    if is_default
                    else f'bertblocks, kernels="{kernel}"',
                    precision=precision,
                    engine="ours.Ours",
                    options={"precision": precision, "kernels": "auto" if is_default else kernel},
                    packages=("torch", "zentorch") if kernel == "zentorch" else ("torch",),
                )
            )
    return rows
