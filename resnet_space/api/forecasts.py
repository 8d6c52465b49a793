"""Forecast a study before its first trial, and write the forecast to a file as a pre-registration."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from resnet_space.api.folders import open_folder
from resnet_space.api.kinds import kind_of
from resnet_space.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable

    from ablations.registration import Registration
    from ablations.sensitivity import Sensitivity
    from ablations.study import Ablation
    from reports.outlook import Outlook
    from search.running.plan import Plan

POINTS = 100


def outlook(planned: Plan, *, detect: float | None = None, pilot: Path | None = None) -> Outlook:
    """Forecast the time and memory of a plan; the first steps of some networks are measured.

    For an ablation, also forecast which differences its seeds can show. Errors and their spread over seeds are those of
    `pilot`, or else of the study's own folder if it has results, or else of the shipped table of data sets.

    Args:
        detect: the difference that the study should resolve, in percentage points.
        pilot: the folder of a run on the same data set.

    Raises:
        InputError: `detect` or `pilot` for a search, a difference that is not between 0 and 100 points or on data of
            which nothing is known, or a pilot without results or on another data set.
    """
    kind = kind_of(planned.study)
    if kind.sensitivity is None:
        for name, value in (("detect", detect), ("from", pilot)):
            if value is not None:
                raise _no_comparisons(name, planned)
        return kind.outlook.load()(planned)
    if detect is not None and not 0 < detect < POINTS:
        raise InputError(f"detect: {detect:g}; must be above 0 and below {POINTS}, in percentage points of error")
    shown = _sensitivity(planned, kind.sensitivity.load(), pilot, None if detect is None else detect / POINTS)
    if detect is not None and not shown.expected:
        data = planned.study.dataset.name
        raise InputError(f"detect: no errors are known on data set {data!r}; name a run on it with --from DIR")
    return replace(kind.outlook.load()(planned), sensitivity=shown)


def _sensitivity(
    planned: Plan, make: Callable[..., Sensitivity], pilot: Path | None, wanted: float | None
) -> Sensitivity:
    """What the seeds can show, by the first source that has results."""
    if pilot is not None:
        with open_folder(pilot) as stored:
            return make(planned, stored, wanted)
    try:
        with open_folder(Path("runs") / planned.study.name) as stored:
            return make(planned, stored, wanted)
    except InputError:
        # No run yet, no results of two seeds, or a run on other data.
        return make(planned, None, wanted)


def _no_comparisons(name: str, planned: Plan) -> InputError:
    if planned.study.several:
        return InputError(f"{name}: the study has several data sets; plan it for one of them, with --dataset NAME")
    return InputError(f"{name}: only an ablation has comparisons to plan, and this study is a {planned.study.kind}")


def register(planned: Plan, found: Outlook, path: Path) -> None:
    """Write a plan and its forecast to a new file, as a pre-registration.

    The file is Markdown. It begins with the date and the hash of the planned comparisons, which the report of the run
    prints too, and ends with the study as it was resolved.

    Raises:
        InputError: the file exists or cannot be written, or the study is a search.
    """
    from ablations.registration import text
    from reports import markdown
    from reports.outlook import blocks
    from reports.page import Page, Section

    study = _with_comparisons("register", planned)
    page = Page(
        title=f"Pre-registration of {study.name}",
        question=study.question or study.name,
        answer="The report of the run prints the hash of the comparisons that were planned before its first trial. If "
        "it is the one above, then measure, test, alpha, comparisons, baseline and seeds are those below.",
        state="The manifest.json of the run has the dates of its sessions.",
        sections=[Section("Plan", blocks(found))],
    )
    head = {"study": study.name, "date": datetime.now(UTC).isoformat(timespec="seconds"), **planned.facts}
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text(head, markdown.render(page), study))
    except FileExistsError:
        raise InputError(f"{path}: exists; a registration is not replaced, choose another file") from None
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from None


def registration(planned: Plan, path: Path, out: Path) -> Registration:
    """Return the registration of a plan that will run in the folder `out`.

    Raises:
        InputError: the file is not a registration, the folder has another one, or the study is a search.
    """
    from ablations.registration import Registration

    _with_comparisons("registered", planned)
    found = Registration.read(path)
    found.check(out)
    return found


def _with_comparisons(option: str, planned: Plan) -> Ablation:
    """Return the study of a plan, an ablation on one data set."""
    from ablations.study import Ablation

    study = planned.study
    if not isinstance(study, Ablation) or kind_of(study).sensitivity is None:
        raise _no_comparisons(option, planned)
    return study
