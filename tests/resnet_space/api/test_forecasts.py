"""`plan` says what the seeds can show, from a pilot, the study's own run or the table; also without the data."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from reports import outlook as outlooks
from resnet_space import api, documents

if TYPE_CHECKING:
    from verbs import Cli

    from ablations.run import AblationRun

STUDY: dict[str, Any] = {
    "name": "made",
    "net": "resnet20",
    "set": {"width": 0.25, "stages.*.units": 1},
    "arms": {"base": {}, "gated": {"set": {"unit.shortcut": "exclusive_gate"}}},
    "baseline": "base",
    "planned": {"test": "paired_t", "compare": ["gated"]},
    "data": {"name": "digits", "limit": 200},
    "recipe": "digits",
    "seeds": 3,
}
SEARCH = {
    "name": "made",
    "kind": "search",
    "space": {"base": "resnet20", "axes": {"width": [0.25, 0.5]}, "set": {"stages.*.units": 1}},
    "budget": {"trials": 2},
    "data": "digits",
    "recipe": "digits",
}


@pytest.fixture(autouse=True)
def untimed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Training steps are not timed: a trial takes a minute."""
    monkeypatch.setattr(outlooks, "speedup", lambda *_, **__: None)
    monkeypatch.setattr(outlooks, "seconds_per_trial", lambda *_: 60.0)


