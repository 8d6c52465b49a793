"""Shared by all benchmarks: measure two sides alternately, take medians with their spread, write a file of results.

The file names machine, versions and commit. It is rewritten after each case, so an interrupted run loses one case.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Any, Literal, TypeVar

from search.files.atomic import write_text
from search.machine.session import commit, machine, versions

HERE = Path(__file__).parent
RESULTS = HERE / "results"

ROUNDS = 5
"""The usual number of measurements of each side."""

Found = TypeVar("Found")


@dataclass(frozen=True)
class Goal:
    """A bound on a measurement. Example: `Goal("most", 0.5, "s")` is at most half a second; unit `x` is a ratio."""

    at: Literal["least", "most"]
    bound: float
    unit: str = "x"

    def met(self, value: float) -> bool:
        return value >= self.bound if self.at == "least" else value <= self.bound

    def __str__(self) -> str:
        return f"at {self.at} {formatted(self.bound, self.unit)}"


@dataclass(frozen=True)
class Measured:
    """One line of the table: a median with the least and the greatest value, and the details of the measurement."""

    case: str
    goal: Goal | None
    value: float
    least: float
    most: float
    unit: str = "x"
    details: Mapping[str, Any] = field(default_factory=dict)
    """Seconds of each side, sizes, rounds: what is needed to judge the number."""

    def __str__(self) -> str:
        spread = (
            ""
            if self.least == self.most
            else f" ({formatted(self.least, self.unit)} to {formatted(self.most, self.unit)})"
        )
        goal = f"; goal {self.goal}: {'met' if self.goal.met(self.value) else 'missed'}" if self.goal else ""
        return f"{self.case}: {formatted(self.value, self.unit)}{spread}{goal}"


def in_turns(*sides: Callable[[], Found], rounds: int = ROUNDS, warm_up: int = 1) -> list[tuple[Found, ...]]:
    """Return all rounds of `each_round`."""
    return [*each_round(*sides, rounds=rounds, warm_up=warm_up)]


def each_round(*sides: Callable[[], Found], rounds: int = ROUNDS, warm_up: int = 1) -> Iterator[tuple[Found, ...]]:
    """Measure the sides alternately, so that other load slows all of them; yield one tuple of values per round.

    Each round starts with another side, so that none always follows the same one. Warm-up rounds are left out.
    """
    for number in range(warm_up + rounds):
        order = [*range(number % len(sides), len(sides)), *range(number % len(sides))]
        results = {place: sides[place]() for place in order}
        if number >= warm_up:
            yield tuple(results[place] for place in range(len(sides)))


def ratio(
    case: str, goal: Goal | None, rounds: Iterable[tuple[float, ...]], *, names: tuple[str, str], **details: Any
) -> Measured:
    """Return the first side divided by the second, the median over rounds; `names` are those of the sides."""
    pairs = [(first, second) for first, second, *_ in rounds]
    ratios = [first / second for first, second in pairs]
    sides = {name: median(side) for name, side in zip(names, zip(*pairs, strict=True), strict=True)}
    return Measured(
        case, goal, median(ratios), min(ratios), max(ratios), details={**sides, "rounds": len(pairs), **details}
    )


def median_of(case: str, goal: Goal | None, values: Iterable[float], unit: str = "s", **details: Any) -> Measured:
    """Return the median of values of one side."""
    found = list(values)
    return Measured(case, goal, median(found), min(found), max(found), unit, {"rounds": len(found), **details})


def formatted(value: float, unit: str) -> str:
    number = f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    return number + ("" if unit in ("x", "%") else " ") + unit


def main(
    measure: Callable[..., Iterable[Measured]], *, number: int, about: str, gpu: bool = False, rounds: int | None = None
) -> None:
    """Run a benchmark's command line, `[--quick] [--out FILE]`: print one line per case, write a file of all so far.

    `measure(quick)` yields the cases: fewer and smaller ones if quick. A case that is yielded again, with more rounds,
    replaces the earlier one. `number` is that of the goal; `about` is the docstring of the script, whose first line is
    its question in the table. With `rounds`, there is an option `--rounds`, by default that number or 1 if quick, and
    `measure(quick, rounds)` is called.
    """
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer and smaller cases")
    parser.add_argument("--out", type=Path, help="file to write")
    if rounds:
        parser.add_argument("--rounds", type=int, help=f"measurements of each side; {rounds} by default, 1 if quick")
    given = parser.parse_args()
    chosen = [given.rounds or (1 if given.quick else rounds)] if rounds else []
    script = Path(sys.argv[0]).stem
    # A committed file contains complete measurements only, so --quick writes none by default.
    out = given.out or (None if given.quick else RESULTS / f"{script}.json")
    found: dict[str, Measured] = {}

    def keep(*, finished: bool) -> None:
        if out and found:
            facts = result_facts(found.values(), number, about, script, gpu) | {"finished": finished}
            write_text(out, json.dumps(facts, indent=1, allow_nan=False) + "\n")

    for measured in measure(given.quick, *chosen):
        print(measured, flush=True)
        found[measured.case] = measured
        keep(finished=False)
    keep(finished=True)


def result_facts(found: Iterable[Measured], number: int, about: str, script: str, gpu: bool) -> dict[str, Any]:
    """Return the content of a file of results: the cases, and their machine, versions and commit."""
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
