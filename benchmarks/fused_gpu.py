"""How many times faster do eight seeds train as one network on a GPU, in bf16?

Measured as in `fused.py`: kernel by kernel on both sides, and with a CUDA graph per step on both sides. Graphs remove
the launching from both, so they show whether the fused kernels themselves are faster. The last line of a network
compares fused seeds with graphs to single seeds without.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from fused import Case, measured
from measuring import Goal, Measured, main
from sizes import WHOLE, Size

NETS = {"ResNet-20": ("resnet20", Goal("least", 4)), "ResNet-110": ("resnet110", Goal("least", 3))}
PAIRS = 20


def cases(size: Size) -> list[Case]:
    """Return one case per network, kernel by kernel."""
    return [
        Case(f"{name}, kernel by kernel", size.net(net), size.seeds, size.batch, goal, "bf16")
        for name, (net, goal) in NETS.items()
    ]


def both(case: Case, device: str, pairs: int) -> Iterator[Measured]:
    """Yield three lines: kernel by kernel, graphs against graphs, and fused with graphs over alone without."""
    name, _, _ = case.name.partition(",")
    [eager] = measured((case,), device, pairs)
    yield eager
    graphs = replace(case, name=f"{name}, graphs against graphs", recorded=True, goal=None)
    [recorded] = measured((graphs,), device, pairs)
    yield recorded
    alone, together = eager.details["alone_s"], recorded.details["together_s"]
    value = alone / together
    # The two medians were not measured alternately, so there is no spread.
    details = {"alone_kernel_by_kernel_s": alone, "together_with_graphs_s": together}
    yield Measured(f"{name}, fused with graphs over alone without", None, value, value, value, details=details)


def measure(quick: bool) -> Iterator[Measured]:
    for case in cases(WHOLE):
        yield from both(case, WHOLE.device, 5 if quick else PAIRS)


if __name__ == "__main__":
    main(measure, number=2, about=__doc__ or "", gpu=True)
