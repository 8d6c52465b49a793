"""The document of a comparison of several runs: each is compared with the first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ablations.two_runs import TwoRuns
from reports.document import comparison
from reports.names import quoted
from reports.numbers import engineering, interval, percent
from reports.page import Block, Cell, Grid, Page, Picture, Section, texts

NOTE = (
    "difference: the run minus the first one, with the 95 % interval over pairs of seeds, for these test images; "
    "*: the interval is on one side of 0. The intervals are not adjusted for their number."
)


def document(pairs: Sequence[TwoRuns]) -> Page:
    """Return the page that compares the second run of each pair with the first, which is the same in all pairs."""
    if len(pairs) == 1:
        return comparison.document(pairs[0])
    first = pairs[0].first
    names = [quoted(both.second.name) for both in pairs]
    listed = f"{', '.join(names[:-1])} and {names[-1]}"
    counts = [len(first.trials), *(len(both.second.trials) for both in pairs)]
    notes = dict.fromkeys(line for both in pairs for line in comparison.trials_foreign_note(both))
    sections = (_in_common(pairs), _changed(pairs), _distributions(pairs))
    return Page(
        title=f"{listed} compared with {quoted(first.name)}",
        question=f"Do {listed} have lower errors than {quoted(first.name)}?",
        answer=" ".join(comparison.of_networks_in_common(both) for both in pairs),
        state=" ".join([f"{', '.join(map(str, counts[:-1]))} and {counts[-1]} complete trials.", *notes]),
        sections=[made for made in sections if made],
    )


def _in_common(pairs: Sequence[TwoRuns]) -> Section | None:
    """Return one row per network that the first run shares with another one: its error in each, and differences."""
    first = pairs[0].first
    shared = [key for key in first.networks.index if any(key in both.common for both in pairs)]
    if not shared:
        return None
    headings = ["network", "MACs", f"{first.name}, %"]
    for both in pairs:
        headings += [f"{both.second.name}, %", f"{both.second.name}: difference, points"]
    rows = []
    for key in shared:
        macs, error = (float(first.networks[column].loc[key]) for column in ("macs", "error"))
        name = next(both.named(key) for both in pairs if key in both.common)
        cells = [Cell(name, name), Cell(engineering(macs), macs), Cell(percent(error, None), error)]
        rows.append([*cells, *(cell for both in pairs for cell in _compared(both, key))])
    table = Grid("Test errors", headings, headings[1:], rows, notes=[NOTE]).without_empty_columns()
    return Section("Networks in common", [table])


def _compared(both: TwoRuns, key: str) -> tuple[Cell, Cell]:
    """Return the error of a network in the second run, and its difference from the first; empty if it has none."""
    if key not in both.common:
        return Cell(""), Cell("")
    error, seen = float(both.second.networks["error"].loc[key]), both.difference(key)
    if seen.delta is None:
        return Cell(percent(error, None), error), Cell("")
    apart = seen.low is not None and seen.high is not None and (seen.low > 0 or seen.high < 0)
    text = interval(seen.delta, seen.low, seen.high) + (" *" if apart else "")
    return Cell(percent(error, None), error), Cell(text, seen.delta, "resolved" if apart else "")


def _changed(pairs: Sequence[TwoRuns]) -> Section | None:
    """Return the fields in which the studies differ, with the value of each run."""
    before: dict[str, str] = {}
    now: list[dict[str, str]] = []
    for both in pairs:
        before |= {path: comparison.shown(value) for path, value, _ in both.changed}
        now.append({path: comparison.shown(value) for path, _, value in both.changed})
    rows = [(path, value, *(own.get(path, value) for own in now)) for path, value in before.items()]
    headings = ("field", pairs[0].first.name, *(both.second.name for both in pairs))
    return Section("Differences between the studies", [Grid("Fields", headings, (), texts(rows))]) if rows else None


def _distributions(pairs: Sequence[TwoRuns]) -> Section | None:
    """Return the distributions of each pair: networks of equal complexity differ between pairs."""
    blocks: list[Block] = []
    for both in pairs:
        if (section := comparison.errors_at_equal_complexity(both)) is not None:
            picture, name = section.blocks[0], quoted(both.second.name)
            assert isinstance(picture, Picture)
            blocks.append(replace(picture, caption=f"{name} and {quoted(both.first.name)}. {picture.caption}"))
    return Section("Errors at equal complexity", blocks) if blocks else None
