"""The processes of one training run: one a GPU, and those that make batches for it."""

from __future__ import annotations

import os

import torch
from accelerate import PartialState


def processes() -> PartialState:
    """Which process this is, and of how many: of one, unless ``torchrun`` has started it."""
    return PartialState(cpu=not torch.cuda.is_available())


def usual_workers() -> int:
    """How many more processes make batches: none on a CPU, whose cores the network needs."""
    if not torch.cuda.is_available():
        return 0
    return min(4, (os.cpu_count() or 1) // int(os.environ.get("LOCAL_WORLD_SIZE", "1")))
