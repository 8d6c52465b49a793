"""Check that a data set fits into this machine's memory."""

from __future__ import annotations

import os
from pathlib import Path

from resnet_space.errors import InputError

MAX_SHARE = 0.5
"""The fraction of the available memory that a data set can use: networks and their activations need the rest."""


def available_bytes() -> int:
    """Return the bytes that this process can still use: the kernel's MemAvailable, or less in a small container."""
    candidates = []
    try:
        for line in Path("/proc/meminfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("MemAvailable:"):
                candidates.append(int(line.split()[1]) * 1024)
        group = Path("/sys/fs/cgroup")
        candidates.append(
            int((group / "memory.max").read_text(encoding="utf-8"))
            - int((group / "memory.current").read_text(encoding="utf-8"))
        )
    except (OSError, ValueError):
        pass  # not Linux, or no limit ("max")
    return max(0, min(candidates)) if candidates else os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def check_fit(name: str, images: int, shape: tuple[int, ...], itemsize: int, available: int, smaller: str) -> None:
    """Check that `images` of `shape` (C, H, W) take at most half of `available` bytes.

    Raises:
        InputError: they take more: both numbers, and the advice `smaller`.
    """
    needed = images * itemsize
    for side in shape:
        needed *= side
    if needed > MAX_SHARE * available:
        size = "x".join(map(str, shape))
        raise InputError(
            f"data set {name!r} takes {_gigabytes(needed)} of memory ({images:,} images of {size}), "
            f"and at most half of the {_gigabytes(available)} available is used; {smaller}"
        )


def _gigabytes(count: int) -> str:
    return f"{count / 1e9:,.1f} GB"
