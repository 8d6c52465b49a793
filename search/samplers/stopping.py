"""Early stopping: which trials go on at a rung, by one objective or by several."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import inf, isfinite
from typing import Annotated, Literal

from pydantic import Field

from resnet_space.catalogues import OneOf
from resnet_space.description import Kind, kinds
from resnet_space.numbers import Count

Values = tuple[float, ...]
"""Of one trial at one rung, each to be small; the validation error first."""


class StoppingKind(Kind):
    """A rule says where trials are judged, and which of them stop there."""

    def rungs(self, epochs: int) -> tuple[int, ...]:
        """The epochs at which trials of this length are judged."""
        raise NotImplementedError

    def why_stopped(self, own: Values, others: Sequence[Values]) -> str | None:
        """Why the trial that comes to a rung after these others stops there, or None if it goes on.

        A pure function: in whatever order the others came, the answer is one.
        """
        raise NotImplementedError


class NoStopping(StoppingKind):
    """Every trial runs to its end."""

    kind: Literal["none"] = "none"

    def rungs(self, epochs: int) -> tuple[int, ...]:
        return ()

    def why_stopped(self, own: Values, others: Sequence[Values]) -> None:
        return None


class HalvingKind(StoppingKind):
    """Rungs at `grace` * `reduction`^k epochs; at each the best 1/`reduction` of those that came so far go on.

    The stopping form of asynchronous successive halving (Li et al. 2018, 1810.05934): nobody waits for a rung to fill.
    The n-th to come goes on if n < reduction, or if fewer than floor(n / reduction) of those before it are ahead: with
    chance floor(n / reduction) / n in a random order. Where everyone is ahead of all before, everyone goes on.
    Rungs are whole epochs, at least one apart. The last epoch is none: who comes there is complete.
    """

    grace: Count = 1
    reduction: Annotated[float, Field(gt=1)] = 3

    def rungs(self, epochs: int) -> tuple[int, ...]:
        found, rung = list[int](), float(self.grace)
        while round(rung) < epochs:
            found.append(round(rung))
            rung = max(rung * self.reduction, round(rung) + 1)
        return tuple(found)

    def why_stopped(self, own: Values, others: Sequence[Values]) -> str | None:
        number = len(others) + 1
        if number < self.reduction:
            return None
        # 33 / 1.1 is a little less than 30.
        best, place = int(number / self.reduction + 1e-9), self.place(own, others)
        return None if place < best else f"place {place + 1} of {number} at this rung, the best {best} go on"

    def place(self, own: Values, others: Sequence[Values]) -> int:
        """How many of the others at a rung are better; equals count as better, and their order changes nothing."""
        raise NotImplementedError


class Asha(HalvingKind):
    """By the validation error alone. Li et al. 2018, 1810.05934."""

    kind: Literal["asha"] = "asha"

    def place(self, own: Values, others: Sequence[Values]) -> int:
        return sum(values[0] <= own[0] for values in others)


class MoAsha(HalvingKind):
    """By non-dominated rank, and within a rank by crowding distance, the loneliest first.

    Schmucker et al. 2021, 2106.12639, with the crowding distance of NSGA-II (Deb et al. 2002) in place of its epsilon
    net. Costs are exact at every rung, errors are those of the epoch. Of one objective this is `Asha`.
    """

    kind: Literal["mo_asha"] = "mo_asha"

    def place(self, own: Values, others: Sequence[Values]) -> int:
        import numpy as np

        from search.fronts.dominance import crowding, ranks

        if not _finite(own):
            return len(others)
        # Distinct and sorted: equals are as lonely as each other, and no distance depends on who came first.
        points, times = np.unique([*filter(_finite, others), own], axis=0, return_counts=True)
        rank, here = ranks(points), (points == own).all(axis=1)
        front = rank == rank[here]
        distances = crowding(points[front])
        level = distances >= distances[here[front]]
        return int(times[rank < rank[here]].sum() + times[front][level].sum()) - 1


STOPPING: dict[str, type[StoppingKind]] = kinds(StoppingKind, globals())
"""By name: every class above that has a `kind`."""

AnyStopping = Annotated[StoppingKind, OneOf(STOPPING)]


def _finite(values: Values) -> bool:
    return all(map(isfinite, values))


class Rungs:
    """The rungs of one search, and which trials came to each.

    A trial is judged once at each rung, when it comes there; asked again, the verdict is the same.
    """

    def __init__(self, rule: StoppingKind, epochs: int) -> None:
        self.rule, self.epochs = rule, epochs
        self.recorded: dict[int, dict[str, Values]] = {rung: {} for rung in rule.rungs(epochs)}
        self.verdicts: dict[tuple[str, int], str | None] = {}

    def judge(self, key: str, epoch: int, values: Values) -> str | None:
        """Why the trial stops here, or None if it goes on. NaN and infinities come last."""
        if epoch not in self.recorded:
            return None
        if (key, epoch) not in self.verdicts:
            self._record(key, epoch, values)
            self.verdicts[key, epoch] = self._verdict(epoch)
        return self.verdicts[key, epoch]

    def restore(self, rows: Iterable[tuple[str, int, Values]]) -> None:
        """Put stored epochs on their rungs, in any order. None of them is judged again: what went on goes on.

        What was stopped does not depend on this: it is stored as pruned, and not run again.
        """
        for key, epoch, values in rows:
            if epoch in self.recorded and (key, epoch) not in self.verdicts:
                self._record(key, epoch, values)
                self.verdicts[key, epoch] = None

    def _record(self, key: str, epoch: int, values: Values) -> None:
        self.recorded[epoch][key] = tuple(value if isfinite(value) else inf for value in values)

    def _verdict(self, epoch: int) -> str | None:
        """Of the last to come to this rung."""
        *others, own = self.recorded[epoch].values()
        why = self.rule.why_stopped(own, others)
        return why and f"stopped at epoch {epoch} of {self.epochs}: {why}"


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
