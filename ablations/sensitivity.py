"""What a study's seeds can show, before the run: the smallest difference that is claimed with a power of 80 %, and the
number of seeds that a wanted one needs.

Every comparison is tested at the strictest level of its family (alpha / m for Holm) times the share of alpha that its
analysis can spend. So the study has at least this power: other claims make Holm's levels larger, and an
earlier analysis can claim a difference too.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

from ablations import alpha_spending
from ablations.comparisons import TESTS
from ablations.contrasts import Contrast, Seeds
from ablations.expected import Expected, from_run, from_table
from ablations.findings import POINTS
from ablations.plan import AblationPlan
from ablations.power import MAX_SEEDS, POWER, POWERS, Power
from ablations.study import Ablation
from resnet_space.errors import InputError
from search.measures.catalogue import MEASURES, Measure
from search.store.stored import StoredRun

SMALLEST = 1e-4
"""The smallest difference that is distinguished: a hundredth of a point."""

Question = Literal["difference", "no_worse", "equivalent"]
"""The methods of `Power`: whether two arms differ, whether one is no worse by a margin, whether they are equivalent."""


@dataclass(frozen=True)
class Asked:
    """Comparisons with the same arm that ask the same question, and so have the same power."""

    arms: tuple[str, ...]
    versus: str
    question: Question
    margin: float | None = None
    """A fraction; None for differences."""
    measure: Measure = MEASURES["test_error"]


@dataclass(frozen=True)
class Row:
    """What comparisons can show at one analysis."""

    asked: Asked
    error: float
    """The expected error of `versus`."""
    seeds: int
    level: float
    """The level of each comparison at this analysis."""
    smallest: float | None
    """The smallest difference, or margin, with a power of `POWER`; None if there is none."""
    power: float | None
    """At the margin, or at the wanted difference; None without either."""
    obstacle: str = ""
    """The reason why nothing can be claimed at this analysis, else empty."""


@dataclass(frozen=True)
class Need:
    """The number of seeds that gives comparisons a power of `POWER` at the wanted difference, or at their margin."""

    asked: Asked
    wanted: float
    seeds: int | None
    """None if `MAX_SEEDS` are not enough."""
    trials: int | None
    """All networks with that number of seeds."""


@dataclass(frozen=True)
class Sensitivity:
    """What the seeds of a study can show, by its own test, adjustment and interim analyses."""

    study: Ablation
    names: Collection[str]
    """All arms, also those matched to equal complexity."""
    networks: int
    """The number of distinct networks."""
    expected: Mapping[Measure, Expected]
    """What is expected of the measures of comparisons. Those of other measures are not forecast."""
    wanted: float | None = None
    """The difference that the study should resolve, a fraction."""

    @cached_property
    def asked(self) -> list[Asked]:
        """The planned comparisons, in groups; without any, those of all arms with the baseline."""
        groups: dict[tuple[str, float | None, Measure], list[str]] = {}
        for given in self._contrasts:
            # As in a report: comparisons that are not planned are between the arms as they are.
            each = self.study.resolved_contrast(given, self.names, matched=self.planned)
            measure = self.study.measure_of(given)
            if measure in self.expected:
                groups.setdefault((each.versus or self.study.control, each.no_worse_by, measure), []).append(each.arm)
        found = [
            Asked(tuple(arms), versus, "difference" if margin is None else "no_worse", margin, measure)
            for (versus, margin, measure), arms in groups.items()
        ]
        within = self.study.planned.equivalent_within
        if within is not None:
            found += [replace(each, question="equivalent", margin=within) for each in found if each.margin is None]
        return found

    @property
    def unknown(self) -> Mapping[Measure, int]:
        """The number of comparisons that are not forecast, by measure."""
        measures = map(self.study.measure_of, self._contrasts)
        return Counter(measure for measure in measures if measure not in self.expected)

    @property
    def planned(self) -> bool:
        return bool(self.study.planned.compare)

    @property
    def family(self) -> int:
        """The number of comparisons that alpha is divided among."""
        return len(self._contrasts)

    @cached_property
    def rows(self) -> list[Row]:
        """Each group at the first and at the last analysis."""
        analyses = self.study.analyses
        shares = alpha_spending.shares(len(analyses))
        ends = dict.fromkeys([(analyses[0], shares[0]), (analyses[-1], shares[-1])])
        return [self._row(asked, seeds, self._strictest * share) for asked in self.asked for seeds, share in ends]

    @cached_property
    def needs(self) -> list[Need]:
        """The seeds for the wanted difference, and for each margin that the study's seeds do not resolve."""
        last = {row.asked: row for row in self.rows}
        return [
            self._need(asked, wanted)
            for asked, row in last.items()
            if (wanted := self.wanted if asked.margin is None else asked.margin) is not None
            and (asked.margin is None or (row.power or 0) < POWER)
        ]

    @cached_property
    def warnings(self) -> list[str]:
        """The questions that the study's seeds cannot answer."""
        needed = {need.asked: need.seeds for need in self.needs}
        last = {row.asked: row for row in self.rows}.values()
        return [text for row in last if (text := _warning(row, needed.get(row.asked)))]

    def level_with(self, most: int) -> float:
        """Return the level of the last analysis if the study had this number of seeds at most."""
        seeds = self.study.seeds
        analyses = seeds.model_copy(update={"max": most}).analyses if isinstance(seeds, Seeds) else (most,)
        return self._strictest * alpha_spending.shares(len(analyses))[-1]

    @cached_property
    def _contrasts(self) -> Sequence[Contrast]:
        baseline = self.study.control
        return self.study.planned.compare or [Contrast(arm=name) for name in self.names if name != baseline]

    @property
    def _strictest(self) -> float:
        planned = self.study.planned
        return planned.adjustment.strictest(planned.alpha, max(self.family, 1))

    @cached_property
    def _powers(self) -> Mapping[tuple[Measure, float], Power]:
        """The power of comparisons, by measure and expected error of the arm that others are compared with."""
        make = POWERS[self.study.planned.test].of
        return {
            (measure, error): make(self.expected[measure], error, self.networks)
            for measure, error in {(asked.measure, self._error(asked)) for asked in self.asked}
        }

    def _error(self, asked: Asked) -> float:
        return self.expected[asked.measure].error_of(asked.versus)

    def _claims(self, asked: Asked) -> Callable[[int, float, float], float]:
        """From seeds, level, and difference or margin to the power."""
        found: Callable[[int, float, float], float] = getattr(
            self._powers[asked.measure, self._error(asked)], asked.question
        )
        return found

    def _row(self, asked: Asked, seeds: int, level: float) -> Row:
        error, claims = self._error(asked), self._claims(asked)
        obstacle = self._obstacle(asked, seeds, level)
        wanted = self.wanted if asked.margin is None else asked.margin
        if obstacle:
            return Row(asked, error, seeds, level, None, None if wanted is None else 0.0, obstacle)
        smallest = _smallest(lambda size: claims(seeds, level, size), (1 - error) * (1 - 1e-6))
        return Row(asked, error, seeds, level, smallest, None if wanted is None else claims(seeds, level, wanted))

    def _obstacle(self, asked: Asked, seeds: int, level: float) -> str:
        """The reason why the test can claim nothing with these seeds; else empty."""
        name = self.study.planned.test
        least, test = TESTS[name].least_seeds, POWERS[name]
        if seeds < least:
            return f"test {name!r} has no p-value with fewer than {least} seeds"
        if asked.question != "difference":
            return ""  # A margin is tested by a t test.
        if seeds > test.most_seeds:
            return f"test {name!r} takes at most {test.most_seeds} seeds"
        smallest = test.smallest_p(seeds)
        if smallest <= level:
            return ""
        enough = next(n for n in range(seeds, MAX_SEEDS) if test.smallest_p(n) <= self.level_with(n))
        comparisons = f"{self.family} comparisons" if self.family > 1 else "the comparison"
        return (
            f"test {name!r} has no p-value below {smallest:.2g} then, and the level of {comparisons} is {level:.2g}; "
            f"the least number of seeds is {enough}"
        )

    def _need(self, asked: Asked, wanted: float) -> Need:
        claims = self._claims(asked)
        first = max(TESTS[self.study.planned.test].least_seeds, self.study.least_seeds if self.study.adaptive else 0)

        def enough(seeds: int) -> bool:
            level = self.level_with(seeds)
            return not self._obstacle(asked, seeds, level) and claims(seeds, level, wanted) >= POWER

        found = first + bisect_left(range(first, POWERS[self.study.planned.test].most_seeds), True, key=enough)
        seeds = found if enough(found) else None
        return Need(asked, wanted, seeds, None if seeds is None else seeds * self.networks)


