"""The catalogue of published results that is shipped with the package.

Every number is in `published/results.csv` as the paper prints it. `paper` has the paper and table of the error, `costs`
those of parameters and MACs. If the network is one of our presets, it is in `preset` and `changes`, so that
`ablations.published_costs` can count costs that the paper does not print.

`statistic` is what the error is over the paper's runs: `mean`, `median`, `best` or `single`; empty if the paper does
not say. `runs` is their number. `spread_percent` is the standard deviation that the paper prints, around `mean_percent`
if the error itself is not the mean: 1512.03385, table 6, has 6.43 (6.61 ± 0.16), the best of five and their mean.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from importlib import resources as files
from typing import TYPE_CHECKING, Literal, get_args

from resnet_space.errors import InputError, unknown

if TYPE_CHECKING:
    from ablations.study import Ablation, Arm, Reference


Statistic = Literal["mean", "median", "best", "single", ""]
"""What a published error is over the runs of its paper; empty if the paper does not say."""


@dataclass(frozen=True)
class Published:
    """One published result. `error` is a fraction; None if the paper reports no number."""

    error: float | None
    fails: bool
    """Whether the paper reports "fail", which means a test error above 20 %."""
    dataset: str
    model: str
    metric: str
    """`test_error`, `top1` or `top5`."""
    paper: str
    """Paper and table of the error."""
    table: str = ""
    """The group of rows in this catalogue: a question (`shortcuts`), a family (`dense`), or `references`."""
    variant: str = ""
    """The difference from other rows of the same model."""
    remark: str = ""
    """How it was measured, if unusual."""
    params: float | None = None
    macs: float | None = None
    """Parameters and MACs as printed; None if the paper prints none."""
    costs: str = ""
    """Paper and table of parameters and MACs."""
    preset: str = ""
    changes: tuple[str, ...] = ()
    """The network as a preset with changes, each `PATH=VALUE`; empty if it is not one of our presets."""
    statistic: Statistic = ""
    runs: int | None = None
    """The number of runs; None if the paper does not say."""
    mean: float | None = None
    """The mean over the runs, a fraction, if it is printed next to another statistic."""
    spread: float | None = None
    """The standard deviation over the runs, a fraction; None if the paper prints none."""

    @classmethod
    def of(cls, row: Mapping[str, str]) -> Published:
        """Return the result of a row of the CSV file."""
        copied = ("dataset", "model", "metric", "paper", "table", "remark", "costs", "preset")
        return cls(
            error=_fraction(row["error_percent"]),
            fails=row["fails"] == "true",
            variant=_variant(row),
            params=float(row["params"]) if row["params"] else None,
            macs=float(row["macs"]) if row["macs"] else None,
            changes=tuple(filter(None, row["changes"].split(";"))),
            statistic=_statistic(row["statistic"]),
            runs=int(row["runs"]) if row["runs"] else None,
            mean=_fraction(row["mean_percent"]),
            spread=_fraction(row["spread_percent"]),
            **{column: row[column] for column in copied},
        )

    @property
    def name(self) -> str:
        """The name of the result: the network and its variant."""
        return f"{self.model} {self.variant}".rstrip()


@cache
def rows() -> tuple[Mapping[str, str], ...]:
    """Return the rows of `results.csv`: table, dataset, model, variant, ..., error_percent, fails, paper, ..."""
    text = (files.files("ablations") / "published" / "results.csv").read_text(encoding="utf-8")
    return tuple(csv.DictReader(text.splitlines()))


def catalogue(dataset: str | None = None) -> list[Published]:
    """Return all results, or those on one data set.

    Raises:
        InputError: the catalogue has no results on this data set.
    """
    if dataset is not None and dataset not in (known := sorted({row["dataset"] for row in rows()})):
        raise unknown("data set", dataset, known)
    return [Published.of(row) for row in rows() if dataset in (None, row["dataset"])]


def results_of_arms(study: Ablation) -> dict[str, Published]:
    """Return the published results of the arms that have a `published` row, by arm.

    Raises:
        InputError: an unknown table or column, or not exactly one row for an arm.
    """
    if study.published is None:
        return {}
    return {
        name: find_row(study.published, arm, f"arms.{name}.published")
        for name, arm in study.all_arms.items()
        if arm.published
    }


def find_row(reference: Reference, arm: Arm, path: str) -> Published:
    """Return the result of the one row in the reference's table that has all the arm's values."""
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
        raise InputError(
            f"{path}: {len(found)} rows of table {reference.table!r} match {wanted}; exactly one must match"
        )
    [row] = found
    return Published.of(row)


def _fraction(percent: str) -> float | None:
    return float(Decimal(percent) / 100) if percent else None


def _statistic(text: str) -> Statistic:
    for known in get_args(Statistic):
        if text == known:
            return known  # type: ignore[no-any-return]
    raise unknown("statistic", text, get_args(Statistic))


def _variant(row: Mapping[str, str]) -> str:
    """`exclusive gate, bias -6`, `constant scaling 0.5 0.5`: with the scaling factors if they are not both 1."""
    factors = [row["on_shortcut"], row["on_residual"]]
    is_scaled = all(re.fullmatch(r"[\d.]+", factor) for factor in factors) and factors != ["1", "1"]
    bias = f", bias {row['gate_bias_init']}" if row["gate_bias_init"] else ""
    return " ".join([row["variant"].replace("_", " "), *(factors if is_scaled else ())]) + bias
