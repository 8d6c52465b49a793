"""The GPU that this process trains on: whether torch can use it, its settings, free memory and bf16."""

from __future__ import annotations

import warnings
from functools import cache

import torch

from search.data import Split
from search.trials.recipe import Recipe
from search.trials.resources import Resources

MAX_SPLIT_FRACTION = 0.5
"""A split is copied to the GPU only if it takes at most this fraction of the free memory: a step needs memory too."""


def prepare(resources: Resources) -> None:
    """Set up this process for a job on its GPU. Do nothing on a CPU.

    A job with a fraction of a GPU gets that fraction of its memory. If it needs more, it runs out of memory, and the
    other jobs on the GPU do not.
    """
    if resources.device != "cuda" or not torch.cuda.is_available():
        return
    choose_kernels()
    torch.cuda.set_per_process_memory_fraction(float(min(resources.gpus, 1)))


def choose_kernels() -> None:
    """Set how CUDA's libraries choose kernels: cuDNN measures for each shape which of its kernels is the fastest.

    float32 in a recipe means torch's defaults: TF32 in convolutions (inputs with 10 bits of mantissa, sums in float32),
    and float32 in matrix products. They are set here in case this process had others. These are torch's newer settings;
    with the default values they agree with the older ones, which torch's compiler reads in some versions.
    """
    torch.backends.cudnn.benchmark = True
    torch.backends.cudnn.conv.fp32_precision = "tf32"  # type: ignore[attr-defined]
    torch.backends.cuda.matmul.fp32_precision = "ieee"


def why_unusable() -> str:
    """Return in one line why torch cannot use any GPU here, for example that the driver is too old; "" if it can."""
    with warnings.catch_warnings():
        # torch gives the same reason as a warning, too.
        warnings.simplefilter("ignore")
        if torch.cuda.is_available():
            return ""
        try:
            torch.cuda.init()  # type: ignore[no-untyped-call]
        except (RuntimeError, AssertionError) as error:
            return next(iter(str(error).splitlines()), type(error).__name__)
    return "it sees none"


def free_bytes(device: str) -> int:
    """Return how many bytes this process can still allocate on a GPU, including cached memory that it does not use."""
    # By index: not all of these functions take a device name without one.
    index = torch.device(device).index
    number = torch.cuda.current_device() if index is None else index
    free, total = torch.cuda.mem_get_info(number)
    used = torch.cuda.memory_allocated(number)
    own = total * torch.cuda.get_per_process_memory_fraction(number) - used
    return int(min(free + torch.cuda.memory_reserved(number) - used, own))


def on_device(split: Split, device: str) -> Split:
    """Return the split on the device, or as it is if the GPU has no space: batches are then gathered on the host."""
    if not device.startswith("cuda") or split.nbytes > MAX_SPLIT_FRACTION * free_bytes(device):
        return split
    return split.to(device)


def uses_bf16(recipe: Recipe, device: str) -> bool:
    """Return whether a trial computes in bf16: its recipe asks for it, and the device is a GPU that supports it."""
    return recipe.autocast == "bf16" and device.startswith("cuda") and has_bf16()


@cache
def has_bf16() -> bool:
    """Return whether the GPU supports bf16. True if this process sees no GPU, as on a driver without one."""
    return not torch.cuda.is_available() or torch.cuda.is_bf16_supported(including_emulation=False)
