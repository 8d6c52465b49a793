"""Is a step faster with images and weights channels last, as training has them, or contiguous?

ResNet-20 alone and its seeds fused, in bf16 and in float32, which is TF32 in convolutions: steps as trials take them,
recorded and with cuDNN's measured kernels, both layouts in turns. Above 1 channels last is faster; where it is below,
`Group.layout` and `members.beginning` are what to change.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from measuring import Measured, in_turns, ratio
from sizes import Size

from gpu_stages.record import Failure
from search.data import Images, batches
from search.kernels.gpu import choose_kernels
from search.training.forecast import device_time
from search.training.members import Group, Member
from search.training.step import WARMUP_STEPS, make_stepper
from search.trials.trial import TrialSpec

LAYOUTS = {"contiguous": torch.contiguous_format, "channels last": torch.channels_last}
PRECISIONS = {"bf16": "bf16", "float32": "none"}
"""With what a recipe calls it."""


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
    """How many times as long a step takes contiguous."""
    rounds = in_turns(*(steps(specs, images, size, layout) for layout in LAYOUTS.values()), rounds=size.rounds)
    names = ("contiguous_s", "channels_last_s")
    return ratio(case, None, rounds, names=names, seeds=len(specs), batch=size.batch)


def steps(specs: list[TrialSpec], images: Images, size: Size, layout: torch.memory_format) -> Callable[[], float]:
    """Measures the seconds of a step, whose first ones are taken before."""
    group = laid([Member.of(spec, None, size.device) for spec in specs], layout)
    take = make_stepper(group, size.device, recorded=True)
    split = images.train.to(size.device)
    moments = {"mean": images.mean, "std": images.std, "device": size.device}
    x, y = next(batches(split, batch_size=size.batch, seed=0, **moments))
    xs, ys = [x] * len(specs), [y] * len(specs)

    def seconds(number: int) -> float:
        began = device_time(size.device)
        for _ in range(number):
            take(xs, ys, specs[0].recipe.lr)
        return (device_time(size.device) - began) / number

    seconds(WARMUP_STEPS + 2)
    return lambda: seconds(size.steps)


def laid(members: list[Member], layout: torch.memory_format) -> Group:
    """A group whose images and weights lie in memory so."""
    group = Group(members)
    group.layout = layout
    group.model.to(memory_format=layout).train()
    return group
