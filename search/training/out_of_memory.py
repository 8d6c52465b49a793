"""Recognise errors caused by a lack of memory, and describe them."""

from __future__ import annotations

import errno
import re

MESSAGES = re.compile(
    r"out of memory|can't allocate memory|not enough memory|running low on memory|NODE_OUT_OF_MEMORY"
    r"|ALLOC_FAILED|bad_alloc"
)
"""Messages of CUDA and cuBLAS, of torch on a CPU on Linux and Windows, of Ray's memory monitor, and of C++."""

TRIED = re.compile(r"[Tt]ried to allocate [\d.]+ \w+")

ADVICE = "resources.recompute, a smaller recipe.batch_size or fewer trials at the same time need less"


def out_of_memory(error: BaseException) -> bool:
    """Return whether an error was caused by a lack of memory, on the CPU or the GPU."""
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    import torch

    # On a CPU torch has no class for it, only a message.
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or (
        isinstance(error, RuntimeError) and bool(MESSAGES.search(str(error)))
    )


def reason(text: str) -> str:
    """Return in one line why a trial failed, without process numbers and the like, so equal reasons are equal."""
    tried = TRIED.search(text)
    first = next(iter(text.splitlines()), "")
    what = (tried.group() if tried else first) or "an allocation failed"
    return f"out of memory: {what[0].lower()}{what[1:]}; {ADVICE}"