@pytest.fixture
def plan(resnet_space: Cli, tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """`plan("--detect", 1, seeds=5)`: the JSON of the study with these fields."""

    def call(*options: object, **fields: Any) -> dict[str, Any]:
        Path("made.yaml").write_text(documents.write(STUDY | fields))
        status, out, err = resnet_space("plan", "made.yaml", "--json", *options)
        assert status == 0, err
        found: dict[str, Any] = json.loads(out)
        return found

    return call


def error(resnet_space: Cli, *options: object, study: dict[str, Any] = STUDY) -> str:
    Path("made.yaml").write_text(documents.write(study))
    status, out, err = resnet_space("plan", "made.yaml", *options)
    assert (status, out) == (2, "")
    return err


def test_a_plan_is_based_on_the_table_of_data_sets_by_default(plan: Callable[..., Any]) -> None:
    found = plan()["sensitivity"]
    assert found["expected"]["test_error"]["source"].startswith("a typical network (docs/results.md, shortcuts")
    assert found["expected"]["test_error"]["images"] == 359
    assert found["needed"] == []


def test_a_wanted_difference_is_in_points_and_costs_what_its_trials_cost(plan: Callable[..., Any]) -> None:
    (need,) = plan("--detect", 2.5)["sensitivity"]["needed"]
    assert need["wanted"] == 0.025
    assert need["trials"] == 2 * need["seeds"]
    assert need["device_hours"] == pytest.approx(need["trials"] / 60)


def test_a_plan_is_based_on_the_study_s_own_results_if_it_has_some(
    plan: Callable[..., Any], ablation: Callable[..., AblationRun]
) -> None:
    ablation({"base": [0.10, 0.12, 0.11], "gated": [0.14, 0.12, 0.13]}, folder="runs/made")
    found = plan()["sensitivity"]["expected"]["test_error"]
    assert found["source"] == "6 trials of 2 networks in runs/made"
    # The baseline of the run is a gated net. Ours is not in the run, so that its error is the median.
    assert found["error"] == pytest.approx(0.12)


def test_a_named_pilot_comes_before_the_study_s_own_results(
    plan: Callable[..., Any], ablation: Callable[..., AblationRun]
) -> None:
    ablation({"base": [0.10, 0.12], "gated": [0.14, 0.12]}, folder="runs/made")
    ablation({"base": [0.30, 0.28], "gated": [0.31, 0.29]}, folder="pilot", fail_above=0.5)
    found = plan("--from", "pilot", fail_above=0.5)["sensitivity"]["expected"]["test_error"]
    assert found["source"] == "4 trials of 2 networks in pilot"
    assert found["error"] == pytest.approx(0.295)


def test_a_run_on_other_data_under_the_study_s_name_is_not_used(
    plan: Callable[..., Any], ablation: Callable[..., AblationRun], tmp_path: Path
) -> None:
    ablation({"base": [0.10, 0.12], "gated": [0.14, 0.12]}, folder="runs/made")
    found = plan(data="cifar10")
    assert found["sensitivity"]["expected"]["test_error"]["source"].startswith("a typical network (1512.03385")


def test_a_pilot_with_one_seed_is_refused(resnet_space: Cli, ablation: Callable[..., AblationRun]) -> None:
    ablation({"base": [0.10], "gated": [0.14]}, folder="pilot")
    message = error(resnet_space, "--from", "pilot")
    assert "pilot: shows no spread over seeds: no network has trained, with errors of at most 20 % (fail_a" in message


def test_a_pilot_that_is_none_is_refused(resnet_space: Cli) -> None:
    assert "nowhere: not a run's folder" in error(resnet_space, "--from", "nowhere")


def test_without_the_files_of_a_known_data_set_a_plan_says_that_nothing_was_read(
    resnet_space: Cli, plan: Callable[..., Any], tmp_path: Path
) -> None:
    known = {"name": "cifar10", "root": str(tmp_path)}
    found = plan(data=known)
    assert found["data_read"] is False
    assert found["sensitivity"]["expected"]["test_error"]["images"] == 10_000
    assert found["device_hours"] > 0
    status, out, _ = resnet_space("plan", "made.yaml")
    assert status == 0
    assert f"data set 'cifar10' is not in {tmp_path}, and nothing was read; known are 45,000 train, 5,000 val" in out
    assert plan()["data_read"] is True


def test_a_run_without_its_data_is_refused_as_before(resnet_space: Cli, tmp_path: Path) -> None:
    Path("made.yaml").write_text(documents.write(STUDY | {"data": {"name": "cifar10", "root": str(tmp_path)}}))
    status, _, err = resnet_space("run", "made.yaml", "--inline")
    assert status == 2
    assert "data set 'cifar10' is not in" in err


def test_a_plan_on_a_missing_folder_of_a_user_is_refused(resnet_space: Cli, tmp_path: Path) -> None:
    data = {"name": "imagefolder", "root": str(tmp_path / "nothing")}
    assert "data set 'imagefolder' is not in" in error(resnet_space, study=STUDY | {"data": data})


def test_a_search_is_planned_without_the_files_of_its_data_too(resnet_space: Cli, tmp_path: Path) -> None:
    Path("made.yaml").write_text(documents.write(SEARCH | {"data": {"name": "cifar10", "root": str(tmp_path)}}))
    status, out, err = resnet_space("plan", "made.yaml", "--json")
    assert status == 0, err
    found = json.loads(out)
    assert (found["data_read"], "sensitivity" in found) == (False, False)


def test_data_of_which_no_errors_are_known_are_planned_without_what_the_seeds_can_show(resnet_space: Cli) -> None:
    unknown = STUDY | {"data": {"name": "fake", "size": 8, "samples": 200}}
    Path("made.yaml").write_text(documents.write(unknown))
    status, out, _ = resnet_space("plan", "made.yaml")
    assert status == 0
    assert "not forecast: 1 comparison of test error, whose spread on data set 'fake' is unknown; name a run" in out
    assert "detect: no errors are known on data set 'fake'" in error(resnet_space, "--detect", 1, study=unknown)


@pytest.mark.parametrize("points", [0, -1, 100, "nan", "inf"])
def test_a_wanted_difference_that_is_none_is_refused(points: object, resnet_space: Cli) -> None:
    assert f"detect: {points}; must be above 0 and below 100, in percentage points" in error(
        resnet_space, f"--detect={points}"
    )


@pytest.mark.parametrize("option", ["detect", "from", "register"])
def test_a_search_has_no_comparisons_to_forecast_or_register(option: str, resnet_space: Cli) -> None:
    message = error(resnet_space, f"--{option}", "1", study=SEARCH)
    assert f"{option}: only an ablation has comparisons to plan, and this study is a search" in message


def test_a_registration_has_the_hash_the_forecast_and_the_resolved_study(
    plan: Callable[..., Any], resnet_space: Cli
) -> None:
    found = plan("--detect", 2.5, "--register", "plan.md", "--seeds", 4)
    text = Path("plan.md").read_text()
    _, head, body = text.split("---\n", 2)
    study = api.study("made.yaml", changes={"seeds": 4})
    assert documents.read(head)["planned"] == study.plan_hash
    assert documents.read(head)["study"] == "made"
    assert f"{100 * found['sensitivity']['comparisons'][0]['smallest']:.2f} points" in body
    resolved = text.split("```yaml\n")[1].removesuffix("```\n")
    Path("again.yaml").write_text(resolved)
    assert api.study("again.yaml") == study


def test_a_registration_is_never_replaced(plan: Callable[..., Any], resnet_space: Cli) -> None:
    plan("--register", "plan.md")
    before = Path("plan.md").read_text()
    assert "plan.md: exists; a registration is not replaced" in error_of(resnet_space, "--register", "plan.md")
    assert Path("plan.md").read_text() == before
    assert "No such file or directory" in error_of(resnet_space, "--register", "nowhere/plan.md")


def error_of(resnet_space: Cli, *options: object) -> str:
    status, _, err = resnet_space("plan", "made.yaml", *options)
    assert status == 2
    return err


@pytest.mark.slow
def test_the_report_of_a_run_prints_the_hash_of_its_registration(plan: Callable[..., Any], resnet_space: Cli) -> None:
    plan("--register", "plan.md", recipe={"base": "digits", "epochs": 1}, seeds=2)
    ran = resnet_space("run", "made.yaml", "--inline", "--registered", "plan.md")
    assert ran.status == 0
    assert "plan.md: the study is the registered one" in ran.err
    hashed = documents.read(Path("plan.md").read_text().split("---\n")[1])["planned"]
    report = Path("runs/made/report/report.md").read_text()
    assert f"stored before the first trial (hash {hashed})" in report
    assert "given to the run before its first trial; the study is the registered one" in report


def test_a_run_refuses_a_file_that_is_no_registration_before_it_begins(resnet_space: Cli) -> None:
    Path("made.yaml").write_text(documents.write(STUDY))
    status, _, err = resnet_space("run", "made.yaml", "--inline", "--registered", "made.yaml")
    assert status == 2
    assert "made.yaml: not a registration" in err
    assert not Path("runs").exists()


def test_a_search_cannot_be_registered(resnet_space: Cli) -> None:
    Path("made.yaml").write_text(documents.write(SEARCH))
    status, _, err = resnet_space("run", "made.yaml", "--inline", "--registered", "plan.md")
    assert status == 2
    assert "registered: only an ablation has comparisons to plan, and this study is a search" in err
