"""Learning rates over the training: schedules, and warm-ups before them. To add one, add a class."""

from __future__ import annotations

import math
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from resnet_space.catalogues import OneOf
from resnet_space.description import Kind, kinds
from resnet_space.errors import InputError
from resnet_space.numbers import Above0, AtLeast1, Below1, Positive, ProperProportion, Proportion


class ScheduleKind(Kind):
    """A learning rate schedule: the fraction of the peak rate as a function of the training progress."""

    def factor(self, progress: float) -> float:
        """Return lr / peak lr at `progress` = step / steps, in [0, 1)."""
        raise NotImplementedError


class Constant(ScheduleKind):
    """1."""

    kind: Literal["constant"] = "constant"

    def factor(self, progress: float) -> float:
        return 1.0


class Steps(ScheduleKind):
    """`decay`^k after the k-th milestone; milestones are fractions of the training (32k of 64k steps: 0.5)."""

    kind: Literal["steps"] = "steps"
    milestones: Annotated[tuple[Proportion, ...], Field(max_length=100)] = (0.5, 0.75)
    decay: Proportion = 0.1

    def factor(self, progress: float) -> float:
        return self.decay ** sum(progress >= milestone for milestone in self.milestones)


class OneCycle(ScheduleKind):
    """Half a cosine from 1/`start` up to 1 over the first `rise` of the training, then another down to 1/`end`.

    Smith and Topin 2017, 1708.07120, with cosines instead of lines.
    """

    kind: Literal["one_cycle"] = "one_cycle"
    rise: Proportion = 0.3
    start: AtLeast1 = 25.0
    end: AtLeast1 = 250_000.0

    def factor(self, progress: float) -> float:
        if progress < self.rise:
            return _cosine(1 / self.start, 1.0, progress / self.rise)
        return _cosine(1.0, 1 / self.end, (progress - self.rise) / (1 - self.rise) if self.rise < 1 else 1.0)


class Cosine(ScheduleKind):
    """`floor` + (1 - `floor`) (1 + cos(pi p)) / 2: half a cosine from 1 to `floor`. 1608.03983, without restarts."""

    kind: Literal["cosine"] = "cosine"
    floor: Below1 = 0.0

    def factor(self, progress: float) -> float:
        return _cosine(1.0, self.floor, progress)


class Linear(ScheduleKind):
    """`floor` + (1 - `floor`) (1 - p): a line from 1 to `floor`."""

    kind: Literal["linear"] = "linear"
    floor: Below1 = 0.0

    def factor(self, progress: float) -> float:
        return self.floor + (1 - self.floor) * (1 - progress)


class Polynomial(ScheduleKind):
    """`floor` + (1 - `floor`) (1 - p)^`power`, from 1 to `floor`. With power 2 that of LARS, 1708.03888."""

    kind: Literal["polynomial"] = "polynomial"
    power: Above0 = 2.0
    floor: Below1 = 0.0

    def factor(self, progress: float) -> float:
        return float(self.floor + (1 - self.floor) * (1 - progress) ** self.power)


class Exponential(ScheduleKind):
    """`last`^p: the same relative decrease in every step, from 1 to `last`."""

    kind: Literal["exponential"] = "exponential"
    last: Proportion = 0.01

    def factor(self, progress: float) -> float:
        return float(self.last**progress)


def _cosine(begin: float, end: float, progress: float) -> float:
    return end + (begin - end) * (1 + math.cos(math.pi * progress)) / 2


SCHEDULES: dict[str, type[ScheduleKind]] = kinds(ScheduleKind, globals())
"""By name: every class above that has a `kind`."""

Schedule = Annotated[ScheduleKind, OneOf(SCHEDULES)]


class WarmUpKind(Kind):
    """Learning rates before the schedule's. The schedule is over the steps after the first `length` ones."""

    def length(self, total: int, epochs: int | None) -> int:
        """Return the length in steps of a training of `total` steps, or of `epochs` if it is given in epochs."""
        raise NotImplementedError

    def lasts(self, step: int, length: int, *, warming_up: bool) -> bool:
        """Whether a step belongs to the warm-up. `warming_up`: no training error has ended it yet."""
        raise NotImplementedError

    def rate(self, peak: float, step: int, length: int) -> float:
        """Return the learning rate of a step of the warm-up."""
        raise NotImplementedError

    def continues(self, train_error: float) -> bool:
        """Whether the warm-up is not ended by an epoch with this training error."""
        return False

    def check(self, epochs: int | None, steps: int | None) -> None:
        """Check that a training of this length is longer than the warm-up.

        Raises:
            InputError: it is not, or the warm-up is given in epochs and the training in steps.
        """


class WarmUp(WarmUpKind):
    """A small learning rate until the training error of an epoch is below `until_error`. 1512.03385, section 4.2.

    The schedule is over the complete training, as in the paper. This is the kind of a warm-up without a `kind`.
    """

    kind: Annotated[Literal["by_error"], Field(exclude_if=lambda _: True)] = "by_error"
    """In no stored study, since the warm-ups of earlier versions have no kind."""
    lr: Above0 = 0.01
    until_error: Proportion = 0.8

    def length(self, total: int, epochs: int | None) -> int:
        return 0

    def lasts(self, step: int, length: int, *, warming_up: bool) -> bool:
        return warming_up

    def rate(self, peak: float, step: int, length: int) -> float:
        return self.lr

    def continues(self, train_error: float) -> bool:
        return train_error >= self.until_error


class LinearWarmUp(WarmUpKind):
    """peak (`start` + (1 - `start`) step / length), then the schedule over the rest of the training. 1706.02677.

    The length is given in `epochs`, in `steps`, or as a `part` of the training, which holds for any length.
    """

    kind: Literal["linear"] = "linear"
    epochs: Positive | None = None
    steps: Positive | None = None
    part: ProperProportion | None = None
    start: Proportion = 0.01

    @model_validator(mode="after")
    def _one_length(self) -> Self:
        given = {name: getattr(self, name) for name in ("epochs", "steps", "part")}
        if sum(value is not None for value in given.values()) != 1:
            shown = ", ".join(f"{name}={value}" for name, value in given.items())
            raise ValueError(f"give its length once, as epochs, steps or part of the training, not {shown}")
        return self

    def length(self, total: int, epochs: int | None) -> int:
        if self.epochs is not None and epochs:
            return total * self.epochs // epochs
        return self.steps if self.steps is not None else int(total * (self.part or 0))

    def lasts(self, step: int, length: int, *, warming_up: bool) -> bool:
        return step < length

    def rate(self, peak: float, step: int, length: int) -> float:
        return peak * (self.start + (1 - self.start) * step / length)

    def check(self, epochs: int | None, steps: int | None) -> None:
        if self.epochs is not None and epochs is None:
            raise InputError(
                f"warm_up.epochs: {self.epochs} epochs of a training whose length is in steps; give warm_up.steps, or "
                "warm_up.part"
            )
        for name, own, whole in (("epochs", self.epochs, epochs), ("steps", self.steps, steps)):
            if own is not None and whole is not None and own >= whole:
                raise InputError(
                    f"warm_up.{name}: must be less than the {whole} {name} of the training, not {own}; or give "
                    "warm_up.part, a fraction of it"
                )


WARM_UPS: dict[str, type[WarmUpKind]] = kinds(WarmUpKind, globals())
"""By name: every class above that has a `kind`."""

AnyWarmUp = Annotated[WarmUpKind, OneOf(WARM_UPS, otherwise="by_error")]