def _smallest(power: Callable[[float], float], largest: float) -> float | None:
    """Return the smallest difference with a power of `POWER`; None if even the largest possible one has less."""
    from scipy import optimize

    low, high = 0.0, min(SMALLEST, largest)
    while power(high) < POWER:
        if high == largest:
            return None
        low, high = high, min(2 * high, largest)
    return high if not low else float(optimize.brentq(lambda size: power(size) - POWER, low, high, xtol=1e-6))


def _warning(row: Row, needed: int | None) -> str:
    """The sentence about a question that cannot be answered; empty if it can be."""
    asked, start = row.asked, f"with {row.seeds} seed{'s' * (row.seeds != 1)},"
    if asked.question == "difference":
        if row.obstacle:
            return f"{start} no difference from {asked.versus} can be claimed: {row.obstacle}"
        none = f"{start} no difference from {asked.versus} has a power of {100 * POWER:.0f} %"
        return none if row.smallest is None else ""
    margin = f"{POINTS * (asked.margin or 0):.2f} points"
    shown = f"no worse by {margin}" if asked.question == "no_worse" else f"equivalent within {margin}"
    if row.obstacle:
        return f"{start} no arm can be shown to be {shown}: {row.obstacle}"
    if row.power is None or row.power >= POWER:
        return ""
    power = f"with a power of {100 * row.power:.0f} %"
    enough = f"{needed} seeds would be enough" if needed else f"even {MAX_SEEDS} seeds would not be enough"
    return f"{start} an arm equal to {asked.versus} is shown to be {shown} {power}; {enough}"


def of_plan(plan: AblationPlan, pilot: StoredRun | None = None, wanted: float | None = None) -> Sensitivity:
    """Return what the seeds of a plan can show.

    Args:
        pilot: a run that shows errors and their spread; default: the shipped table of data sets.
        wanted: the difference to resolve, a fraction.

    Raises:
        InputError: the pilot has other data, or no network that trained with two seeds.
    """
    study = plan.study
    keys = {name: setup.key for name, setup in plan.setups.items()}
    expected = {}
    for measure in dict.fromkeys([study.measure, *study.planned.measures]):
        if measure.split is None:
            continue
        images = len(getattr(plan.images, measure.split))
        found = (
            from_table(study.dataset.name, measure, images)
            if pilot is None
            else from_run(study, measure, plan.setups, images, pilot)
        )
        if found is not None:
            expected[measure] = found
    if pilot is not None and not expected:
        trained = f"trained, with errors of at most {100 * study.fail_above:g} % (fail_above), at two seeds or more"
        raise InputError(f"{pilot.folder.path}: shows no spread over seeds: no network has {trained}")
    return Sensitivity(study, keys, len(set(keys.values())), expected, wanted)
