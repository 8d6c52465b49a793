"""The published tables that come with the package, by row."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources as files

from ablations.study import Ablation, Arm, Reference
from resnet_space.errors import InputError, unknown


@dataclass(frozen=True)
class Published:
    """One published result. `error` is a fraction, None where the paper reports no number."""

    error: float | None
    fails: bool
    """The paper reports "fail": a test error above 20 %."""
    dataset: str
    model: str
    metric: str
    paper: str


@cache
def rows() -> tuple[Mapping[str, str], ...]:
    """`results.csv` as it stands: table, dataset, model, variant, ..., error_percent, fails, paper."""
    text = (files.files("ablations") / "published" / "results.csv").read_text(encoding="utf-8")
    return tuple(csv.DictReader(text.splitlines()))


def of_arms(study: Ablation) -> dict[str, Published]:
    """What was published for the arms that say which row is theirs.

    Raises:
        InputError: a table or column that is not there, or an arm that does not have exactly one row.
    """
    if study.published is None:
        return {}
    return {
        name: find(study.published, arm, f"arms.{name}.published")
        for name, arm in study.listed.items()
        if arm.published
    }


def find(reference: Reference, arm: Arm, path: str) -> Published:
    """The one row of the reference's table that has all the arm's values."""
    tables = sorted({row["table"] for row in rows()})
    if reference.table not in tables:
        raise unknown("table", reference.table, tables, path="published.table")
    wanted = {**reference.match, **{column: str(value) for column, value in arm.published.items()}}
    for column in wanted:
        if column not in rows()[0]:
            raise unknown("column", column, rows()[0], path=path)
    found = [
        row
        for row in rows()
        if row["table"] == reference.table and all(row[column] == value for column, value in wanted.items())
    ]
    if len(found) != 1:
        raise InputError(f"{path}: {len(found)} rows of table {reference.table!r} have {wanted}; must be one")
    [row] = found
    return Published(
        error=float(row["error_percent"]) / 100 if row["error_percent"] else None,
        fails=row["fails"] == "true",
        dataset=row["dataset"],
        model=row["model"],
        metric=row["metric"],
        paper=row["paper"],
    )
