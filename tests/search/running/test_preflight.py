"""The checks before the first trial report each problem in one line."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from sweeping import Listed

from ablations.run import AblationRun
from resnet_space.errors import InputError
from search.data import DataSet, Images
from search.running import inline
from search.running import preflight as preflight_module
from search.running.preflight import Preflight, check_node, check_node_data, compare_versions, versions
from search.store.store import Store
from search.trials.events import Event
from search.trials.resources import Resources
from search.trials.trial import Job, TrialSpec

Trial = Callable[..., TrialSpec]


@pytest.fixture
def preflight(tmp_path: Path, digits: Images) -> Preflight:
    return Preflight(tmp_path / "checkpoints", [(DataSet(name="digits", limit=200), digits.fingerprint)])


def test_a_machine_that_is_ready_passes_and_no_file_is_left(preflight: Preflight) -> None:
    preflight.check_this_machine(1)
    assert list(preflight.checkpoints.iterdir()) == []


def test_files_of_a_killed_driver_are_removed(preflight: Preflight) -> None:
    left = preflight.checkpoints / ".preflight-0123456789abcdef"
    left.mkdir(parents=True)
    (left / "driver").write_text("gone")
    preflight.check_this_machine(1)
    assert list(preflight.checkpoints.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_refused(tmp_path: Path, preflight: Preflight) -> None:
    (tmp_path / "checkpoints").write_text("a file")
    with pytest.raises(InputError, match=r"checkpoints: cannot be written here \(.+\); choose another --out"):
        preflight.check_this_machine(1)


def test_a_disk_that_is_too_full_is_refused_with_the_bytes_needed(tmp_path: Path) -> None:
    wants = Preflight(tmp_path, [(DataSet(name="digits"), "")], checkpoint_bytes=10**18, weight_bytes=5 * 10**17)
    with pytest.raises(InputError) as refused:
        wants.check_this_machine(2)
    text = str(refused.value)
    assert f"are free at {tmp_path}, and the run can take 6500000000.1 GB" in text
    assert "2 trials at a time with three checkpoints of 1000000000.0 GB each, and 500000000.0 GB of weights" in text


def test_nothing_begins_on_a_machine_that_is_not_ready(trial: Trial, tmp_path: Path) -> None:
    told: list[Event] = []
    wants = Preflight(tmp_path, [(DataSet(name="digits"), "")], checkpoint_bytes=10**18)
    with pytest.raises(InputError, match="make room"):
        inline.run(
            Listed([Job(trials=(trial(),))], told.append),
            resources=Resources(),
            checkpoints=tmp_path,
            preflight=wants,
        )
    assert told == []


def test_a_node_with_another_folder_of_the_same_name_is_recognised(preflight: Preflight, tmp_path: Path) -> None:
    with preflight.token() as asked:
        assert check_node(asked)["folder"] == ""
        other = check_node({**asked, "word": "that of another driver"})
        assert "is not the folder in which the run was started; checkpoints need a folder that all" in other["folder"]


def test_a_node_that_does_not_see_the_folder_reports_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("search.running.preflight.GRACE_SECONDS", 0.0)
    told = check_node({"folder": tmp_path / "runs/.preflight-0", "word": "0"})["folder"]
    assert told.startswith(f"{tmp_path}/runs does not exist, or is not the folder in which the run was started; ")


@pytest.mark.parametrize(
    ("there", "refused", "noted"),
    [
        ({}, [], []),
        ({"python": "3.11.9"}, [], ["python 3.11.9, and 3.11.7 is here"]),
        ({"python": "3.12.7"}, ["python 3.12.7, and 3.11.7 is here"], []),
        ({"torch": "2.11.1"}, [], ["torch 2.11.1, and 2.11.0 is here"]),
        ({"torch": "2.9.0"}, ["torch 2.9.0, and 2.11.0 is here"], []),
        ({"torch": "2.1.0"}, ["torch 2.1.0, and 2.11.0 is here"], []),
        (
            {"resnet-space": "0.1.0 (code b)"},
            ["resnet-space 0.1.0 (code b), and 0.1.0 (code a) is here"],
            [],
        ),
    ],
)
def test_large_version_differences_are_refused_and_small_ones_noted(
    there: dict[str, str], refused: list[str], noted: list[str]
) -> None:
    here = {"python": "3.11.7", "torch": "2.11.0", "resnet-space": "0.1.0 (code a)"}
    assert compare_versions(here, {**here, **there}) == (refused, noted)


def test_a_checkout_that_is_not_installed_has_the_hash_of_its_code(monkeypatch: pytest.MonkeyPatch) -> None:
    found = preflight_module.metadata.version

    def version(package: str) -> str:
        if package == "resnet-space":
            raise preflight_module.metadata.PackageNotFoundError(package)
        return found(package)

    monkeypatch.setattr(preflight_module.metadata, "version", version)
    assert re.fullmatch(r"not installed \(code [0-9a-f]{8}\)", versions.__wrapped__()["resnet-space"])


def test_every_node_that_is_not_ready_is_named_with_all_that_is_wrong(preflight: Preflight) -> None:
    fine = {"versions": versions(), "free": 10**12, "folder": ""}
    old = {**fine, "versions": {**versions(), "torch": "1.0.0"}, "folder": "/runs is not there"}
    with pytest.raises(InputError) as refused:
        preflight.check_answers({"node a": fine, "node b": old, "node c": {**fine, "free": 10}}, 1)
    first, *lines = str(refused.value).splitlines()
    assert first == "2 of 3 nodes cannot take trials:"
    assert lines[0] == f"node b: has torch 1.0.0, and {versions()['torch']} is here"
    assert lines[1] == "node b: /runs is not there"
    assert lines[2].startswith("node c: 0 MB are free")


def test_another_patch_version_of_torch_is_noted_and_not_refused(
    preflight: Preflight, capsys: pytest.CaptureFixture[str]
) -> None:
    patched = {**versions(), "torch": f"{versions()['torch']}.post1"}
    preflight.check_answers({"node a": {"versions": patched, "free": 10**12, "folder": ""}}, 1)
    assert "node a has torch" in capsys.readouterr().out


def test_missing_or_different_data_are_reported_with_advice(digits: Images, tmp_path: Path) -> None:
    assert check_node_data({"name": "digits", "limit": 200}, digits.fingerprint) == ""
    assert "has other contents there (fingerprint" in check_node_data(
        {"name": "digits", "limit": 100}, digits.fingerprint
    )
    missing = check_node_data({"name": "cifar10", "root": str(tmp_path)}, "")
    assert str(tmp_path) in missing
    assert "--download" in missing
    assert missing.endswith("or put it in a folder that all nodes share, and pass that as --data-root")


def test_required_bytes_are_computed_from_unfinished_trials(
    ablation: Callable[..., AblationRun], tmp_path: Path
) -> None:
    from ablations.plan import AblationPlan
    from search.data import load

    run = ablation({"plain": [0.1, None], "gated": [None, 0.2]})
    store = Store.at(tmp_path / "run")
    try:
        plan = AblationPlan.of(run.study, load(run.study.data))
        found = Preflight.of(plan, store, tmp_path, print)
        params = store.frame().query("status == 'waiting'")["params"]
    finally:
        store.close()
    assert len(params) == 2
    assert found.weight_bytes == 4 * params.sum()
    assert found.checkpoint_bytes == 8 * params.max()
    assert found.data == [(run.study.data, plan.images.fingerprint)]
