"""The tables of search quality in `benchmarks/README.md`, made from the stored results."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from search_quality.methods import METHODS

HERE = Path(__file__).parent
RESULTS = HERE / "results"
README = HERE.parent / "README.md"
BEGIN, END = "<!-- table: benchmarks/replay.py -->", "<!-- end of search quality -->"
SCALE_NAMES = {"log": "log10 of {cost}", "linear": "{cost} as they are"}
COST_NAMES = {"macs": "the MACs", "params": "the parameters"}


def stored() -> dict[str, dict[str, Any]]:
    """Return the stored results, by table."""
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(RESULTS.glob("*.json"))}


def rewritten(text: str, results: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the page with its tables replaced by those of these results."""
    begin, end = text.index(BEGIN) + len(BEGIN), text.index(END)
    return f"{text[:begin]}\n{chr(10).join(lines(results))}{text[end:]}"


def lines(results: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    if not results:
        yield "No results are stored yet.\n"
    for name, facts in results.items():
        for scale, rows in facts["summary"].items():
            title = SCALE_NAMES[scale].format(cost=COST_NAMES[facts["cost"]])
            yield from _table(f"`{name}`, {title}", rows, facts["trials"])
        yield from _origin(name, facts)
        yield ""


def _table(title: str, rows: Mapping[str, Mapping[str, Any]], trials: int) -> Iterator[str]:
    """Yield one table: a row for each method, those that reach random search's result first at the top."""
    at = list(next(iter(rows.values()))["after"])
    yield f"| {title} | evaluations to random's last | {' | '.join(at)} | better than `local` |"
    yield f"|---|---:|{'---:|' * len(at)}---|"

    def place(name: str) -> tuple[float, float]:
        row = rows[name]
        reached = row.get("reaches", [None, None, None])[1]
        return (trials + 1 if reached is None else reached, -row["after"][at[-1]][1])

    for name in sorted((name for name in METHODS if name in rows), key=place):
        row = rows[name]
        values = " | ".join(f"{row['after'][n][1]:.3f}" for n in at)
        worse = ", ".join(f"after {n}" for n in row["worse"].get("local", []))
        yield f"| {METHODS[name].label} | {_reach(row.get('reaches'), trials)} | {values} | {worse} |"
    yield from ("", verdict(rows, trials), "")


def verdict(rows: Mapping[str, Mapping[str, Any]], trials: int) -> str:
    """Return whether `local` meets the goals: a third of random search's evaluations, and no method that is better."""
    if "local" not in rows or "reaches" not in rows["local"]:
        return ""
    reached, goal = rows["local"]["reaches"][1], trials // 3
    own = f"over {trials}" if reached is None else str(reached)
    first = "met" if reached is not None and reached <= goal else "**missed**"
    better = [METHODS[name].label for name in METHODS if rows.get(name, {}).get("worse", {}).get("local")]
    second = f"**missed**: {', '.join(better)}" if better else "met"
    return f"`local`: {own} evaluations, goal at most {goal}: {first}. No method is better, beyond its band: {second}."


def _reach(reaches: list[int | None] | None, trials: int) -> str:
    """Return the evaluations with their band, such as `38 (33 to 47)`."""
    if reaches is None:
        return ""
    low, own, high = (f"over {trials}" if each is None else str(each) for each in reaches)
    return own if low == high else f"{own} ({low} to {high})"


def _origin(name: str, facts: Mapping[str, Any]) -> Iterator[str]:
    """Yield what the numbers are of: the table, the repetitions, versions and commits."""
    table, missing = facts["table"], facts["missing"]
    machine = next(iter(facts["methods"].values()))["machine"]
    commits = sorted({(each["commit"] or "unknown")[:10] for each in facts["methods"].values()})
    versions = {package: v for each in facts["methods"].values() for package, v in each["versions"].items()}
    counts = sorted({row["repetitions"] for rows in facts["summary"].values() for row in rows.values()})
    yield (
        f"- `{name}`: {table['what']}; {' or '.join(map(str, counts))} repetitions. "
        f"On {machine['cpus']} CPUs, Python {machine['python']}, "
        f"{', '.join(f'{package} {v}' for package, v in sorted(versions.items()))}, commit {', '.join(commits)}."
        + (f" Not replayed: {', '.join(f'{name} ({why})' for name, why in missing.items())}." if missing else "")
    )
