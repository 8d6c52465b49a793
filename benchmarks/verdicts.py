"""How often is a verdict of an ablation false, how often is a difference found, and how often is an interval right?

Each cell repeats simulated ablations (`simulated_arms.py`) and counts what the study's findings claim. False alarms:
the share of ablations with a false claim in their family. Power: the share of right claims among those that could be
made. Coverage: the share of intervals that contain the true difference. The table in `docs/verdicts.md` is made of
these.

    python benchmarks/verdicts.py             all cells, 24 minutes beside other work
    python benchmarks/verdicts.py --again "spreads of df 1"     the cells with these words again; the others are kept
    python benchmarks/verdicts.py --table     no simulation: write the table in docs/verdicts.md from results/
"""

from __future__ import annotations

import os

# Before anything imports numpy.
os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")

import json
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from math import inf
from typing import Any

from measuring import HERE, RESULTS, Goal, Measured, main
from simulated_arms import Cell, Tally, simulate

from search.files.atomic import write_text
from search.machine.session import commit

ALPHA, TOLERANCE = 0.05, 0.01
"""The most false alarms, and how far coverage may be below what the intervals promise: 94 % of those of 95 %."""
REPETITIONS, MORE, QUICK = 400, 500, 20
"""Of a cell, of one whose study has at most four arms and one analysis, and of all with `--quick`."""
PAGE = HERE.parent / "docs" / "verdicts.md"
BEGIN, END = "<!-- table: benchmarks/verdicts.py -->", "<!-- end of table -->"


@dataclass(frozen=True)
class Group:
    """Cells with one question."""

    name: str
    cells: Sequence[Cell]
    false_alarms: bool = True
    """Whether false alarms of its cells may be at most `ALPHA`."""
    power: float | None = None
    """The least power of its cells."""


def cells(*each: Mapping[str, Any], **shared: Any) -> list[Cell]:
    return [Cell(**{**shared, **fields}) for fields in each]


def sized(*sizes: tuple[int, int], **shared: Any) -> list[Cell]:
    """Cells with these numbers of seeds and arms."""
    return [Cell(seeds=seeds, arms=arms, **shared) for seeds, arms in sizes]


FINE: dict[str, Any] = {"images": 10_000, "error": 0.1}
"""So many images that the spread over seeds decides."""

