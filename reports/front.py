"""A Pareto front as a table, as JSON, CSV and Parquet."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from reports import spreadsheet
from reports.numbers import engineering, percent
from reports.page import Block, Cell, Grid, Mark, Text
from resnet_space import Architecture
from search.exploring.run import SearchRun
from search.fronts.front import Point
from search.fronts.objectives import OBJECTIVES
from search.measures.catalogue import MEASURES

SHOWN = ("error", "params", "macs")
"""Objectives that have a column in every table of a front."""

Networks = Mapping[str, dict[str, Any]]
"""Descriptions of architectures by key."""

Recipes = Mapping[str, Mapping[str, Any]]
"""The values by path of recipe and data, where these differ within the study, by the key of the network."""

NOTHING: Recipes = MappingProxyType({})


def headings(points: Sequence[Point]) -> list[str]:
    """Return the headings of the table of a front, with its further objectives, such as the latency."""
    more = [OBJECTIVES[name].heading for name in _further(points)]
    errors = [OBJECTIVES["error"].heading, MEASURES["test_error"].heading]
    return ["network", "depth", "parameters", "MACs", *more, *errors, "n", "P(front)", CONFIRMED]


def _further(points: Sequence[Point]) -> list[str]:
    return [name for name in (points[0].values if points else ()) if name not in SHOWN]


def cells(points: Sequence[Point]) -> list[tuple[str, ...]]:
    """Return one row of texts per network, in the order of `headings`."""
    further = _further(points)
    return [
        (
            point.key,
            str(point.depth),
            _number(point.params),
            _number(point.macs),
            *(objective_text(name, point.values[name]) for name in further),
            percent(point.error, point.error_std),
            percent(point.test_error, point.test_error_std),
            str(point.n),
            "" if point.p_nondominated is None else f"{point.p_nondominated:.2f}",
            "confirmed" if point.confirmed else "provisional",
        )
        for point in points
    ]


NO_RESULT = "no network has a finished trial yet"
CALLED = "what it is"
"""The heading of what a network is: the values of its axes, or its arm."""
CONFIRMED = "confirmed"
PROVISIONAL = "provisional: can be on the front by chance."
NARROW = {"validation error, %": "error, %", "test error, %": "test, %"}
"""Short headings of the columns of a narrow table."""


def table(
    caption: str, points: Sequence[Point], notes: Sequence[str] = (), what: Mapping[str, str] | None = None
) -> Grid:
    """Return the table of a front, one row per network. `what` says by key what a network is."""
    shown = headings(points)
    numeric = [heading for heading in shown[1:] if heading != CONFIRMED]
    rows = [
        [Cell(point.key), Cell((what or {}).get(point.key, "")), *map(Cell, row[1:])]
        for point, row in zip(points, cells(points), strict=True)
    ]
    return Grid(caption, [shown[0], CALLED, *shown[1:]], numeric, rows, notes=notes).without_empty_columns()


def brief(caption: str, points: Sequence[Point], what: Mapping[str, str] | None = None) -> list[Block]:
    """Return the table of a front for a terminal of 80 columns, with its notes; without networks a line."""
    if not points:
        return [Text([f"{caption}: {NO_RESULT}" if caption else NO_RESULT])]
    whole = table(caption, points, what=what)
    errors = [heading for heading in whole.headings if heading in NARROW]
    seeds = {point.n for point in points}
    made = whole.without("depth", "parameters", "P(front)", CONFIRMED, *(["n"] if len(seeds) == 1 else []))
    at = list(made.headings).index(errors[0])
    rows = [
        [replace(cell, mark="open") if place == at and not point.confirmed else cell for place, cell in enumerate(row)]
        for point, row in zip(points, made.rows, strict=True)
    ]
    short = [NARROW.get(heading, heading) for heading in made.headings]
    numeric = [NARROW.get(heading, heading) for heading in made.numeric]
    legend: dict[Mark, str] = {} if all(point.confirmed for point in points) else {"open": PROVISIONAL}
    number = "n seeds" if len(seeds) > 1 else f"{(n := next(iter(seeds)))} seed{'s' * (n != 1)}"
    notes = [
        f"error: on the validation split, which selects networks; test: estimates it on new data. Means over {number}."
    ]
    return [Grid(caption, short, [each for each in numeric if each in short], rows, notes=notes, legend=legend)]


def printed(
    caption: str, points: Sequence[Point], notes: Sequence[str], label: str, what: Mapping[str, str] | None = None
) -> Grid:
    """Return the table of a front for a paper, one row per network."""
    made = table(caption, points, notes, what).without(CONFIRMED)
    return replace(made, label=label)


def cost(point: Point) -> str:
    """Return the cost of a network in words, such as `41M MACs and 270k parameters`."""
    return f"{_number(point.macs)} MACs and {_number(point.params)} parameters"


def _number(count: int | None) -> str:
    return "-" if count is None else engineering(count)


def differences(nets: Sequence[Architecture]) -> list[str]:
    """Return, for each network, the fields that differ between networks, such as `order=original, width=0.5`."""
    flat = [_flat(net.to_dict()) for net in nets]
    paths = dict.fromkeys(path for own in flat for path in own)
    # Compare as text: a value can be a list, which is not hashable.
    differ = {path for path in paths if len({repr(own.get(path)) for own in flat}) > 1}
    return [", ".join(f"{path}={value}" for path, value in own.items() if path in differ) for own in flat]


def _flat(data: Any, path: str = "") -> dict[str, Any]:
    if isinstance(data, dict):
        items = [(f"{path}.{name}".lstrip("."), value) for name, value in data.items()]
    elif isinstance(data, list) and any(isinstance(value, dict | list) for value in data):
        items = [(f"{path}.{index}", value) for index, value in enumerate(data)]
    else:
        return {path: data}
    return {name: value for at, part in items for name, value in _flat(part, at).items()}


COLUMNS = (
    "key",
    "error",
    "error_std",
    "n",
    "test_error",
    "test_error_std",
    "depth",
    "params",
    "macs",
    "activations",
    "latency_ms",
    "seconds",
    "p_nondominated",
    "confirmed",
    "recipe",
    "architecture",
)
"""Columns of JSON, CSV and Parquet."""


def rows(points: Sequence[Point], nets: Networks, recipes: Recipes = NOTHING) -> list[dict[str, Any]]:
    """Return one mapping per network. Errors are fractions; unknown values are None.

    `recipe` has the values by path of recipe and data, where these differ within the study.
    """
    return [
        {name: getattr(point, name) for name in COLUMNS[:-2]}
        | {"recipe": dict(recipes.get(point.key, {})), "architecture": nets[point.key]}
        for point in points
    ]


def as_json(points: Sequence[Point], nets: Networks, recipes: Recipes = NOTHING) -> str:
    return json.dumps(rows(points, nets, recipes), indent=2, allow_nan=False) + "\n"


def as_csv(points: Sequence[Point], nets: Networks, recipes: Recipes = NOTHING) -> str:
    """Return the front as CSV, with the recipe and the architecture as JSON in one cell each."""
    return spreadsheet.text(COLUMNS, _in_one_cell(points, nets, recipes))


def _in_one_cell(points: Sequence[Point], nets: Networks, recipes: Recipes) -> list[dict[str, Any]]:
    return [
        {**row, **{name: json.dumps(row[name]) for name in ("recipe", "architecture")}}
        for row in rows(points, nets, recipes)
    ]


def of_run(run: SearchRun) -> str:
    """Return the front over the objectives of the study, as CSV."""
    return as_csv(run.front, _described(run), run.recipes)


def _described(run: SearchRun) -> Networks:
    return {key: net.to_dict() for key, net in run.nets.items()}


def as_parquet(run: SearchRun) -> bytes:
    return spreadsheet.parquet(COLUMNS, _in_one_cell(run.front, _described(run), run.recipes))


FORMATS: dict[str, Callable[[Sequence[Point], Networks, Recipes], str]] = {"json": as_json, "csv": as_csv}
"""Renderers by the value of `--format`; the format `table` is rendered by the terminal."""


def legend(points: Sequence[Point], recipes: Recipes = NOTHING) -> list[str]:
    """Return notes on the meaning of the columns."""
    lines = [
        "errors: mean ± standard deviation over n seeds. Networks are selected by validation error; the test error "
        "estimates the error on new data.",
        "confirmed: mean over fresh seeds, not used for selection; provisional: can be on the front by chance.",
    ]
    if any(recipes.get(point.key) for point in points):
        lines.append("recipe and data: those with which the network has the lowest validation error.")
    if any(point.p_nondominated is not None for point in points):
        lines.append(
            "P(front): the probability of being non-dominated if the errors were sampled again (bootstrap over seeds)."
        )
    return lines


def objective_text(name: str, value: float) -> str:
    """Return a value of an objective as text, with its unit if that is %."""
    objective = OBJECTIVES[name]
    if objective.percent:
        return f"{100 * value:.2f} %"
    return engineering(value)
