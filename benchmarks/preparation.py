"""What is made before anything is measured; each function runs in a process of its own, which then ends."""

from __future__ import annotations

from pathlib import Path

from workloads import Workload


def encoder_folder(encoder: str | None, cache: Path) -> Path:
    """See weights.encoder_folder."""
    import weights

    return weights.encoder_folder(encoder, cache)


def kernels_here() -> dict[str, list[str]]:
    """See engines.ours.kernels_here."""
    from engines import ours

    return ours.kernels_here()


def workloads(folder: Path, num_mixed: int, num_fixed: int) -> dict[str, Workload]:
    """See texts.make_workloads."""
    import texts

    return texts.make_workloads(folder, num_mixed=num_mixed, num_fixed=num_fixed)
