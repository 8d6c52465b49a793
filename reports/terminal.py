"""The answer on a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table

from ablations.summary import Agreement, ArmSummary
from reports.tables import HEADINGS, NUMERIC, cells, provenance


def table(title: str, summaries: Sequence[ArmSummary], baseline: str) -> Table:
    """The arms as a rich table, the baseline in bold."""
    grid = Table(title=title, title_justify="left", header_style="bold")
    for heading in HEADINGS:
        grid.add_column(heading, justify="right" if heading in NUMERIC else "left", no_wrap=heading in NUMERIC)
    for arm, row in zip(summaries, cells(summaries), strict=True):
        grid.add_row(*row, style="bold" if arm.arm == baseline else None)
    return grid


def footnotes(summaries: Sequence[ArmSummary], agreement: Agreement | None, fail_above: float) -> list[str]:
    """What the table's columns mean, and how far it agrees with the published one."""
    lines = [
        f"test error: mean ± standard deviation over n seeds; fail: a mean above {fail_above:.0%}.",
        "MACs: fused multiply-adds for one image, as fvcore counts them; additions, gates and ReLUs are not in them.",
    ]
    if source := provenance(summaries):
        lines.append(f"published: {source}.")
    if agreement:
        lines.append(
            f"rank agreement with the published errors: Kendall's tau-b {agreement.tau:.2f} over {agreement.arms} arms "
            "(published failures tied as worst)."
        )
    return lines
