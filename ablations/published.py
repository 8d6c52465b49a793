"""The catalogue of published results that comes with the package, by row.

Every number stands in `published/results.csv` as the paper prints it: the error with the paper's table in `paper`, its
parameters and MACs with theirs in `costs`. Where the network is one of our presets, `preset` and `changes` say which,
for `ablations.placing` to count what the paper does not print.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from importlib import resources as files
from typing import TYPE_CHECKING

from resnet_space.errors import InputError, unknown

if TYPE_CHECKING:
    from ablations.study import Ablation, Arm, Reference


@dataclass(frozen=True)
class Published:
    """One published result. `error` is a fraction, None where the paper reports no number."""

    error: float | None
    fails: bool
    """The paper reports "fail": a test error above 20 %."""
    dataset: str
    model: str
    metric: str
    """`test_error`, `top1` or `top5`."""
    paper: str
    """Paper and table of the error."""
    table: str = ""
    """What brings rows together here: a question (`shortcuts`), a family (`dense`), or `references`."""
    variant: str = ""
    """What tells it from other rows of the model."""
    remark: str = ""
    """How it was measured, where that is not the usual."""
    params: float | None = None
    macs: float | None = None
    """As printed, None where the paper prints none."""
    costs: str = ""
    """Paper and table of parameters and MACs."""
    preset: str = ""
    changes: tuple[str, ...] = ()
    """The network as a preset with changes, each `PATH=VALUE`; empty where it is none of ours."""

    @classmethod
    def of(cls, row: Mapping[str, str]) -> Published:
        """A row of the CSV."""
        as_they_stand = ("dataset", "model", "metric", "paper", "table", "remark", "costs", "preset")
        return cls(
            error=float(Decimal(row["error_percent"]) / 100) if row["error_percent"] else None,
            fails=row["fails"] == "true",
            variant=_variant(row),
            params=float(row["params"]) if row["params"] else None,
            macs=float(row["macs"]) if row["macs"] else None,
            changes=tuple(filter(None, row["changes"].split(";"))),
            **{column: row[column] for column in as_they_stand},
        )

    @property
    def name(self) -> str:
        """What it is called among others: the network, and what is changed in it."""
        return f"{self.model} {self.variant}".rstrip()


@cache
def rows() -> tuple[Mapping[str, str], ...]:
    """`results.csv` as it stands: table, dataset, model, variant, ..., error_percent, fails, paper, ..."""
    text = (files.files("ablations") / "published" / "results.csv").read_text(encoding="utf-8")
    return tuple(csv.DictReader(text.splitlines()))


def catalogue(dataset: str | None = None) -> list[Published]:
    """All rows, or those of a data set.

    Raises:
        InputError: a data set that nothing is published on here.
    """
    if dataset is not None and dataset not in (there := sorted({row["dataset"] for row in rows()})):
        raise unknown("data set", dataset, there)
    return [Published.of(row) for row in rows() if dataset in (None, row["dataset"])]


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
    return Published.of(row)


def _variant(row: Mapping[str, str]) -> str:
    """`exclusive gate, bias -6`, `constant scaling 0.5 0.5`: with the factors where they are numbers other than 1."""
    factors = [row["on_shortcut"], row["on_residual"]]
    is_scaled = all(re.fullmatch(r"[\d.]+", factor) for factor in factors) and factors != ["1", "1"]
    bias = f", bias {row['gate_bias_init']}" if row["gate_bias_init"] else ""
    return " ".join([row["variant"].replace("_", " "), *(factors if is_scaled else ())]) + bias
