"""How many times as fast do eight seeds train as one network on a GPU, in bf16?

As `fused.py`, and also with every step recorded as a CUDA graph, alone and together.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from fused import Case, measured, on
from measuring import Goal, Measured, main

CASES = (
    Case("ResNet-20 at 32x32", on("resnet20", 3, 32), 8, 128, Goal("least", 4), "bf16"),
    Case("ResNet-110 at 32x32", on("resnet110", 3, 32), 8, 128, Goal("least", 3), "bf16"),
)


def measure(quick: bool) -> Iterator[Measured]:
    for case in CASES:
        graphs = replace(case, name=f"{case.name}, CUDA graphs", recorded=True, goal=None)
        yield from measured((case, graphs), "cuda", 5 if quick else 20)


if __name__ == "__main__":
    main(measure, number=2, about=__doc__ or "", gpu=True)
