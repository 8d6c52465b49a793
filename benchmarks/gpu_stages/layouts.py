"""Is a step faster with images and weights channels last, as in training, or contiguous?

ResNet-20 alone and with its seeds fused, in bf16 and in float32 (TF32 in convolutions). Steps are those of trials,
recorded and with cuDNN's measured kernels; the two layouts alternate. A value above 1 means that channels last is
faster. If it is below 1, change `Group.layout` and `members.beginning`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from measuring import Measured, in_turns, ratio
from sizes import Size

from gpu_stages.record import Failure
from search.data import Images, batches
from search.kernels.gpu import choose_kernels
from search.training.forecast import now
from search.training.members import Group, Member
from search.training.step import BEFORE_RECORDING, stepping
from search.trials.trial import TrialSpec

LAYOUTS = {"contiguous": torch.contiguous_format, "channels last": torch.channels_last}
PRECISIONS = {"bf16": "bf16", "float32": "none"}
"""From a precision to its name in a recipe."""


def measure(size: Size) -> Iterator[Measured | Failure]:
    images = size.images(1)
    if size.device == "cuda":
        choose_kernels()
    for precision, autocast in PRECISIONS.items():
        for name, seeds in (("alone", 1), ("seeds fused", size.seeds)):
            specs = size.specs(size.net("resnet20"), seeds, images, autocast=autocast)
            case = f"{name}, {precision}, contiguous over channels last"
            try:
                yield compared(case, specs, images, size)
            except Exception as error:
                yield Failure.of(case, error)


def compared(case: str, specs: list[TrialSpec], images: Images, size: Size) -> Measured:
    """Return the time of a step contiguous over that with channels last."""
    rounds = in_turns(*(steps(specs, images, size, layout) for layout in LAYOUTS.values()), rounds=size.rounds)
    names = ("contiguous_s", "channels_last_s")
    return ratio(case, None, rounds, names=names, seeds=len(specs), batch=size.batch)


def steps(specs: list[TrialSpec], images: Images, size: Size, layout: torch.memory_format) -> Callable[[], float]:
    """Warm up, and return a function that measures the seconds of a step."""
    group = with_layout([Member.of(spec, None, size.device) for spec in specs], layout)
    take = stepping(group, size.device, recorded=True)
    split = images.train.to(size.device)
    moments = {"mean": images.mean, "std": images.std, "device": size.device}
    x, y = next(batches(split, batch_size=size.batch, seed=0, **moments))
    xs, ys = [x] * len(specs), [y] * len(specs)

    def seconds(number: int) -> float:
        began = now(size.device)
        for _ in range(number):
            take(xs, ys, specs[0].recipe.lr)
        return (now(size.device) - began) / number

    seconds(BEFORE_RECORDING + 2)
    return lambda: seconds(size.steps)


def with_layout(members: list[Member], layout: torch.memory_format) -> Group:
    """Return a group with images and weights in this memory layout."""
    group = Group(members)
    group.layout = layout
    group.model.to(memory_format=layout).train()
    return group
