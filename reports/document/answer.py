"""The answer of an ablation in a sentence or two, drawn from its planned contrasts."""

from __future__ import annotations

from collections.abc import Sequence

from ablations.findings import POINTS, Finding
from ablations.run import AblationRun

NAMED = 4
"""A sentence names so many arms; of more it gives the number."""


def answer(run: AblationRun) -> str:
    """What the planned contrasts found; if there are none, what all comparisons with the baseline found."""
    planned = [found for found in run.findings if found.planned]
    compared = planned or run.findings
    if not compared:
        return "There is one arm alone, and nothing to compare it with."
    what = "planned comparison" if planned else "comparison"
    sentences = [f"Of {len(compared)} {what}{'s' * (len(compared) != 1)}{_against(compared)}: {_groups(compared)}."]
    if not planned:
        sentences.append("None of them was planned: take this as a question for the next study.")
    if any(arm.unfinished for arm in run.summaries):
        sentences.append("Trials are still to come.")
    return " ".join(sentences)


def _against(compared: Sequence[Finding]) -> str:
    versus = {found.versus for found in compared}
    return f" with {versus.pop()}" if len(versus) == 1 else ""


def _groups(compared: Sequence[Finding]) -> str:
    """`2 worse (a by 3.10 points; b by 9.36 points), 1 not resolved (c)`."""
    groups: dict[str, list[str]] = {}
    # What is resolved first.
    for found in sorted(compared, key=lambda found: not found.resolved):
        groups.setdefault(_group(found), []).append(_named(found))
    parts = []
    for group, names in groups.items():
        shown = "; ".join(names[:NAMED]) + (f"; and {len(names) - NAMED} more" if len(names) > NAMED else "")
        parts.append(f"{len(names)} {group} ({shown})")
    return ", ".join(parts)


def _group(found: Finding) -> str:
    delta = found.difference.delta
    if delta is None:
        return "without a pair of results"
    if found.margin is not None:
        within = f"no worse than {POINTS * found.margin:g} points"
        return within if found.resolved else f"not shown to be {within}"
    if found.resolved:
        return "worse" if delta > 0 else "better"
    return "equivalent" if found.equivalent else "not resolved"


def _named(found: Finding) -> str:
    delta = found.difference.delta
    return f"{found.arm} by {abs(POINTS * delta):.2f} points" if found.resolved and delta is not None else found.arm
