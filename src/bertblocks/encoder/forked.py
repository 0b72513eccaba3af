"""Forked processes: one thread there, because the others are not carried over a fork.

A child of os.fork, and of multiprocessing's "fork", would wait without end for the parent's OpenMP threads at
its first parallel product, whichever library multiplies. One that wants more threads begins with "spawn".
"""

from __future__ import annotations

import os

import torch


def _use_one_thread() -> None:
    torch.set_num_threads(1)


# Windows has no fork. A process that never forks is left as it is.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_use_one_thread)
