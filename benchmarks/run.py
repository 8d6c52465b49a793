"""Run the benchmarks, and print their table.

    python benchmarks/run.py            all of them, some hours; rewrites results/*.json and the table in README.md
    python benchmarks/run.py --quick    smaller and fewer cases, under five minutes; writes nothing
    python benchmarks/run.py --gpu      those that need a GPU, ten minutes; without Ray and without a network
    python benchmarks/run.py --table    no measurement: rewrite the table from results/
    python benchmarks/run.py --only steps,counting

Each benchmark runs in its own process, one after another. Do not use the machine for anything else meanwhile.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from measuring import HERE, RESULTS, Goal, formatted

from search.files.atomic import write_text


@dataclass(frozen=True)
class Benchmark:
    """A script of this folder, its goal's number, whether it needs a GPU, and whether `--quick` includes it.

    One that takes more than `hours` is stopped, and reported as failed.
    """

    script: str
    goal: int
    gpu: bool = False
    quick: bool = True
    hours: float = 1


BENCHMARKS = (
    Benchmark("steps", 1),
    Benchmark("fused", 2),
    Benchmark("fused_gpu", 2, gpu=True),
    Benchmark("epochs_gpu", 4, gpu=True),
    Benchmark("counting", 5),
    Benchmark("overhead", 6),
    Benchmark("asking", 7),
    Benchmark("fronts", 8),
    Benchmark("start", 9),
    Benchmark("phases", 9),
    Benchmark("side_by_side", 10),
    Benchmark("growth", 11),
    Benchmark("events", 11),
    Benchmark("headline", 12, quick=False, hours=5),
    Benchmark("verdicts", 13),
    Benchmark("augmenting", 14),
)

VECTORS = {"avx512f": "AVX-512", "avx2": "AVX2", "sve": "SVE", "asimd": "NEON"}
"""Names of instruction sets for vectors by their flags, the widest of each kind of processor first."""

BEGIN, END = "<!-- table: benchmarks/run.py -->", "<!-- end of table -->"


def run(benchmark: Benchmark, out: Path, *, quick: bool) -> dict[str, Any] | None:
    """Run a script and return its results; None if it failed, which is reported on stderr."""
    command = [sys.executable, str(HERE / f"{benchmark.script}.py"), "--out", str(out), *["--quick"] * quick]
    began = time.monotonic()
    print(f"{benchmark.script}:", file=sys.stderr, flush=True)
    try:
        status = subprocess.run(command, stdout=sys.stderr, timeout=3600 * benchmark.hours, check=False).returncode
    except subprocess.TimeoutExpired:
        status = f"stopped after {benchmark.hours:g} h"
    print(f"  {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
    if status or not out.is_file():
        print(f"  {benchmark.script} failed: {status}", file=sys.stderr, flush=True)
        return None
    return dict(json.loads(out.read_text(encoding="utf-8")))


def stored_results() -> dict[str, dict[str, Any]]:
    """Return the stored results, by script."""
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in RESULTS.glob("*.json")}


def table(found: Mapping[str, Mapping[str, Any]], benchmarks: Iterable[Benchmark]) -> str:
    """Return Markdown with one row per case; a script without results has a row that says so."""
    rows = [
        "| goal | measured by | case | value | least to most | rounds | goal | met |",
        "|---|---|---|---:|---:|---:|---|---|",
    ]
    for benchmark in benchmarks:
        begin = f"| {benchmark.goal} | `{benchmark.script}.py` |"
        if benchmark.script not in found:
            rows.append(f"{begin} {'needs a GPU: ' if benchmark.gpu else ''}not measured | | | | | |")
            continue
        for case in found[benchmark.script]["cases"]:
            goal = Goal(**case["goal"]) if case["goal"] else None
            value, least, most = (formatted(case[name], case["unit"]) for name in ("value", "least", "most"))
            spread = f"{least} to {most}" if case["least"] != case["most"] else ""
            met = ("yes" if goal.met(case["value"]) else "**no**") if goal else ""
            rounds = case["details"].get("rounds", "")
            rows.append(f"{begin} {case['case']} | {value} | {spread} | {rounds} | {goal or ''} | {met} |")
        if not found[benchmark.script].get("finished", True):
            rows.append(f"{begin} other cases: not measured | | | | | |")
    return "\n".join(rows)


def sources(found: Mapping[str, Mapping[str, Any]], benchmarks: Iterable[Benchmark]) -> str:
    """Return one line per script: its question, and the machine, versions and commit of its numbers."""
    lines = []
    for benchmark in benchmarks:
        if facts := found.get(benchmark.script):
            machine, versions = facts["machine"], facts["versions"]
            on = ", ".join(machine["gpus"]) or f"{machine['cpus']} CPUs{_processor(machine.get('processor'))}"
            lines.append(
                f"- `{benchmark.script}.py`: {facts['question']} On {on}, Python {machine['python']}, "
                f"torch {versions['torch']}, commit {(facts['commit'] or 'unknown')[:10]}."
            )
    return "\n".join(lines)


def _processor(facts: Mapping[str, Any] | None) -> str:
    """Return a processor's name and its widest vectors, by which libraries choose kernels; "" if it was not stored."""
    if not facts:
        return ""
    widest = next((name for flag, name in VECTORS.items() if flag in facts["isa"]), "")
    return f" ({facts['name']}{widest and f' with {widest}'})"


def readme(text: str, found: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the page with its table replaced by one of these results."""
    begin, end = text.index(BEGIN) + len(BEGIN), text.index(END)
    return f"{text[:begin]}\n{table(found, BENCHMARKS)}\n\n{sources(found, BENCHMARKS)}\n{text[end:]}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    which = parser.add_mutually_exclusive_group()
    for flag in ("--quick", "--gpu", "--table"):
        which.add_argument(flag, action="store_true")
    parser.add_argument("--only", default="", help="names of scripts, with commas")
    given = parser.parse_args()
    names = [name for name in given.only.split(",") if name]
    if unknown := set(names) - {benchmark.script for benchmark in BENCHMARKS}:
        parser.error(f"no benchmark {', '.join(sorted(unknown))}")
    chosen = [
        benchmark
        for benchmark in BENCHMARKS
        if (benchmark.script in names or not names)
        and benchmark.gpu == given.gpu
        and (benchmark.quick or not given.quick)
    ]
    if given.table:
        found = stored_results()
    else:
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch) if given.quick else RESULTS
            folder.mkdir(exist_ok=True)
            fresh = {each.script: run(each, folder / f"{each.script}.json", quick=given.quick) for each in chosen}
        found = {script: facts for script, facts in fresh.items() if facts}
    if not given.quick:
        found = stored_results()
        page = HERE / "README.md"
        write_text(page, readme(page.read_text(encoding="utf-8"), found))
        chosen = list(BENCHMARKS)
    print(table(found, chosen))
    sys.exit(0 if given.table or all(fresh.values()) else 1)


if __name__ == "__main__":
    main()
