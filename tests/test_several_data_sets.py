"""A study on several data sets from the command line: run, resume, status, front, export, report, changed data."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from verbs import Cli, Result

from ablations.across.run import RunAcross
from resnet_space import api, documents
from resnet_space.cli.options import changes_from_options
from search.store.store import Store

STUDY: dict[str, Any] = {
    "name": "d",
    "net": "resnet20",
    "set": {"width": 0.25, "stages.*.units": 1},
    "baseline": "a",
    "arms": {"a": {}, "b": {"set": {"unit.shortcut": "none"}}, "c": {"set": {"unit.shortcut": "conv1x1"}}},
    "data": [{"name": "npz", "root": "one.npz"}, {"name": "npz", "root": "two.npz"}],
    "recipe": {"base": "digits", "epochs": 1},
    "seeds": 1,
    "planned": {"compare": ["b"]},
}
LABELS = ["npz (root=one.npz)", "npz (root=two.npz)"]

Runs = Callable[..., Result]


def make_data(name: str, seed: int) -> None:
    random = np.random.default_rng(seed)
    np.savez(name, x=random.integers(0, 255, (60, 8, 8)).astype(np.uint8), y=np.arange(60) % 3)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two files and the run of the study on them in `r`."""
    folder = tmp_path_factory.mktemp("trained")
    with contextlib.chdir(folder):
        for seed, name in enumerate(("one.npz", "two.npz")):
            make_data(name, seed)
        Path("d.yaml").write_text(documents.write(STUDY))
        api.run(api.study("d.yaml"), Path("r"), inline=True, say=lambda _: None)
    return folder


@pytest.fixture
def run(resnet_space: Cli, trained: Path) -> Runs:
    """`run(...)`: go on with a copy of `trained` in `r`."""
    shutil.copytree(trained, ".", dirs_exist_ok=True)

    def call(*options: str, study: dict[str, Any] = STUDY, out: str = "r") -> Result:
        Path("d.yaml").write_text(documents.write(study))
        return resnet_space("run", "d.yaml", "--inline", "--out", out, *options)

    return call


def sessions(out: str = "r") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(Path(out, "manifest.json").read_text())["sessions"]
    return found


def trials(out: str = "r") -> list[Any]:
    with closing(Store.at(Path(out).resolve(), new=False)) as store:
        return store.records()


def test_every_arm_is_trained_on_each_data_set_in_one_folder(run: Runs) -> None:
    found = api.open_run(Path("r"))
    assert isinstance(found, RunAcross)
    assert {label: len(part.records) for label, part in found.parts.items()} == dict.fromkeys(LABELS, 3)
    (session,) = sessions()
    assert session["fingerprint"] == [facts["fingerprint"] for facts in session["data"]]
    assert len({*session["fingerprint"]}) == 2
    assert all(facts["shape"] == [1, 8, 8] for facts in session["data"])


def test_the_same_command_resumes_and_more_seeds_are_added_on_each_data_set(run: Runs) -> None:
    before = trials()
    assert run().status == 0
    assert trials() == before
    more = run("--seeds", "2")
    assert more.status == 0
    assert f"{LABELS[1]}: c, seed 1: complete" in more.err
    assert len(trials()) == 2 * len(before)
    assert "12 complete" in Path("r/report/report.md").read_text()


def test_the_trials_are_those_of_the_study_on_each_data_set_alone(run: Runs) -> None:
    alone = set()
    # A list of one data set is the data set.
    for place, data in enumerate((STUDY["data"][0], STUDY["data"][1:])):
        assert run(study={**STUDY, "data": data}, out=f"one{place}").status == 0
        (session,) = sessions(f"one{place}")
        assert isinstance(session["fingerprint"], str)
        assert session["data"]["fingerprint"] == session["fingerprint"]
        assert isinstance(documents.read(Path(f"one{place}/study.yaml"))["data"], dict)
        alone |= {(record.key, record.test_error) for record in trials(f"one{place}")}
    assert {(record.key, record.test_error) for record in trials()} == alone


def test_a_change_of_one_file_is_refused_with_its_data_set(run: Runs) -> None:
    before = trials()
    make_data("two.npz", 7)
    again = run("--seeds", "2")
    assert again.status == 2
    assert f"its trials are of other data ({LABELS[1]}): fingerprint " in again.err
    assert "train (42 images as before, with other content)" in again.err
    assert trials() == before
    make_data("two.npz", 1)
    assert run("--seeds", "2").status == 0


def test_another_list_of_data_sets_is_another_study(run: Runs) -> None:
    for data in (STUDY["data"][:1], [*STUDY["data"], {"name": "digits", "limit": 50}], STUDY["data"][::-1]):
        refused = run(study={**STUDY, "data": data})
        assert refused.status == 2
        assert "holds another study; it differs in data" in refused.err or "other data" in refused.err


def chosen(*options: str, data: Any = STUDY["data"]) -> list[dict[str, Any]]:
    """The data sets of the study with these options of the command line, as they are stored."""
    Path("d.yaml").write_text(documents.write({**STUDY, "data": data}))
    names = {"dataset": None, "data_root": None, "seeds": None, "epochs": None, "trials": None}
    given = dict(zip(options[::2], options[1::2], strict=True))
    changes = changes_from_options(
        [f"{path}={value}" for path, value in given.items() if path not in names],
        **(names | {name: value for name, value in given.items() if name in names}),  # type: ignore[arg-type]
    )
    found: list[dict[str, Any]] = api.study("d.yaml", changes=changes).to_dict()["data"]
    return found


