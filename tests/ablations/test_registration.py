"""A run keeps its pre-registration, and its report says when it was given and what differs from it."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pages import facts

from ablations.registration import KEPT, Registration, of_run, text
from ablations.run import AblationRun
from ablations.study import Ablation
from resnet_space import InputError
from resnet_space.api import document, open_run

Make = Callable[..., AblationRun]
ERRORS = {"base": [0.10, 0.12, 0.11], "other": [0.14, 0.12, 0.13]}
DATE = "2026-11-29T04:00:00+00:00"


def write(study: Ablation, path: Path) -> Registration:
    path.write_text(text({"study": study.name, "date": DATE, "planned": study.plan_hash}, "# Plan\n\n---\n\n", study))
    return Registration.read(path)


def test_a_registration_is_read_as_it_was_written(ablation: Make, tmp_path: Path) -> None:
    study = ablation(ERRORS).study
    found = write(study, tmp_path / "plan.md")
    assert (found.study, found.date) == (study, DATE)
    assert found.sha256 == sha256((tmp_path / "plan.md").read_bytes()).hexdigest()
    assert found.compared(study) == "the study is the registered one"


def test_line_endings_of_another_system_are_read_and_change_the_hash(ablation: Make, tmp_path: Path) -> None:
    found = write(ablation(ERRORS).study, tmp_path / "plan.md")
    (tmp_path / "other.md").write_bytes(found.content.replace(b"\n", b"\r\n"))
    other = Registration.read(tmp_path / "other.md")
    assert other.study == found.study
    assert other.sha256 != found.sha256


def test_a_report_says_that_a_run_was_not_registered(ablation: Make) -> None:
    assert facts(document(ablation(ERRORS)))["registration"] == "none"


def test_a_report_says_when_a_run_was_registered_and_that_it_is_the_registered_study(
    ablation: Make, tmp_path: Path
) -> None:
    run = ablation(ERRORS, planned={"compare": ["other"]})
    found = write(run.study, tmp_path / "plan.md")
    found.keep(run.folder)
    said = facts(document(open_run(run.folder.path)))["registration"]
    assert said == (
        f"dated {DATE}, SHA-256 {found.sha256}, given to the run before its first trial; "
        "the study is the registered one"
    )
    assert (run.folder.path / KEPT).read_bytes() == (tmp_path / "plan.md").read_bytes()


def test_a_report_names_what_differs_from_the_registered_study(ablation: Make, tmp_path: Path) -> None:
    registered = ablation(ERRORS, planned={"compare": ["other"]}, folder="first").study
    run = ablation(ERRORS, planned={"compare": ["other"], "alpha": 0.1}, fail_above=0.3, notes="new")
    write(registered, tmp_path / "plan.md").keep(run.folder)
    assert of_run(run.folder, run.study).endswith(
        "the study differs from the registered one in planned.alpha (registered 0.05, now 0.1); "
        "fail_above (registered 0.2, now 0.3)"
    )


def test_of_many_differences_the_first_are_named(ablation: Make, tmp_path: Path) -> None:
    registered = ablation(ERRORS, folder="first").study
    arms = {name: [0.1, 0.2] for name in ("base", "a", "b", "c", "d", "e", "f")}
    said = write(registered, tmp_path / "plan.md").compared(ablation(arms, folder="second").study)
    assert said.count("registered") == 1 + 5
    assert "; and " in said


def test_a_registration_that_is_given_later_is_said_to_be_late(ablation: Make, tmp_path: Path) -> None:
    ablation(ERRORS)
    run = ablation({name: [*errors, None] for name, errors in ERRORS.items()}, seeds=4)
    write(run.study, tmp_path / "plan.md").keep(run.folder)
    assert "given to the run in session 2, not before its first trial" in of_run(run.folder, run.study)


def test_a_copy_that_was_changed_or_removed_is_noticed(ablation: Make, tmp_path: Path) -> None:
    run = ablation(ERRORS)
    found = write(run.study, tmp_path / "plan.md")
    found.keep(run.folder)
    kept = run.folder.path / KEPT
    kept.write_bytes(found.content.replace(b"2026", b"2025"))
    assert of_run(run.folder, run.study).startswith(f"changed during the run: SHA-256 {found.sha256} when it was given")
    kept.unlink()
    assert "cannot be read: " in of_run(run.folder, run.study)


def test_a_second_registration_is_refused(ablation: Make, tmp_path: Path) -> None:
    run = ablation(ERRORS)
    found = write(run.study, tmp_path / "plan.md")
    found.keep(run.folder)
    found.keep(run.folder)
    other = Registration(found.study, found.date, found.content + b"\n")
    with pytest.raises(InputError, match=r"registration.md: another registration; a run has one"):
        other.keep(run.folder)


@pytest.mark.parametrize("content", ["", "# Plan\n", "---\nstudy: made\n---\n\n## Study\n\n", "a: 1\n---\nb\n---\n"])
def test_a_file_that_is_no_registration_is_refused(content: str, tmp_path: Path) -> None:
    path = tmp_path / "plan.md"
    path.write_text(content)
    with pytest.raises(InputError, match=r"plan.md: not a registration; `resnet-space plan STUDY --register FILE`"):
        Registration.read(path)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"plan.md: No such file"):
        Registration.read(tmp_path / "plan.md")


def test_a_study_that_is_the_name_of_a_file_is_not_read_from_it(ablation: Make, tmp_path: Path) -> None:
    found = write(ablation(ERRORS).study, tmp_path / "plan.md")
    (tmp_path / "study.yaml").write_text(found.study.to_yaml())
    head, _, _ = found.content.decode().partition("```yaml\n")
    (tmp_path / "sent.md").write_text(f"{head}```yaml\n{tmp_path / 'study.yaml'}```\n")
    with pytest.raises(InputError):
        Registration.read(tmp_path / "sent.md")


@given(st.integers(0, 10**6), st.binary(max_size=4))
def test_a_damaged_file_is_read_or_refused(at: int, damage: bytes) -> None:
    study = Ablation.of(
        {"name": "made", "net": "resnet20", "arms": {"a": {}}, "baseline": "a", "data": "digits", "recipe": "digits"}
    )
    content = text({"date": DATE}, "# Plan\n", study).encode()
    place = at % len(content)
    with tempfile.TemporaryDirectory() as folder, contextlib.suppress(InputError):
        path = Path(folder, "plan.md")
        path.write_bytes(content[:place] + damage + content[place + len(damage) :])
        assert Registration.read(path).study.kind == "ablation"
