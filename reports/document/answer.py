"""The answer of an ablation in one to three sentences, from its planned comparisons."""

from __future__ import annotations

from collections.abc import Sequence

from ablations.findings import POINTS, Finding
from ablations.run import AblationRun

MAX_NAMED_ARMS = 4
"""A sentence names at most this many arms per group and counts the others."""


def answer(run: AblationRun) -> str:
    """Return the results of the planned comparisons, or of all comparisons with the baseline if none was planned."""
    planned = [found for found in run.findings if found.planned]
    compared = planned or run.findings
    if not compared:
        return "The study has only one arm, so there is no comparison."
    what = "planned comparison" if planned else "comparison"
    sentences = [f"Of {len(compared)} {what}{'s' * (len(compared) != 1)}{_against(compared)}: {_groups(compared)}."]
    if not planned:
        sentences.append("None was planned: these results are exploratory and need a new study to confirm them.")
    if any(arm.unfinished for arm in run.summaries):
        sentences.append("Some trials are still waiting.")
    return " ".join(sentences)


def _against(compared: Sequence[Finding]) -> str:
    versus = {found.versus for found in compared}
    return f" with {versus.pop()}" if len(versus) == 1 else ""


def _groups(compared: Sequence[Finding]) -> str:
    """`2 worse (a by 3.10 points; b by 9.36 points), 1 not resolved (c)`."""
    groups: dict[str, list[str]] = {}
    # Resolved comparisons first.
    for found in sorted(compared, key=lambda found: not found.resolved):
        groups.setdefault(_group(found), []).append(_named(found))
    parts = []
    for group, names in groups.items():
        shown = "; ".join(names[:MAX_NAMED_ARMS]) + (
            f"; and {len(names) - MAX_NAMED_ARMS} more" if len(names) > MAX_NAMED_ARMS else ""
        )
        parts.append(f"{len(names)} {group} ({shown})")
    return ", ".join(parts)


def _group(found: Finding) -> str:
    delta = found.difference.delta
    if delta is None:
        return "without a pair of finished seeds"
    if found.margin is not None:
        within = f"no worse than {POINTS * found.margin:g} points"
        return within if found.resolved else f"not shown to be {within}"
    if found.resolved:
        return "worse" if delta > 0 else "better"
    return "equivalent" if found.equivalent else "not resolved"


def _named(found: Finding) -> str:
    delta = found.difference.delta
    return f"{found.arm} by {abs(POINTS * delta):.2f} points" if found.resolved and delta is not None else found.arm
