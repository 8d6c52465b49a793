"""Early stopping: which trials continue after a rung, by one or more objectives."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from math import inf, isfinite
from typing import Annotated, Literal

from pydantic import Field

from resnet_space.catalogues import OneOf
from resnet_space.description import Kind, kinds
from resnet_space.numbers import Count

Values = tuple[float, ...]
"""One trial's objective values at one rung, all to be minimised; the validation error is first."""


class StoppingKind(Kind):
    """The base of all stopping rules: at which epochs trials are judged, and which of them stop."""

    def rungs(self, epochs: int) -> tuple[int, ...]:
        """Return the epochs at which trials of this length are judged."""
        raise NotImplementedError

    def why_stopped(self, own: Values, others: Sequence[Values]) -> str | None:
        """Return why the trial that reaches a rung after these others stops there, or None if it continues.

        A pure function that does not depend on the order of the others.
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
    """Rungs at `grace` * `reduction`^k epochs; at each, the best 1/`reduction` of the trials so far continue.

    The stopping variant of asynchronous successive halving (Li et al. 2018, 1810.05934): no trial waits for a rung to
    fill. The n-th trial at a rung continues if n < reduction, or if fewer than floor(n / reduction) of the earlier ones
    are better: in a random order its probability is floor(n / reduction) / n. If each trial is better than all before
    it, all continue. Rungs are integer epochs, at least one apart. The last epoch is not a rung: a trial that reaches
    it is complete.
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
        return None if place < best else f"place {place + 1} of {number} at this rung; the best {best} continue"

    def place(self, own: Values, others: Sequence[Values]) -> int:
        """Return how many of the others at a rung are better or equal; their order does not matter."""
        raise NotImplementedError


class Asha(HalvingKind):
    """ASHA: ranks by the validation error only. Li et al. 2018, 1810.05934."""

    kind: Literal["asha"] = "asha"

    def place(self, own: Values, others: Sequence[Values]) -> int:
        return sum(values[0] <= own[0] for values in others)


class MoAsha(HalvingKind):
    """MO-ASHA: ranks by non-dominated rank, and within a rank by crowding distance, the largest first.

    Schmucker et al. 2021, 2106.12639, with the crowding distance of NSGA-II (Deb et al. 2002) instead of its epsilon
    net. Costs are exact at every rung; errors are those of the epoch. With one objective this is `Asha`.
    """

    kind: Literal["mo_asha"] = "mo_asha"

    def place(self, own: Values, others: Sequence[Values]) -> int:
        import numpy as np

        from search.fronts.dominance import crowding, ranks

        if not all(map(isfinite, own)):
            return len(others)
        # From one flat iterator: numpy takes much longer to read a list of thousands of tuples.
        known = np.fromiter(chain.from_iterable([*others, own]), float).reshape(-1, len(own))
        known = known[np.isfinite(known).all(axis=1)]
        rank = ranks(known)
        # Distinct and sorted: equal trials get equal distances, and no distance depends on the order of arrival.
        front, times = np.unique(known[rank == rank[-1]], axis=0, return_counts=True)
        distances = crowding(front)
        not_worse = distances >= distances[(front == own).all(axis=1)]
        return int((rank < rank[-1]).sum() + times[not_worse].sum()) - 1


STOPPING: dict[str, type[StoppingKind]] = kinds(StoppingKind, globals())
"""All classes above that have a `kind`, by name."""

AnyStopping = Annotated[StoppingKind, OneOf(STOPPING)]


class Rungs:
    """The rungs of one search, with the trials that reached each.

    A trial is judged once at each rung, when it reaches it. Judging it again returns the same verdict.
    """

    def __init__(self, rule: StoppingKind, epochs: int) -> None:
        self.rule, self.epochs = rule, epochs
        self.recorded: dict[int, dict[str, Values]] = {rung: {} for rung in rule.rungs(epochs)}
        self.verdicts: dict[tuple[str, int], str | None] = {}

    def __contains__(self, epoch: int) -> bool:
        """Whether trials are judged at this epoch."""
        return epoch in self.recorded

    def judge(self, key: str, epoch: int, values: Values) -> str | None:
        """Return why the trial stops at this epoch, or None if it continues. NaN and infinities rank last."""
        if epoch not in self:
            return None
        if (key, epoch) not in self.verdicts:
            self._record(key, epoch, values)
            self.verdicts[key, epoch] = self._verdict(epoch)
        return self.verdicts[key, epoch]

    def restore(self, rows: Iterable[tuple[str, int, Values]]) -> None:
        """Restore stored epochs in any order. Trials that continued before continue again.

        Stopped trials are not affected: they are stored as pruned and do not run again.
        """
        for key, epoch, values in rows:
            if epoch in self and (key, epoch) not in self.verdicts:
                self._record(key, epoch, values)
                self.verdicts[key, epoch] = None

    def _record(self, key: str, epoch: int, values: Values) -> None:
        self.recorded[epoch][key] = tuple(value if isfinite(value) else inf for value in values)

    def _verdict(self, epoch: int) -> str | None:
        """Return the verdict on the last trial that reached this rung."""
        *others, own = self.recorded[epoch].values()
        why = self.rule.why_stopped(own, others)
        return why and f"stopped at epoch {epoch} of {self.epochs}: {why}"


@dataclass(frozen=True)
class Saved:
    """The savings of early stopping: `done` epochs out of the `full` number without stopping."""

    done: int
    full: int

    @property
    def fraction(self) -> float:
        return 1 - self.done / self.full if self.full else 0.0


def saved(epochs_done: Sequence[int], each: int) -> Saved:
    """Return the savings, given the epochs done by each trial and the epochs of a complete trial."""
    return Saved(sum(epochs_done), each * len(epochs_done))
