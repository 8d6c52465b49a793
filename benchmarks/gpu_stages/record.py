"""The files of results: one per stage, written after each of its lines, and one of all stages, after each stage."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gpu_stages.expected import EXPECTED, STAGES

ALL = "first_gpu.json"
TABLE = "first_gpu.md"

Facts = dict[str, Any]
"""Results of a stage: `status`, `seconds`, `cases`, `failures`, and its machine, versions and commit."""


class LeftOut(Exception):
    """A stage cannot run on this machine; the message says why."""


@dataclass(frozen=True)
class Failure:
    """A line that could not be measured; the stage continues."""

    case: str
    why: str

    @classmethod
    def of(cls, case: str, error: BaseException) -> Failure:
        first = next(iter(str(error).splitlines()), "")
        return cls(case, f"{type(error).__name__}: {first}")


def write(path: Path, text: str) -> None:
    """Write a file completely or not at all, even if the machine is lost meanwhile."""
    half = path.with_name(f".{path.name}.{os.getpid()}")
    with half.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    half.replace(path)


def write_json(path: Path, facts: Mapping[str, Any]) -> None:
    write(path, json.dumps(facts, indent=1) + "\n")


def read(path: Path) -> Facts:
    """Return a file of results; empty if there is none."""
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return {}


def table(stages: Mapping[str, Facts]) -> str:
    """Return Markdown: measured and expected values, and what was left out and why."""
    rows = ["| stage | line | value | expected | |", "|---|---|---:|---|---|"]
    for name in STAGES:
        facts = stages.get(name, {"status": "not requested"})
        cases = facts.get("cases", [])
        for case in cases:
            rows.append(
                f"| {name} | {case['case']} | {_formatted(case)} | {' | '.join(_comparison(name, case, facts))} |"
            )
        for failure in facts.get("failures", []):
            rows.append(f"| {name} | {failure['case']} | failed | | {failure['why'].replace('|', '/')} |")
        if facts["status"] != "finished":
            last = next(iter(facts.get("last_lines", [])[-1:]), "").replace("|", "/")
            rows.append(f"| {name} | {STAGES[name].question} | | | {facts['status']}{last and f': {last}'} |")
        for row in EXPECTED:
            if row.stage == name and not any(row.covers(name, case["case"]) for case in cases):
                rows.append(f"| {name} | {row.begins} | not measured | {row} | |")
    return "\n".join(rows) + "\n"


def sources(stages: Mapping[str, Facts]) -> Iterable[str]:
    """Return one line for each combination of card, torch and commit that stages ran with."""
    found: dict[str, list[str]] = {}
    for name, facts in stages.items():
        if "card" in facts:
            on = ", ".join(f"{what} {facts[what]}" for what in ("torch", "cuda", "driver", "commit") if facts.get(what))
            found.setdefault(f"{facts['card']}, {on}", []).append(name)
    return [f"{', '.join(names)}: {where}" for where, names in found.items()]


def _comparison(stage: str, case: Mapping[str, Any], facts: Facts) -> tuple[str, str]:
    """Return the expected value of a line, and the verdict; lines of a CPU only show that the code runs."""
    row = next((row for row in EXPECTED if row.covers(stage, case["case"])), None)
    if row is None:
        return "", ""
    return str(row), "on a CPU" if facts.get("device") == "cpu" else row.verdict(case["value"])


def _formatted(case: Mapping[str, Any]) -> str:
    value, unit = case["value"], case["unit"]
    number = f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    return number + (unit if unit in ("x", "%") else f" {unit}")