def test_a_change_of_data_by_path_is_one_of_each_data_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    found = chosen("data.limit", "30", "data.1.validation", "0.2")
    assert [(each["limit"], each["validation"]) for each in found] == [(30, 0.1), (30, 0.2)]
    assert [each["test"] for each in chosen("data.*.test", "0.3")] == [0.3, 0.3]


def test_data_sets_are_named_on_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    found = chosen("dataset", "digits, fake", "data.limit", "40")
    assert [(each["name"], each["limit"]) for each in found] == [("digits", 40), ("fake", 40)]
    assert chosen("data", "[digits, fake]", "data.limit", "40") == found


def test_a_root_is_given_to_the_data_sets_that_are_read_from_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    found = chosen("data_root", "one.npz", data=[{"name": "npz"}, "digits"])
    assert [each["root"] for each in found] == ["one.npz", None]


def test_the_files_can_move_between_sessions(run: Runs) -> None:
    Path("two.npz").rename("moved.npz")
    moved = [STUDY["data"][0], {"name": "npz", "root": "moved.npz"}]
    assert run("--seeds", "2", study={**STUDY, "data": moved}).status == 0
    assert len(trials()) == 12


def test_questions_about_one_data_set_name_it(run: Runs, resnet_space: Cli) -> None:
    for verb in (("front", "r"), ("export", "r", "--arm", "b", "--to", "b.py"), ("report", "r", "r")):
        unclear = resnet_space(*verb)
        assert unclear.status == 2
        assert f"a run on several data sets; choose one by --dataset: {', '.join(LABELS)}" in unclear.err
        assert resnet_space(*verb, "--dataset", LABELS[1]).status == 0
        assert "unknown data set 'cifar10'" in resnet_space(*verb, "--dataset", "cifar10").err
    found = api.open_run(Path("r"))
    assert isinstance(found, RunAcross)
    nets = {arm.key for arm in found.parts[LABELS[1]].summaries}
    front = json.loads(resnet_space("front", "r", "--dataset", LABELS[1], "--format", "json").out)
    assert {point["key"] for point in front} <= nets
    assert "can only be used with several runs" in resnet_space("report", "r", "--dataset", LABELS[1]).err


def test_every_format_of_the_report_has_each_data_set(run: Runs, resnet_space: Cli) -> None:
    assert resnet_space("report", "r", "--format", "html,md,tex,csv,parquet").status == 0
    for name in ("report.html", "report.md"):
        text = Path("r/report", name).read_text()
        assert all(f"Arms on {label}" in text for label in LABELS)
    rows = Path("r/report/report.csv").read_text().splitlines()
    assert rows[0].startswith("data,arm,key,n,error_mean")
    assert [row.split(",")[:2] for row in rows[1:]] == [[label, arm] for label in LABELS for arm in "abc"]
    tex = Path("r/report/report.tex").read_text()
    labels = [line for line in tex.splitlines() if r"\label" in line]
    assert len(set(labels)) == len(labels) == 4


def test_status_counts_each_data_set(run: Runs, resnet_space: Cli) -> None:
    shown = resnet_space("status", "r").out
    assert all(label in shown for label in LABELS)
    found = json.loads(resnet_space("status", "r", "--json").out)
    assert (found["complete"], found["left_out"]) == (6, 0)
    assert {label: counts["complete"] for label, counts in found["datasets"].items()} == dict.fromkeys(LABELS, 3)


def test_a_plan_has_the_trials_and_costs_of_each_data_set(run: Runs, resnet_space: Cli) -> None:
    Path("d.yaml").write_text(documents.write(STUDY))
    found = json.loads(resnet_space("plan", "d.yaml", "--json").out)
    assert found["trials"] == 6
    assert {label: part["trials"] for label, part in found["datasets"].items()} == dict.fromkeys(LABELS, 3)
    assert [row["name"] for row in found["networks"]] == [f"{label}: {arm}" for label in LABELS for arm in "abc"]
    shown = resnet_space("plan", "d.yaml").out
    assert "2 data sets: 6 trials" in shown
    assert "on each: 3 arms, 1 seeds: 3 trials" in shown


def test_what_seeds_can_show_is_planned_on_one_data_set_at_a_time(run: Runs, resnet_space: Cli) -> None:
    Path("d.yaml").write_text(documents.write(STUDY))
    refused = resnet_space("plan", "d.yaml", "--detect", "1")
    assert refused.status == 2
    assert "detect: the study has several data sets; plan it for one of them, with --dataset NAME" in refused.err


@pytest.mark.slow
def test_known_data_sets_are_planned_without_their_files(resnet_space: Cli, tmp_path: Path) -> None:
    (tmp_path / "d.yaml").write_text(documents.write({**STUDY, "data": ["cifar10", "cifar100"]}))
    found = json.loads(resnet_space("plan", tmp_path / "d.yaml", "--json").out)
    assert not found["data_read"]
    assert [*found["datasets"]] == ["cifar10", "cifar100"]


def test_a_manifest_without_the_second_data_set_is_reported(run: Runs, resnet_space: Cli) -> None:
    manifest = json.loads(Path("r/manifest.json").read_text())
    for session in manifest["sessions"]:
        session["fingerprint"], session["data"] = session["fingerprint"][:1], session["data"][:1]
    Path("r/manifest.json").write_text(json.dumps(manifest))
    for verb in (("report", "r"), ("front", "r", "--dataset", LABELS[1])):
        result = resnet_space(*verb)
        assert result.status == 2
        assert "manifest.json: has no fingerprint of data set 2 of the study" in result.err
