"""The stages, the most valuable first, and the expected values of each: estimates that no run has confirmed."""

from __future__ import annotations

import math
from dataclasses import dataclass

MIN_STAGE_S = 20
"""A stage does not start with less time left than this: imports and the start of CUDA take half of it."""


@dataclass(frozen=True)
class Stage:
    """A function of a module in this folder, `module:function`, and the seconds after which it is stopped."""

    name: str
    entry: str
    limit_s: float
    question: str


STAGES = {
    stage.name: stage
    for stage in (
        Stage("smoke", "smoke:measure", 75, "Can a step be recorded, and is the recorded step the same?"),
        Stage("fused", "fusing:measure", 90, "How many times faster are eight seeds as one network?"),
        Stage("r20", "epochs:resnet20", 130, "How long is an epoch of ResNet-20?"),
        Stage("profile", "kernels:measure", 40, "Which kernels does a step have, fused and alone?"),
        Stage("layouts", "layouts:measure", 50, "Is a step faster with channels last or contiguous?"),
        Stage("streams", "branches:measure", 60, "How fast are separate networks as branches of one CUDA graph?"),
        Stage("r110", "epochs:resnet110", 240, "How long is an epoch of ResNet-110?"),
        Stage("run", "whole_run:measure", 90, "Does a complete study run, without graphs and with them?"),
        Stage("r1001", "epochs:preresnet1001", 60, "How long is an epoch of the pre-activation ResNet-1001?"),
    )
}


@dataclass(frozen=True)
class Expected:
    """The expected range of a stage's lines whose case starts with `begins`."""

    stage: str
    begins: str
    least: float = -math.inf
    most: float = math.inf
    unit: str = "x"

    def covers(self, stage: str, case: str) -> bool:
        return stage == self.stage and case.startswith(self.begins)

    def verdict(self, value: float) -> str:
        if math.isnan(value):
            return "not a number"
        return "less" if value < self.least else "more" if value > self.most else "as expected"

    def __str__(self) -> str:
        unit = "x" if self.unit == "x" else f" {self.unit}"
        if self.least == self.most:
            return f"{self.least:g}{unit}"
        if self.least == -math.inf:
            return f"at most {self.most:g}{unit}"
        if self.most == math.inf:
            return f"at least {self.least:g}{unit}"
        return f"{self.least:g} to {self.most:g}{unit}"


EXPECTED = (
    # At most the difference between two eager runs, whose sums have another order each time.
    Expected("smoke", "recorded minus eager", most=0.01, unit="nats"),
    Expected("smoke", "trained, stopped and resumed", 1, 1),
    Expected("fused", "ResNet-20, kernel by kernel", least=4),
    # Grouped convolutions in bf16 can be slower than dense ones; then the value is below 1.
    Expected("fused", "ResNet-20, graphs against graphs", 1.2, 2.5),
    Expected("r20", "resnet20, an epoch, eager", 2, 3, "s"),
    Expected("r20", "resnet20, an epoch, a CUDA graph", 0.35, 0.55, "s"),
    Expected("r20", "resnet20, an epoch, compiled and a CUDA graph", 0.15, 0.3, "s"),
    Expected("r20", "resnet20, an epoch at the best", most=0.35, unit="s"),
    # In bf16 tensor cores read channels last; contiguous tensors are converted first.
    Expected("layouts", "alone, bf16", 1.1, 2.5),
    Expected("layouts", "seeds fused, bf16", 1, 2.5),
    Expected("streams", "resnet20, branches over one after another", 1.5, 4),
    Expected("streams", "resnet20, networks with the bits of one trained alone", 1, 1),
    Expected("r110", "resnet110, an epoch, eager", 10, 14, "s"),
    Expected("r110", "resnet110, an epoch, a CUDA graph", 2, 3, "s"),
    Expected("r110", "resnet110, an epoch, compiled and a CUDA graph", 0.9, 1.4, "s"),
    Expected("r110", "resnet110, an epoch at the best", most=1.5, unit="s"),
    Expected("run", "a study, kernel by kernel", 1, 1),
    Expected("run", "a study, with graphs", 1, 1),
    Expected("r1001", "preresnet1001, an epoch, a CUDA graph", 20, 30, "s"),
)
