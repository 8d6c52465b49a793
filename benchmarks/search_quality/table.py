"""Tables of trained networks: every network of a space, its validation errors by seed and epoch, and its cost.

A table is a folder of `tables/`: `table.yaml` says what is trained, `table.csv` has one row per assignment and seed,
and `origin.json` says where the numbers come from.
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from ruamel.yaml import YAML

from resnet_space import Complexity, Space, complexity
from search.fronts.dominance import hypervolume, hypervolume_trace

TABLES = Path(__file__).parent / "tables"
WORST = 0.9
"""The error of a network that did not train, with ten classes; also the reference point."""
SCALES: dict[str, Callable[[float], float]] = {"log": math.log10, "linear": float}
"""How costs count in the hypervolume: their logarithm, or as they are."""
EPOCH = "epoch_"
"""The prefix of the columns with the validation error after each epoch."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Plan:
    """What a table contains: each network of `space`, trained with seeds 0, 1, ... on `data` by `recipe`."""

    data: Any
    recipe: Any
    seeds: int
    space: Space

    @classmethod
    def of(cls, folder: Path) -> Plan:
        content = YAML(typ="safe").load(folder / "table.yaml")
        return cls(content["data"], content["recipe"], content["seeds"], Space.of(content["space"]))


@dataclass(frozen=True)
class Table:
    """The results of all networks, by key.

    `errors` has shape (seeds, epochs) for each network. A table without curves knows only the last epoch; the other
    columns are NaN.
    """

    name: str
    space: Any
    """A `Space`, or what samplers use of one."""
    errors: Mapping[str, Floats]
    costs: Mapping[str, float]
    has_curves: bool
    cost: str = "macs"
    """The name of the cost."""
    count: Callable[[Any], Complexity] = complexity
    """The complexity of a network of the space."""
    origin: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, folder: Path) -> Table:
        origin = json.loads((folder / "origin.json").read_text(encoding="utf-8"))
        epochs = int(origin["recipe"]["epochs"])
        rows: dict[str, list[list[float]]] = {}
        costs: dict[str, float] = {}
        has_curves = True
        with (folder / "table.csv").open(encoding="utf-8") as file:
            for row in csv.DictReader(file):
                columns = [row.get(f"{EPOCH}{epoch}") for epoch in range(1, epochs + 1)]
                has_curves &= None not in columns
                # After the epoch in which a trial diverged, its cells are empty.
                curve = [math.nan if cell is None else float(cell or WORST) for cell in columns]
                curve[-1] = float(row["validation_error"]) if row["status"] == "complete" else WORST
                rows.setdefault(row["assignment"], []).append(curve)
                costs[row["assignment"]] = float(row["macs"])
        # Keys are not stored: they change when descriptions get new fields.
        space = Plan.of(folder).space
        keys = {text: space.architecture(json.loads(text)).key for text in rows}
        errors = {keys[text]: np.array(curves) for text, curves in rows.items()}
        macs = {keys[text]: cost for text, cost in costs.items()}
        return cls(folder.name, space, errors, macs, has_curves, origin=origin)

    @property
    def epochs(self) -> int:
        return next(iter(self.errors.values())).shape[1]

    @cached_property
    def truth(self) -> dict[str, float]:
        """The error of each network, trained completely: the mean over its seeds."""
        return {key: float(curves[:, -1].mean()) for key, curves in self.errors.items()}

    def share(self, keys: Iterable[str], scale: str) -> Floats:
        """Return the hypervolume after each of the networks, as a share of that of all networks of the table.

        Over the error and the cost on this scale, below the point (`WORST`, the largest network).
        """
        cost = SCALES[scale]
        corner = (WORST, cost(self.most * 1.01))

        def points(keys: Iterable[str]) -> Floats:
            return np.array([(self.truth[key], cost(self.costs[key])) for key in keys]).reshape(-1, 2)

        return hypervolume_trace(points(keys), corner) / hypervolume(points(self.truth), corner)

    @cached_property
    def most(self) -> float:
        """The largest cost."""
        return max(self.costs.values())

    def counted(self, cost: float, scale: str) -> float:
        """Return a cost on this scale, from 0 for the smallest to 1 for the largest network."""
        least, most, value = (SCALES[scale](each) for each in (min(self.costs.values()), self.most, cost))
        return (value - least) / (most - least)


def names() -> list[str]:
    """Return the names of the tables that have been trained."""
    return sorted(path.parent.name for path in TABLES.glob("*/table.csv"))
