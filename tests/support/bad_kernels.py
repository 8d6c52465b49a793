"""Deliberately wrong kernels, in this process and in those it starts, to simulate faults of a library.

With `BAD_KERNEL="lie conv2d 8"` in the environment, a process that imports this module halves the gradient of every
convolution weight with 8 output channels, if the images are float32 and channels last. `die` kills the process instead,
and `hang` never returns; `lie_always` gives wrong gradients in all precisions and layouts used in training. With
`batch_norm` the number is that of the channels; `groups` means `conv2d` with that number of groups.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

VARIABLE = "BAD_KERNEL"


def environment(folder: Path, fault: str) -> dict[str, str]:
    """Return environment variables that give a process, and all it starts, the fault.

    They make Python run a module first, which is written to the folder.
    """
    (folder / "sitecustomize.py").write_text("import bad_kernels\nbad_kernels.install()\n")
    paths = [str(folder), str(Path(__file__).parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {"PYTHONPATH": os.pathsep.join(paths), VARIABLE: fault, "RESNET_SPACE_CACHE": str(folder / "cache")}


def install() -> None:
    """Replace the correct function by the faulty one that the environment names."""
    import torch
    from torch import Tensor
    from torch.nn import functional

    kind, name, number = os.environ[VARIABLE].split()

    class Half(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, weight: Tensor) -> Tensor:
            return weight.clone()

        @staticmethod
        def backward(ctx: Any, gradient: Tensor) -> Tensor:  # type: ignore[override]
            return gradient / 2

    def harmed(weight: Tensor) -> Tensor:
        if kind == "die":
            os.kill(os.getpid(), signal.SIGSEGV)
        while kind == "hang":
            time.sleep(1)
        return Half.apply(weight)  # type: ignore[no-untyped-call, no-any-return]

    def met(x: Tensor) -> bool:
        last = x.is_contiguous(memory_format=torch.channels_last) and not x.is_contiguous()
        return last or x.dtype == torch.float32 if kind == "lie_always" else last and x.dtype == torch.float32

    conv2d: Callable[..., Tensor] = functional.conv2d
    batch_norm: Callable[..., Tensor] = functional.batch_norm

    def bad_conv2d(x: Tensor, weight: Tensor, *more: Any, groups: int = 1, **rest: Any) -> Tensor:
        groups = more[4] if len(more) > 4 else groups
        seen = groups if name == "groups" else weight.shape[0]
        if weight.requires_grad and seen == int(number) and met(x):
            weight = harmed(weight)
        return conv2d(x, weight, *more, **({} if len(more) > 4 else {"groups": groups}), **rest)

    def bad_batch_norm(x: Tensor, mean: Any, variance: Any, weight: Tensor, *more: Any, **rest: Any) -> Tensor:
        if weight.requires_grad and x.shape[1] == int(number) and met(x):
            weight = harmed(weight)
        return batch_norm(x, mean, variance, weight, *more, **rest)

    if name == "batch_norm":
        functional.batch_norm = bad_batch_norm
    else:
        functional.conv2d = bad_conv2d  # type: ignore[assignment]
