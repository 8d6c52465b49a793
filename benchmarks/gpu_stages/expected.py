"""The stages, those that are worth most first, and what is expected of each: estimates, which no run has confirmed."""

from __future__ import annotations

import math
from dataclasses import dataclass

ROOM_S = 20
"""A stage with less time left than this is not begun: importing and CUDA's start take half of it."""


@dataclass(frozen=True)
class Stage:
    """A function of a module here, `module:function`, and the seconds after which it is stopped."""

    name: str
    entry: str
    limit_s: float
    question: str


STAGES = {
    stage.name: stage
    for stage in (
        Stage("smoke", "smoke:measure", 75, "Does a step record, and is the recorded step the same step?"),
        Stage("fused", "fusing:measure", 90, "How many times as fast are eight seeds as one network?"),
        Stage("r20", "epochs:resnet20", 130, "How long is an epoch of ResNet-20?"),
        Stage("profile", "kernels:measure", 40, "Which kernels is a step made of, fused and alone?"),
        Stage("layouts", "layouts:measure", 50, "Is a step faster channels last, or contiguous?"),
        Stage("streams", "branches:measure", 60, "And as branches of one CUDA graph, each a network of its own?"),
        Stage("r110", "epochs:resnet110", 240, "How long is an epoch of ResNet-110?"),
        Stage("run", "whole_run:measure", 90, "Does a study run to its end, without graphs and with them?"),
        Stage("r1001", "epochs:preresnet1001", 60, "How long is an epoch of the pre-activation ResNet-1001?"),
    )
}


@dataclass(frozen=True)
class Expected:
    """Of the lines of a stage that begin so: the least and the most that would surprise nobody."""

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
    # No more than two eager runs differ by: their sums are in another order each time.
    Expected("smoke", "recorded less eager", most=0.01, unit="nats"),
    Expected("smoke", "trained, stopped and gone on", 1, 1),
    Expected("fused", "ResNet-20, kernel by kernel", least=4),
    # Grouped convolutions in bf16 may be slower than dense ones, and the value below 1.
    Expected("fused", "ResNet-20, graphs against graphs", 1.2, 2.5),
    Expected("r20", "resnet20, an epoch, eager", 2, 3, "s"),
    Expected("r20", "resnet20, an epoch, a CUDA graph", 0.35, 0.55, "s"),
    Expected("r20", "resnet20, an epoch, compiled and a CUDA graph", 0.15, 0.3, "s"),
    Expected("r20", "resnet20, an epoch at the best", most=0.35, unit="s"),
    # In bf16 tensor cores read channels last, and what is contiguous is turned before.
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
