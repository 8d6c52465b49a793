"""What a report says: a page for each kind of run, and for two runs that are compared.

A section is one function from a run to a `Section`, in the file of its kind. All renderers show it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ablations.kinds import Run
from ablations.run import AblationRun
from ablations.two_runs import TwoRuns
from reports.document import ablation, comparison, search
from reports.page import Page
from search.exploring.run import SearchRun

DOCUMENTS: dict[type, Callable[..., Page]] = {
    AblationRun: ablation.document,
    SearchRun: search.document,
    TwoRuns: comparison.document,
}


def document(found: Run | TwoRuns, **given: Any) -> Page:
    """The page of a run or of two runs.

    Args:
        given: what the document of its kind takes beside it, such as `published` results.
    """
    return DOCUMENTS[type(found)](found, **given)
