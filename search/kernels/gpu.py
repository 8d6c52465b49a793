"""The GPU that this process trains on: whether torch can use it, its settings, its room, and whether it has bf16."""

from __future__ import annotations

import warnings
from functools import cache

import torch

from search.data import Split
from search.trials.recipe import Recipe
from search.trials.resources import Resources

PART = 0.5
"""Of the memory that is left: a split takes that much at the most, since a step needs room as well."""


def prepare(resources: Resources) -> None:
    """Set this process up for a job on its GPU; nothing on a CPU.

    A job with a fraction of a GPU gets that fraction of its memory: one that needs more runs out of memory, and the
    others do not.
    """
    if resources.device != "cuda" or not torch.cuda.is_available():
        return
    choose_kernels()
    torch.cuda.set_per_process_memory_fraction(float(min(resources.gpus, 1)))


def choose_kernels() -> None:
    """How CUDA's libraries choose kernels: cuDNN measures, for each shape, which of its own is the fastest.

    A recipe of float32 means TF32 in convolutions, whose inputs then have 10 bits of mantissa and whose sums are
    float32, and float32 in matrix products: torch's defaults, also where this process had others. By torch's newer
    settings: where they mean the defaults, they agree with the older ones, which its compiler reads in some versions.
    """
    torch.backends.cudnn.benchmark = True
    torch.backends.cudnn.conv.fp32_precision = "tf32"  # type: ignore[attr-defined]
    torch.backends.cuda.matmul.fp32_precision = "ieee"


def unusable() -> str:
    """Why torch can use no GPU of this machine, in a line, such as a driver that is too old for it; empty if it can."""
    with warnings.catch_warnings():
        # Said once more as a warning.
        warnings.simplefilter("ignore")
        if torch.cuda.is_available():
            return ""
        try:
            torch.cuda.init()  # type: ignore[no-untyped-call]
        except (RuntimeError, AssertionError) as error:
            return next(iter(str(error).splitlines()), type(error).__name__)
    return "it sees none"


def room(device: str) -> int:
    """Bytes that this process may still allocate on a GPU, what it keeps and does not use included."""
    # By its number: not all of these take a name without one.
    index = torch.device(device).index
    number = torch.cuda.current_device() if index is None else index
    free, total = torch.cuda.mem_get_info(number)
    used = torch.cuda.memory_allocated(number)
    own = total * torch.cuda.get_per_process_memory_fraction(number) - used
    return int(min(free + torch.cuda.memory_reserved(number) - used, own))


def near(split: Split, device: str) -> Split:
    """A split on the device that trains; where it is, if a GPU has no room for it: then batches are gathered on the
    host."""
    if not device.startswith("cuda") or split.nbytes > PART * room(device):
        return split
    return split.to(device)


def bf16(recipe: Recipe, device: str) -> bool:
    """Whether a trial computes in bf16: its recipe asks for it, and the device is a GPU that has it."""
    return recipe.autocast == "bf16" and device.startswith("cuda") and has_bf16()


@cache
def has_bf16() -> bool:
    """Whether the GPU computes in bf16. Taken to be so where this process sees no GPU, as a driver may."""
    return not torch.cuda.is_available() or torch.cuda.is_bf16_supported(including_emulation=False)
