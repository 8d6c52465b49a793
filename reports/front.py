"""A front as a table for people, as JSON and as CSV."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from reports import spreadsheet
from reports.numbers import engineering, percent
from reports.page import Grid, texts
from resnet_space import Architecture
from search.exploring.run import SearchRun
from search.fronts.front import Point
from search.fronts.objectives import OBJECTIVES

HEADINGS = (
    "network",
    "depth",
    "parameters",
    "MACs",
    "validation error, %",
    "test error, %",
    "n",
    "P(front)",
    "confirmed",
)

NUMERIC = HEADINGS[1:-1]

Networks = Mapping[str, dict[str, Any]]
"""Descriptions by key."""


def cells(points: Sequence[Point]) -> list[tuple[str, ...]]:
    """One row of texts a network, under `HEADINGS`."""
    return [
        (
            point.key,
            str(point.depth),
            _number(point.params),
            _number(point.macs),
            percent(point.error, point.error_std),
            percent(point.test_error, point.test_error_std),
            str(point.n),
            "" if point.p_nondominated is None else f"{point.p_nondominated:.2f}",
            "confirmed" if point.confirmed else "provisional",
        )
        for point in points
    ]


def table(caption: str, points: Sequence[Point], notes: Sequence[str] = ()) -> Grid:
    """One row a network."""
    return Grid(caption, HEADINGS, NUMERIC, texts(cells(points)), notes=notes)


def printed(caption: str, points: Sequence[Point], notes: Sequence[str], label: str) -> Grid:
    """One row a network, as a paper prints it."""
    rows = [row[:-1] for row in cells(points)]
    return Grid(caption, HEADINGS[:-1], NUMERIC, texts(rows), notes=notes, label=label)


def cost(point: Point) -> str:
    """What a network costs, in words."""
    return f"{_number(point.macs)} MACs and {_number(point.params)} parameters"


def _number(count: int | None) -> str:
    return "-" if count is None else engineering(count)


def differences(nets: Sequence[Architecture]) -> list[str]:
    """What tells each network from the others: fields that are not the same in all, `order=original, width=0.5`."""
    flat = [_flat(net.to_dict()) for net in nets]
    paths = dict.fromkeys(path for own in flat for path in own)
    # As text: a value may be a list.
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
    "p_nondominated",
    "confirmed",
    "architecture",
)
"""Of JSON and CSV."""


def rows(points: Sequence[Point], nets: Networks) -> list[dict[str, Any]]:
    """One mapping a network; errors are fractions, what is not known is None."""
    return [
        {name: getattr(point, name) for name in COLUMNS[:-1]} | {"architecture": nets[point.key]} for point in points
    ]


def as_json(points: Sequence[Point], nets: Networks) -> str:
    return json.dumps(rows(points, nets), indent=2, allow_nan=False) + "\n"


def as_csv(points: Sequence[Point], nets: Networks) -> str:
    """The same; the architecture is JSON in one cell."""
    described = [{**row, "architecture": json.dumps(row["architecture"])} for row in rows(points, nets)]
    return spreadsheet.text(COLUMNS, described)


def of_run(run: SearchRun) -> str:
    """The front of a search's own objectives, as CSV."""
    return as_csv(run.front, _described(run))


def _described(run: SearchRun) -> Networks:
    return {key: net.to_dict() for key, net in run.nets.items()}


def as_parquet(run: SearchRun) -> bytes:
    import pandas as pd

    table = [{**row, "architecture": json.dumps(row["architecture"])} for row in rows(run.front, _described(run))]
    file = io.BytesIO()
    pd.DataFrame(table, columns=list(COLUMNS)).to_parquet(file, index=False)
    return file.getvalue()


FORMATS: dict[str, Callable[[Sequence[Point], Networks], str]] = {"json": as_json, "csv": as_csv}
"""By the name after `--format`; the format `table` is the terminal's."""


def legend(points: Sequence[Point]) -> list[str]:
    """What the columns mean."""
    lines = [
        "errors: mean ± standard deviation over n seeds. Networks are chosen by the validation error; the test error "
        "is what to expect elsewhere.",
        "confirmed: over fresh seeds, which it was not chosen by; provisional: a lucky seed may have brought it here.",
    ]
    if any(point.p_nondominated is not None for point in points):
        lines.append(
            "P(front): the probability of being non-dominated if errors were drawn anew (bootstrap over seeds)."
        )
    return lines


def objective_text(name: str, value: float) -> str:
    """A value of an objective, for people."""
    objective = OBJECTIVES[name]
    if objective.percent:
        return f"{100 * value:.2f} %"
    return engineering(value)
