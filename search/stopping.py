"""Early stopping: which trials go on at a rung, by one objective or by several."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import inf, isfinite
from typing import Annotated, Literal

from pydantic import Field

from resnet_space.description import Description, by_kind

Values = tuple[float, ...]
"""Of one trial at one rung, each to be small; the validation error first."""


class StoppingKind(Description):
    """A rule says who is ahead at a rung: the places of all that were there, 0 the best."""

    def rungs(self, epochs: int) -> tuple[int, ...]:
        """The epochs at which trials of this length are judged."""
        raise NotImplementedError

    def places(self, recorded: Sequence[Values]) -> list[int]:
        """Everyone's place at a rung; the first to come is before its equals."""
        raise NotImplementedError


class NoStopping(StoppingKind):
    """Every trial runs to its end."""

    kind: Literal["none"] = "none"

    def rungs(self, epochs: int) -> tuple[int, ...]:
        return ()


class HalvingKind(StoppingKind):
    """Rungs at `grace` * `reduction`^k epochs; at each the best 1/`reduction` of those that came so far go on.

    The stopping form of asynchronous successive halving: nobody waits for a rung to fill, so the first ones to come go
    on more often than later ones. The last epoch is no rung: who comes there is complete.
    """

    grace: Annotated[int, Field(ge=1)] = 1
    reduction: Annotated[float, Field(gt=1)] = 3

    def rungs(self, epochs: int) -> tuple[int, ...]:
        found, rung = list[int](), float(self.grace)
        while round(rung) < epochs:
            found.append(round(rung))
            rung = max(rung * self.reduction, round(rung) + 1)
        return tuple(found)


class Asha(HalvingKind):
    """By the validation error alone. Li et al. 2018, 1810.05934."""

    kind: Literal["asha"] = "asha"

    def places(self, recorded: Sequence[Values]) -> list[int]:
        ranking = sorted(range(len(recorded)), key=lambda index: recorded[index][0])
        return _inverse(ranking)


class MoAsha(HalvingKind):
    """By non-dominated rank, and within a rank by crowding distance, the loneliest first.

    Schmucker et al. 2021, 2106.12639, with the crowding distance of NSGA-II (Deb et al. 2002) in place of its epsilon
    net. Costs are exact at every rung, errors are those of the epoch.
    """

    kind: Literal["mo_asha"] = "mo_asha"

    def places(self, recorded: Sequence[Values]) -> list[int]:
        from search.dominance import crowding, ranks

        finite = [index for index, values in enumerate(recorded) if all(map(isfinite, values))]
        points = [recorded[index] for index in finite]
        order = dict.fromkeys(range(len(recorded)), (inf, 0.0))
        if points:
            distances = crowding(points)
            for index, rank, distance in zip(finite, ranks(points), distances, strict=True):
                order[index] = (float(rank), -float(distance))
        return _inverse(sorted(order, key=lambda index: order[index]))


AnyStopping = Annotated[NoStopping | Asha | MoAsha, *by_kind(NoStopping, Asha, MoAsha)]

STOPPING: dict[str, type[StoppingKind]] = {"none": NoStopping, "asha": Asha, "mo_asha": MoAsha}


def _inverse(ranking: Sequence[int]) -> list[int]:
    places = [0] * len(ranking)
    for place, index in enumerate(ranking):
        places[index] = place
    return places


class Halving:
    """The rungs of one search, and who was there.

    A trial is judged once at each rung, when it comes there; told again, after a restart, it gets the same verdict.
    """

    def __init__(self, rule: NoStopping | Asha | MoAsha, epochs: int) -> None:
        self.rule, self.epochs = rule, epochs
        self.recorded: dict[int, dict[str, Values]] = {rung: {} for rung in rule.rungs(epochs)}
        self.verdicts: dict[tuple[str, int], str | None] = {}

    def judge(self, key: str, epoch: int, values: Values) -> str | None:
        """Why the trial stops here, or None if it goes on. NaN and infinities come last."""
        if epoch not in self.recorded:
            return None
        if (key, epoch) not in self.verdicts:
            self._record(key, epoch, values)
            self.verdicts[key, epoch] = self._verdict(key, epoch)
        return self.verdicts[key, epoch]

    def restore(self, rows: Iterable[tuple[str, int, Values]]) -> None:
        """Put stored epochs on their rungs, in any order. None of them is judged: what went on goes on."""
        for key, epoch, values in rows:
            if epoch in self.recorded:
                self._record(key, epoch, values)
                self.verdicts[key, epoch] = None

    def _record(self, key: str, epoch: int, values: Values) -> None:
        self.recorded[epoch][key] = tuple(value if isfinite(value) else inf for value in values)

    def _verdict(self, key: str, epoch: int) -> str | None:
        there = self.recorded[epoch]
        if not isinstance(self.rule, HalvingKind) or len(there) < self.rule.reduction:
            return None
        place = self.rule.places(list(there.values()))[list(there).index(key)]
        let_on = int(len(there) / self.rule.reduction + 1e-9)
        if place < let_on:
            return None
        return f"stopped at epoch {epoch} of {self.epochs}: place {place + 1} of {len(there)} there, {let_on} go on"


@dataclass(frozen=True)
class Saved:
    """What early stopping saved: `done` epochs of the `full` ones that all trials would have taken."""

    done: int
    full: int

    @property
    def fraction(self) -> float:
        return 1 - self.done / self.full if self.full else 0.0


def saved(epochs_done: Sequence[int], each: int) -> Saved:
    """From the epochs that every trial did, and those of a whole one."""
    return Saved(sum(epochs_done), each * len(epochs_done))
