"""The speed-up of eight seeds as one network: `fused_gpu.py`, and once more with cuDNN's measured kernels."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import torch
from fused import measured
from fused_gpu import PAIRS, both, cases
from measuring import Measured
from sizes import Size

from gpu_stages.record import Failure


def measure(size: Size) -> Iterator[Measured | Failure]:
    pairs = PAIRS if size.device == "cuda" else 1
    for case in cases(size):
        try:
            yield from both(case, size.device, pairs)
        except Exception as error:
            yield Failure.of(case.name, error)
    torch.backends.cudnn.benchmark = True
    first = cases(size)[0]
    name = first.name.replace("kernel by kernel", "graphs against graphs")
    graphs = replace(first, name=f"cudnn.benchmark: {name}", recorded=True, goal=None)
    try:
        yield from measured((graphs,), size.device, pairs)
    except Exception as error:
        yield Failure.of(graphs.name, error)
