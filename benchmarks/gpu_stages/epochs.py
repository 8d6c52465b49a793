"""The seconds of an epoch: `epochs_gpu.py` for one network; for the smallest also with cuDNN's measured kernels."""

from __future__ import annotations

from collections.abc import Iterator

import epochs_gpu
import torch
from measuring import Measured
from sizes import Size

from gpu_stages.record import Failure


def _of(net: str, size: Size, *, by_search: bool = False) -> Iterator[Measured | Failure]:
    [case] = [case for case in epochs_gpu.CASES if case.net == net]
    failures: list[Failure] = []

    def failed(name: str, why: Exception) -> None:
        failures.append(Failure.of(name, why))

    yield from epochs_gpu.measured(case, size, failed)
    if size.device == "cuda":
        # Read before cuDNN tries other kernels, which can take more memory.
        mebibytes = torch.cuda.max_memory_reserved() / 2**20
        yield Measured(f"{net}, memory reserved at the most", None, mebibytes, mebibytes, mebibytes, "MiB")
    if by_search:
        yield from epochs_gpu.by_search(case, size, failed)
    yield from failures


def resnet20(size: Size) -> Iterator[Measured | Failure]:
    yield from _of("resnet20", size, by_search=True)


def resnet110(size: Size) -> Iterator[Measured | Failure]:
    yield from _of("resnet110", size)


def preresnet1001(size: Size) -> Iterator[Measured | Failure]:
    yield from _of("preresnet1001", size)
