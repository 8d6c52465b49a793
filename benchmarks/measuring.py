"""What every benchmark does: two sides in turns, medians with their spread, a file that says where and with what.

The file is written anew after each case, so a run that is cut loses one case.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Any, Literal

from search.files.atomic import write_text
from search.machine.session import commit, machine, versions

HERE = Path(__file__).parent
RESULTS = HERE / "results"

ROUNDS = 5
"""Times that each side is measured at the least."""


@dataclass(frozen=True)
class Goal:
    """A bound on what is measured: `at` least or most so many times (`x`), or seconds (`s`), or another unit."""

    at: Literal["least", "most"]
    bound: float
    unit: str = "x"

    def met(self, value: float) -> bool:
        return value >= self.bound if self.at == "least" else value <= self.bound

    def __str__(self) -> str:
        return f"at {self.at} {told(self.bound, self.unit)}"


@dataclass(frozen=True)
class Measured:
    """One line of the table: a median with the least and the most, and what it was made of."""

    case: str
    goal: Goal | None
    value: float
    least: float
    most: float
    unit: str = "x"
    details: Mapping[str, Any] = field(default_factory=dict)
    """Seconds on either side, sizes, rounds: whatever is needed to judge the number."""

    def __str__(self) -> str:
        spread = "" if self.least == self.most else f" ({told(self.least, self.unit)} to {told(self.most, self.unit)})"
        goal = f"; goal {self.goal}: {'met' if self.goal.met(self.value) else 'missed'}" if self.goal else ""
        return f"{self.case}: {told(self.value, self.unit)}{spread}{goal}"


def in_turns(*sides: Callable[[], float], rounds: int = ROUNDS, warm_up: int = 1) -> list[tuple[float, ...]]:
    """What each side returns, one after another, so many rounds: a machine that is busy with something else slows all.

    The first side of a round changes, so that none always follows the same one. Rounds to warm up are left out.
    """
    found = []
    for number in range(warm_up + rounds):
        order = [*range(number % len(sides), len(sides)), *range(number % len(sides))]
        results = {place: sides[place]() for place in order}
        found.append(tuple(results[place] for place in range(len(sides))))
    return found[warm_up:]


def ratio(
    case: str, goal: Goal | None, rounds: Iterable[tuple[float, ...]], *, names: tuple[str, str], **details: Any
) -> Measured:
    """How many times the first side is the second, the median over rounds; `names` are what the sides are called."""
    pairs = [(first, second) for first, second, *_ in rounds]
    ratios = [first / second for first, second in pairs]
    sides = {name: median(side) for name, side in zip(names, zip(*pairs, strict=True), strict=True)}
    return Measured(
        case, goal, median(ratios), min(ratios), max(ratios), details={**sides, "rounds": len(pairs), **details}
    )


def several(case: str, goal: Goal | None, values: Iterable[float], unit: str = "s", **details: Any) -> Measured:
    """The median of values that are not compared with anything."""
    found = list(values)
    return Measured(case, goal, median(found), min(found), max(found), unit, {"rounds": len(found), **details})


def told(value: float, unit: str) -> str:
    number = f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    return number + ("" if unit in ("x", "%") else " ") + unit


def main(measure: Callable[[bool], Iterable[Measured]], *, number: int, about: str, gpu: bool = False) -> None:
    """The command line of a benchmark: `[--quick] [--out FILE]`. A line a case, and a file of all so far.

    `measure` is told whether to be quick: fewer and smaller cases of the same table. `number` is the goal's, `about`
    the docstring of the script, whose first line stands in the table.
    """
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer and smaller cases")
    parser.add_argument("--out", type=Path, help="file to write")
    given = parser.parse_args()
    script = Path(sys.argv[0]).stem
    # A file that is committed holds whole measurements only.
    out = given.out or (None if given.quick else RESULTS / f"{script}.json")
    found: list[Measured] = []

    def keep(*, finished: bool) -> None:
        if out and found:
            facts = written(found, number, about, script, gpu) | {"finished": finished}
            write_text(out, json.dumps(facts, indent=1, allow_nan=False) + "\n")

    for measured in measure(given.quick):
        print(measured, flush=True)
        found.append(measured)
        keep(finished=False)
    keep(finished=True)


def written(found: Iterable[Measured], number: int, about: str, script: str, gpu: bool) -> dict[str, Any]:
    """What a file of results holds: the cases, and where and with what they were measured."""
    here = {name: fact for name, fact in machine().items() if name != "host"}
    return {
        "goal": number,
        "question": about.strip().splitlines()[0],
        "script": script,
        "gpu": gpu,
        "machine": here,
        "load_before": os.getloadavg()[2],
        "versions": versions(),
        "commit": commit(),
        "cases": [asdict(measured) for measured in found],
    }