GROUPS = (
    Group("two seeds, ten arms", sized((2, 10)), power=0.5),
    Group("three seeds, ten arms", sized((3, 10)), power=0.75),
    Group(
        "seeds, arms and spreads",
        [
            *sized((2, 2), (2, 4), (2, 30), (3, 4), (3, 30), (5, 2), (5, 10), (10, 2), (10, 4), (10, 30)),
            *sized((2, 10), (3, 4), (5, 10), (10, 4), prior=inf),
        ],
    ),
    Group(
        "errors and images",
        [
            *sized((2, 10), error=0.003, images=100),
            *sized((5, 4), error=0.003, images=1000),
            *sized((3, 10), error=0.003, images=10_000),
            *sized((2, 10), error=0.01, images=10_000),
            *sized((5, 4), error=0.05, images=1000),
            *sized((3, 4), error=0.1, images=100),
            *sized((2, 4), (10, 4), error=0.4, images=100),
            *sized((3, 10), error=0.4, images=10_000),
        ],
    ),
    Group(
        "one seed in twenty fails",
        [
            *sized((2, 10), (3, 4), (3, 30), (5, 10), (10, 4), collapse=0.05),
            *sized((2, 10), (3, 10), (5, 4), collapse=0.05, diverges=True),
        ],
    ),
    Group("an arm fails at every seed", sized((2, 4), (3, 10), (5, 2), (10, 4), failing=True)),
    Group(
        "no spread over seeds",
        [
            *sized((2, 10), (3, 4), (5, 4), (10, 4), spread=0.0),
            *sized((3, 4), spread=0.0, failing=True),
            *sized((3, 10), spread=0.0, images=10_000),
        ],
    ),
    Group("seeds that pair arms", sized((3, 10), (5, 4), correlation=0.5, **FINE)),
    Group("seeds that pair arms closely", sized((2, 10), (3, 10), (3, 2), (5, 4), correlation=0.9, **FINE)),
    Group("spreads that differ a hundredfold", sized((4, 4), (5, 2), (5, 10), (5, 30), (10, 4), prior=1)),
    Group(
        "one seed in five fails",
        [
            *sized((4, 10), (10, 4), collapse=0.2),
            *sized((4, 10), (4, 30), (5, 4), (10, 4), collapse=0.2, diverges=True),
        ],
    ),
    Group("few seeds and spreads that differ a hundredfold", sized((2, 2), (2, 4), (2, 10), (3, 4), (3, 10), prior=1)),
    Group(
        "few seeds, of which one in five fails: the verdict says that they are too few",
        [*sized((2, 10), (3, 10), collapse=0.2), *sized((2, 10), (3, 10), (3, 30), collapse=0.2, diverges=True)],
        false_alarms=False,
    ),
    Group(
        "interim analyses",
        cells(
            {"seeds": {"min": 2, "max": 6}},
            {"seeds": {"min": 3, "max": 10}},
            {"seeds": {"min": 3, "max": 9, "by": 3}, "arms": 10},
            {"seeds": {"min": 4, "max": 8}, "prior": 1},
            {"seeds": {"min": 2, "max": 6}, "collapse": 0.05, "diverges": True},
            {"seeds": {"min": 3, "max": 8}, "correlation": 0.9, **FINE},
            {"seeds": {"min": 3, "max": 8}, "spread": 0.0},
            arms=4,
        ),
    ),
    Group(
        "equivalence",
        [
            *sized((2, 10), (3, 4), (3, 30), (5, 2), (10, 4), error=0.1, margin=0.8),
            *sized((2, 10), error=0.01, images=100, margin=2.0),
            *sized((10, 4), error=0.01, images=100, margin=1.5),
            *sized((3, 4), error=0.003, images=10_000, margin=0.5),
            *sized((3, 10), error=0.4, images=1000, margin=0.5, fail_above=0.9),
            *sized((3, 10), error=0.05, images=10_000, margin=0.2, spread=0.0),
            *sized((3, 10), (5, 4), error=0.05, images=10_000, margin=0.4, correlation=0.9),
            *sized((3, 10), error=0.05, margin=0.8, collapse=0.05),
            *sized((5, 4), (10, 4), error=0.05, margin=0.8, prior=1, of_means=False),
            *sized((5, 4), (10, 4), error=0.05, margin=0.8, prior=1),
            Cell(seeds={"min": 3, "max": 8}, arms=4, error=0.05, margin=0.8),
        ],
    ),
    Group(
        "intervals of 95 %",
        [
            replace(cell, adjust="none")
            for cell in [
                *sized((2, 10), (3, 4), (5, 4), (10, 4)),
                *sized((3, 4), prior=inf),
                *sized((3, 4), error=0.01, images=100),
                *sized((3, 4), error=0.003, images=1000),
                *sized((5, 4), error=0.4, images=10_000, fail_above=0.99),
                *sized((3, 4), spread=0.0),
                *sized((3, 4), (10, 4), correlation=0.9, **FINE),
                *sized((5, 4), (10, 4), prior=1, fail_above=0.99),
                *sized((5, 4), (10, 4), error=0.05, collapse=0.2),
                *sized((3, 4), (5, 4), (10, 4), error=0.05, collapse=0.2, diverges=True),
                *sized((5, 4), (10, 4), prior=1),
            ]
        ],
        false_alarms=False,
    ),
)


def facts(tally: Tally, group: Group, seconds: float) -> dict[str, Any]:
    """What the table says about a cell."""
    low, high = tally.false_alarms_range
    found: dict[str, Any] = {
        "cell": {name: "inf" if value == inf else value for name, value in asdict(tally.cell).items()},
        "repetitions": tally.repetitions,
        "false_alarms": tally.false_alarms,
        "false_alarms_low": low,
        "false_alarms_high": high,
        "power": tally.power,
        "coverage": tally.coverage if tally.shares else None,
        "coverage_of_all": tally.coverage_of_all if tally.shares else None,
        "coverage_error": tally.coverage_error if len(tally.shares) > 1 else None,
        "confidence": sum(tally.confidence) / len(tally.confidence) if tally.confidence else None,
        "rates_covering": tally.rates_covering / tally.rates if tally.rates else None,
        "seconds": round(seconds, 1),
    }
    found["short"] = [name for name, missed in shortfalls(found, group).items() if missed]
    return found


def shortfalls(found: Mapping[str, Any], group: Group) -> dict[str, bool]:
    """Which goals a cell misses by more than the error of the simulation: two standard errors, 95 %."""
    return {
        "false alarms": group.false_alarms and found["false_alarms_low"] > ALPHA,
        "power": group.power is not None and found["power"] < group.power,
        "coverage": found["coverage"] is not None
        and found["coverage"] + 2 * (found["coverage_error"] or 0) < found["confidence"] - TOLERANCE,
    }


def measure(quick: bool) -> Iterator[Measured]:
    for group in GROUPS:
        yield summary(group, [measured(group, number, quick) for number in range(len(group.cells))])


def measured(group: Group, number: int, quick: bool = False) -> dict[str, Any]:
    """Simulate a cell of a group, and print its row of the table."""
    began, cell = time.perf_counter(), group.cells[number]
    few = cell.arms <= 4 and isinstance(cell.seeds, int)
    tally = simulate(cell, QUICK if quick else MORE if few else REPETITIONS, seed=number)
    found = facts(tally, group, time.perf_counter() - began)
    print(f"  {described(found['cell'])}: {line(found)}", file=sys.stderr, flush=True)
    return found


