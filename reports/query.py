"""Queries on the front of a run: its networks, the best within a budget, the knee, and the hypervolume."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from reports import front as fronts
from reports import networks
from reports.page import Block, Text
from resnet_space.errors import InputError
from resnet_space.expressions import Expression
from search.exploring.study import NAMES_IN_CONSTRAINTS
from search.fronts.dominance import check_reference, hypervolume, knee
from search.fronts.front import Point, best, front
from search.fronts.objectives import parse_objectives
from search.store import membership
from search.store.stored import StoredRun

T = TypeVar("T")


@dataclass(frozen=True)
class Answer:
    """The networks of a run that a query selects."""

    title: str
    points: list[Point]
    nets: Mapping[str, dict[str, Any]]
    """Stored descriptions of architectures by key."""
    recipes: Mapping[str, Mapping[str, Any]]
    """The values by path of recipe and data, where these differ within the study, by the key of the network."""
    hypervolume: float | None = None
    others: int = 0
    """Number of stored trials that do not belong to this run and are not counted."""
    what: Mapping[str, str] = field(default_factory=dict)
    """What each network is, by key: the values of its axes, or its arms."""

    @property
    def blocks(self) -> list[Block]:
        """The answer as blocks of a page."""
        volume = [] if self.hypervolume is None else [Text([f"hypervolume: {self.hypervolume:.6g}"])]
        return [*fronts.brief(self.title, self.points, self.what), *volume]


def ask(
    stored: StoredRun,
    *,
    wanted: str | None = None,
    where: str | None = None,
    budget: str | None = None,
    at_knee: bool = False,
    reference: str | None = None,
) -> Answer:
    """Query a run; options that are not given default to those of its study.

    Args:
        wanted: objectives, such as `error,macs`.
        where: a filter over `NAMES_IN_CONSTRAINTS`, such as `params <= 1e6`; keeps the networks for which it is true.
        budget: a second filter; returns the network of least error that satisfies it.
        at_knee: return only the knee of the front, where it bends most.
        reference: the point that the hypervolume is measured against, such as `error=0.9,macs=1e8`.

    Raises:
        InputError: an unknown objective, an invalid filter, a budget that no network satisfies, `at_knee` for a run
            without a finished trial, or a reference point that is not worse than the complete front.
    """
    folder, study, store = stored
    names = study.front_objectives if wanted is None else _checked("--objectives", parse_objectives, wanted)
    both = _both(study.result_constraint, _parsed("--where", where))
    own = membership.identities(study, folder, store)
    frame, others = store.results(own), store.count_foreign(membership.all_identities(study, folder, store))
    if budget is not None:
        kept = _both(both, _parsed("--budget", budget))
        assert kept is not None
        points = [best(frame, kept, seeds=study.confirmation_seeds, describe=store.describe)]
        title = f"least error with {kept.text}"
    else:
        points = front(frame, names, seeds=study.confirmation_seeds, where=both, describe=store.describe)
        title = f"front of {', '.join(names)}" + (f" where {both.text}" if both else "")
    values = [[point.values[name] for name in names] for point in points] if budget is None else []
    volume = None
    if reference is not None and values:
        corner = _corner(reference, names)
        check_reference(values, corner, names)
        volume = hypervolume(values, corner)
    if at_knee:
        if not values:
            raise InputError(
                "--knee: the front is empty" if budget is None else "--knee: cannot be used together with --budget"
            )
        points, title = [points[knee(values)]], f"knee of the {title}"
    nets = store.architectures([point.key for point in points])
    varied = membership.varied(study, store, {point.training for point in points})
    recipes = {point.key: varied[point.training] for point in points}
    return Answer(title, points, nets, recipes, volume, others, networks.of_study(stored, points, recipes))


def _checked(option: str, read: Callable[..., T], *given: Any) -> T:
    """Return `read(*given)`; add the option to the message of an error."""
    try:
        return read(*given)
    except InputError as error:
        raise InputError(f"{option}: {error}") from None


def _parsed(option: str, text: str | None) -> Expression | None:
    return None if text is None else _checked(option, Expression, text, NAMES_IN_CONSTRAINTS)


def _both(one: Expression | None, other: Expression | None) -> Expression | None:
    if one is None or other is None:
        return one or other
    return Expression(f"({one.text}) and ({other.text})", NAMES_IN_CONSTRAINTS)


def _corner(text: str, names: tuple[str, ...]) -> list[float]:
    """Return the numbers of a text such as `error=0.9,macs=1e8` in the order of the objectives."""
    given: dict[str, float] = {}
    for part in text.split(","):
        name, _, value = (piece.strip() for piece in part.partition("="))
        try:
            given[name] = float(value)
        except ValueError:
            raise InputError(f"--reference: must be NAME=NUMBER, such as {names[0]}=1; got {part!r}") from None
    if set(given) != set(names):
        raise InputError(f"--reference: needs a number for each of {', '.join(names)}; got {', '.join(given)}")
    return [given[name] for name in names]
