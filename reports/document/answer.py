"""The answer of an ablation in one to three sentences, from its planned comparisons."""

from __future__ import annotations

from collections.abc import Sequence

from ablations.across.findings import FindingAcross
from ablations.findings import POINTS, Finding
from ablations.recipe_dependence import dependent
from ablations.run import AblationRun
from reports.names import quoted

Compared = Finding | FindingAcross
ONE_ARM = "The study has only one arm, so there is no comparison."
EXPLORATORY = "No comparison was planned: these results are exploratory and need a new study."
WAITING = "Some trials are still waiting."
MAX_NAMED_ARMS = 4
"""A sentence names at most this many arms per group and counts the others."""


def answer(run: AblationRun) -> str:
    """Return the results of the planned comparisons, or of all comparisons with the baseline if none was planned."""
    planned = [found for found in run.findings if found.planned]
    compared = planned or run.findings
    if not compared:
        return ONE_ARM
    one_question = len({(found.versus, found.measure) for found in compared}) == 1
    one_question = one_question and not any(found.margin for found in compared)
    sentences = [_alternatives(run, compared) if one_question else groups(compared, planned=bool(planned))]
    sentences[0] = by_measure(compared, sentences[0])
    sentences += dependent(run.study.factors, run.effects, run.study.planned.alpha)
    if not planned:
        sentences.append(EXPLORATORY)
    if any(arm.unfinished for arm in run.summaries):
        sentences.append(WAITING)
    return " ".join(sentences)


def by_measure(compared: Sequence[Compared], sentence: str) -> str:
    """Return the sentence with the measure of all comparisons before it, unless that is the test error."""
    measures = {found.measure for found in compared}
    one = measures.pop() if len(measures) == 1 else None
    return sentence if one is None or one.name == "test_error" else f"By {one.words}: {sentence}"


def _alternatives(run: AblationRun, compared: Sequence[Finding]) -> str:
    """`identity is best: all 2 alternatives are worse, by 3.10 to 9.36 points.`

    An arm is called best only if it is better than each of the others. Nothing is said about arms that are neither
    shown to be different nor shown to be equivalent, except that they cannot be distinguished.
    """
    versus, total = quoted(compared[0].versus), len(compared)
    by_group: dict[str, list[Finding]] = {}
    for found in compared:
        by_group.setdefault(word(found), []).append(found)
    better, worse = by_group.pop("better", []), by_group.pop("worse", [])
    other = versus if total == 1 else "it"
    rest = [f"{_names(group)} {_says(which, group, other)}" for which, group in by_group.items()]
    if len(worse) == total:
        if total == 1:
            return f"{quoted(worse[0].arm)} is worse than {versus}{_by(worse)}."
        return f"{versus} is best: all {total} alternatives are worse{_by(worse)}."
    if worse:
        rest.insert(0, f"{len(worse)} of {total} {'is' if len(worse) == 1 else 'are'} worse{_by(worse)}")
    if better:
        lead = f"{_names(better)} {'is' if len(better) == 1 else 'are'} better than {versus}{_by(better)}"
        return f"{'; '.join([lead, *rest])}."
    if total == 1:
        return f"{rest[0]}."
    return f"None of {total} alternatives is shown to be better than {versus}: {'; '.join(rest)}."


def _by(group: Sequence[Finding]) -> str:
    """`, by 3.10 to 9.36 points`, without arms that failed at some seeds: their mean describes none of their trials."""
    sizes = sorted(
        abs(found.difference.delta) for found in group if found.difference.delta is not None and not found.mixed
    )
    mixed = [found for found in group if found.mixed]
    some = f", {len(mixed)} of them by failing at some seeds" if mixed and sizes else ""
    if not sizes:
        return ", by failing at some seeds"
    size = group[0].measure.size
    least = "" if len(sizes) == 1 else f"{size(sizes[0]).split()[0]} to "
    return f", by {least}{size(sizes[-1])}{some}"


def _says(group: str, found: Sequence[Finding], other: str) -> str:
    plural = len(found) > 1
    seeds = max(each.difference.n for each in found)
    return {
        "not resolved": f"cannot be distinguished from {other} with {seeds} seed{'s' * (seeds != 1)}",
        "equivalent": f"{'are' if plural else 'is'} equivalent to {other}",
        "both fail": f"{'fail' if plural else 'fails'}, as {other} does",
        "no results": f"{'have' if plural else 'has'} no results yet",
    }[group]


def groups(compared: Sequence[Compared], *, planned: bool) -> str:
    """Return `Of 3 planned comparisons: 2 worse (a by 3.10 points; b by 9.36 points), 1 not resolved (c).`

    If arms are compared with several others, those are named too: `a against b by 3.10 points`.
    """
    named: dict[str, list[str]] = {}
    several_measures = len({found.measure for found in compared}) > 1
    several_others = len({found.versus for found in compared}) > 1
    # Resolved comparisons first.
    for found in sorted(compared, key=lambda found: not found.resolved):
        against = f" against {quoted(found.versus)}" * several_others
        by = f" in {found.measure.words}" * several_measures
        named.setdefault(word(found), []).append(f"{quoted(found.arm)}{against}{_size(found)}{by}")
    parts = [f"{len(names)} {group} ({_listed(names)})" for group, names in named.items()]
    what = f"{'planned ' * planned}comparison{'s' * (len(compared) != 1)}"
    return f"Of {len(compared)} {what}{_against(compared)}: {', '.join(parts)}."


def _against(compared: Sequence[Compared]) -> str:
    versus = {found.versus for found in compared}
    return f" with {quoted(versus.pop())}" if len(versus) == 1 else ""


def word(found: Compared) -> str:
    """Return the result of a comparison in a word or two, such as `worse` or `not resolved`."""
    if found.difference.delta is None:
        return "no results"
    if found.both_fail:
        return "both fail"
    if found.margin is not None:
        within = f"no worse than {POINTS * found.margin:g} points"
        return within if found.resolved else f"not shown to be {within}"
    if found.resolved:
        return "worse" if found.worse else "better"
    return "equivalent" if found.equivalent else "not resolved"


def _size(found: Compared) -> str:
    delta = found.difference.delta
    return "" if not found.resolved or delta is None or found.mixed else f" by {found.measure.size(delta)}"


def _names(group: Sequence[Finding]) -> str:
    names = [quoted(found.arm) for found in group]
    return _listed(names) if len(names) != 2 else " and ".join(names)


def _listed(names: Sequence[str]) -> str:
    more = len(names) - MAX_NAMED_ARMS
    return "; ".join(names[:MAX_NAMED_ARMS]) + (f"; and {more} more" if more > 0 else "")