def again(words: str) -> None:
    """Simulate the cells again whose description contains these words, and keep the stored results of the others."""
    path = RESULTS / "verdicts.json"
    stored = json.loads(path.read_text(encoding="utf-8"))
    for group, case in zip(GROUPS, stored["cases"], strict=True):
        kept = case["details"]["cells"]
        found = [
            measured(group, number) | {"commit": commit()} if words in described(each["cell"]) else each
            for number, each in enumerate(kept)
        ]
        case |= asdict(summary(group, found))
        write_text(path, json.dumps(stored, indent=1, allow_nan=False) + "\n")


def summary(group: Group, found: Sequence[Mapping[str, Any]]) -> Measured:
    """How many cells of a group fall short."""
    short = float(sum(bool(each["short"]) for each in found))
    case = f"{group.name}: cells that fall short, of {len(found)} cell{'s' * (len(found) > 1)}"
    return Measured(case, Goal("most", 0, "cells"), short, short, short, "cells", {"cells": found})


def described(cell: Mapping[str, Any]) -> str:
    """A cell in words."""
    seeds = cell["seeds"]
    if isinstance(seeds, Mapping):
        by = seeds.get("by", 1)
        seeds = f"{seeds['min']} to {seeds['max']}" + (f" by {by}" if by > 1 else "")
    error = "1 to 30 %" if cell["error"] is None else f"{100 * cell['error']:g} %"
    words = [f"{seeds} seeds", f"{cell['arms']} arms", f"{cell['images']:,} images", f"error {error}"]
    if not cell["spread"]:
        words.append("no spread")
    elif cell["prior"] != 4:
        words.append("equal spreads" if cell["prior"] == "inf" else f"spreads of df {cell['prior']:g}")
    if cell["collapse"]:
        words.append(f"{100 * cell['collapse']:g} % {'diverge' if cell['diverges'] else 'fail'}")
    if cell["fail_above"] != Cell.fail_above:
        words.append(f"failed above {100 * cell['fail_above']:g} %")
    if cell["failing"]:
        words.append("an arm fails")
    if cell["correlation"]:
        words.append(f"correlation {cell['correlation']:g}")
    if cell["margin"] is not None:
        words.append(f"margin {cell['margin']:g}" + (" of typical errors" if not cell["of_means"] else ""))
    return ", ".join(words)


def line(found: Mapping[str, Any]) -> str:
    """The results of a cell as columns of the table."""
    low, high = (100 * found[f"false_alarms_{end}"] for end in ("low", "high"))
    columns = [f"{100 * found['false_alarms']:.1f} % ({low:.1f} to {high:.1f})", f"{found['power']:.2f}"]
    if found["coverage"] is None:
        columns.append("")
    else:
        # Earlier cells, in which no seed counts as a failure that does not collapse, have one kind of coverage.
        of_all = found.get("coverage_of_all", found["coverage"])
        more = f" (all seeds: {100 * of_all:.1f} %)" if abs(of_all - found["coverage"]) > TOLERANCE else ""
        columns.append(f"{100 * found['coverage']:.1f} % of {100 * found['confidence']:.1f} %{more}")
    return " | ".join([*columns, " and ".join(found["short"])])


def table(groups: Iterable[Mapping[str, Any]]) -> str:
    """Return Markdown with one row per cell, from the stored cases."""
    rows = ["| cell | false alarms | power | coverage | falls short in |", "|---|---:|---:|---:|---|"]
    for group in groups:
        rows.append(f"| **{group['case'].split(': cells')[0]}** | | | | |")
        rows += [f"| {described(each['cell'])} | {line(each)} |" for each in group["details"]["cells"]]
    return "\n".join(rows)


def page(text: str, results: Mapping[str, Any]) -> str:
    """Return the page with its table replaced by that of these results."""
    begin, end = text.index(BEGIN) + len(BEGIN), text.index(END)
    machine = results["machine"]
    cells = [each for case in results["cases"] for each in case["details"]["cells"]]
    commits = dict.fromkeys((each.get("commit") or results["commit"] or "unknown")[:10] for each in cells)
    named = f"commit{'s' * (len(commits) > 1)} {' and '.join(commits)}"
    source = f"On {machine['processor']['name']}, Python {machine['python']}, {named}."
    return f"{text[:begin]}\n{table(results['cases'])}\n\n{source}\n{text[end:]}"


if __name__ == "__main__":
    if "--table" in sys.argv[1:]:
        stored = json.loads((RESULTS / "verdicts.json").read_text(encoding="utf-8"))
        write_text(PAGE, page(PAGE.read_text(encoding="utf-8"), stored))
    elif "--again" in sys.argv[1:]:
        again(sys.argv[sys.argv.index("--again") + 1])
    else:
        main(measure, number=13, about=__doc__)
