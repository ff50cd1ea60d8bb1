"""Whether an error says that memory ended."""

from __future__ import annotations

MARKS = ("out of memory", "can't allocate memory", "not enough memory", "alloc_failed")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ended, on CUDA or on the CPU, where torch has no type for it."""
    import torch

    if isinstance(error, (MemoryError, torch.cuda.OutOfMemoryError)):
        return True
    text = str(error).lower()
    return isinstance(error, RuntimeError) and any(mark in text for mark in MARKS)
