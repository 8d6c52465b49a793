"""A lack of memory: how it is told from other errors, and what is said of it."""

from __future__ import annotations

import errno
import re

WORDS = re.compile(
    r"out of memory|can't allocate memory|not enough memory|running low on memory|NODE_OUT_OF_MEMORY"
    r"|ALLOC_FAILED|bad_alloc"
)
"""Of CUDA and cuBLAS, of torch on a CPU on Linux and on Windows, of Ray's memory monitor, of C++."""

TRIED = re.compile(r"[Tt]ried to allocate [\d.]+ \w+")

HELPS = "resources.recompute, a smaller recipe.batch_size or fewer trials side by side need less"


def out_of_memory(error: BaseException) -> bool:
    """Whether it is for want of memory, on the CPU or the GPU."""
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    import torch

    # On a CPU torch has no class for it, only words.
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or (
        isinstance(error, RuntimeError) and bool(WORDS.search(str(error)))
    )


def reason(text: str) -> str:
    """Why a trial failed, in a line without what differs between two like it, such as process numbers."""
    tried = TRIED.search(text)
    first = next(iter(text.splitlines()), "")
    what = (tried.group() if tried else first) or "an allocation failed"
    return f"out of memory: {what[0].lower()}{what[1:]}; {HELPS}"
