"""Data, machine or version changed between two sessions of a run: refused, or reported with the result."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from verbs import Cli, Result

from ablations.run import AblationRun
from resnet_space import api, documents
from resnet_space.api.folders import open_folder
from search.machine.processor import processor
from search.running.choice import choose
from search.store.membership import foreign_note
from search.store.store import Store
from search.trials.events import Finished, Started
from search.trials.trial import TrialSpec

Make = Callable[..., AblationRun]

ABLATION: dict[str, Any] = {
    "name": "d",
    "net": "resnet20",
    "set": {"width": 0.25, "stages.*.units": 1},
    "baseline": "a",
    "arms": {"a": {}, "b": {"set": {"unit.shortcut": "none"}}},
    "data": {"name": "npz", "root": "data.npz"},
    "recipe": {"base": "digits", "epochs": 1},
    "seeds": 1,
}
SEARCH: dict[str, Any] = {
    "name": "d",
    "kind": "search",
    "space": {"base": "resnet20", "set": {"stages.*.units": 1}, "axes": {"width": [0.125, 0.25]}},
    "budget": {"trials": 2},
    "confirm": 1,
    "data": {"name": "npz", "root": "data.npz"},
    "recipe": {"base": "digits", "epochs": 1},
}


def data(seed: int, path: Path = Path("data.npz")) -> None:
    random = np.random.default_rng(seed)
    np.savez(path, x=random.integers(0, 255, (60, 8, 8)).astype(np.uint8), y=np.arange(60) % 3)


@pytest.fixture
def run(resnet_space: Cli) -> Callable[..., Result]:
    """`run(STUDY, ...)` in an empty folder, into `r`."""

    def call(study: dict[str, Any], *options: str, out: str = "r") -> Result:
        Path("d.yaml").write_text(documents.write(study))
        return resnet_space("run", "d.yaml", "--inline", "--out", out, *options)

    return call


def stored(out: str = "r") -> list[Any]:
    with closing(Store.at(Path(out).resolve(), new=False)) as store:
        return store.records()


def test_a_file_replaced_between_two_sessions_is_refused_and_the_numbers_stay(run: Callable[..., Result]) -> None:
    data(0)
    assert run(ABLATION).status == 0
    before, then = stored(), os.stat("data.npz")
    kept = [Path("r", name).read_bytes() for name in ("study.yaml", "manifest.json")]
    data(1)
    os.utime("data.npz", ns=(then.st_atime_ns, then.st_mtime_ns))
    again = run(ABLATION, "--seeds", "2")
    assert again.status == 2
    for part in ("its trials are of other data: fingerprint ", "train (42 images as before, with other content)"):
        assert part in again.err
    assert again.err.endswith("; put the old data back, or choose another --out\n")
    assert stored() == before
    assert [Path("r", name).read_bytes() for name in ("study.yaml", "manifest.json")] == kept
    data(0)
    assert run(ABLATION, "--seeds", "2").status == 0
    assert [record.seed for record in stored() if record.status == "complete"].count(1) == 2


def mixed(run: Callable[..., Result], study: dict[str, Any]) -> dict[str, float]:
    """A folder as an earlier version left it, with sessions on two data sets in one store; the first one's errors."""
    for seed, out in enumerate(("r", "other")):
        data(seed)
        assert run(study, out=out).status == 0
    manifests = [json.loads(Path(out, "manifest.json").read_text())["sessions"] for out in ("r", "other")]
    for session in (*manifests[0], *manifests[1]):
        del session["data"], session["device"], session["machine"]["processor"]
    Path("r", "manifest.json").write_text(json.dumps({"sessions": [*manifests[0], *manifests[1]]}))
    errors = {record.key: record.test_error for record in stored()}
    with closing(Store.at(Path("r").resolve())) as store:
        for record in stored("other"):
            spec = TrialSpec.of(record.spec)
            store.add([spec])
            store.write([Started(spec.key, "host", "cpu", 1, 1)])
            store.write([Finished(spec.key, "complete", "", 0.0, 0.0, 1.0, 1.0)])
    assert len(stored()) == 2 * len(errors)
    return errors


@pytest.mark.parametrize("study", [ABLATION, SEARCH], ids=["ablation", "search"])
def test_a_folder_that_was_mixed_up_counts_the_data_that_it_began_with(
    study: dict[str, Any], run: Callable[..., Result], resnet_space: Cli
) -> None:
    errors = mixed(run, study)
    line = foreign_note(len(errors))
    found = api.open_run(Path("r"))
    assert {record.key for record in found.records} == set(errors)
    assert found.counts["complete"] == len(errors)
    if isinstance(found, AblationRun):
        assert sorted(error for arm in found.summaries for error in arm.errors) == sorted(errors.values())
    assert resnet_space("report", "r", "--format", "md,html,tex").status == 0
    for name in ("report.md", "report.html", "report.tex"):
        text = " ".join(Path("r", "report", name).read_text().split())
        assert line in text
        assert "the data changed between sessions" in text
    status = resnet_space("status", "r")
    assert line in status.out
    assert json.loads(resnet_space("status", "r", "--json").out)["left_out"] == len(errors)
    front = resnet_space("front", "r", "--format", "json")
    assert line in front.err
    assert all(point["error"] > 0 for point in json.loads(front.out)), "those of the other data have none"
    key = json.loads(front.out)[0]["key"]
    with open_folder(Path("r")) as stored_run:
        choice = choose(stored_run, key)
    assert choice.facts["trial"] in errors
    assert line in choice.notes[0]
    both = api.compare(Path("r"), Path("r"))
    assert len(both.first.trials) == len(errors)
    assert both.first.others == len(errors)
    assert run(study).status == 2, "the other data are there"
    data(0)
    again = run(study)
    assert again.status == 0
    assert line in " ".join(again.out.split())


def test_two_runs_of_other_data_say_so(run: Callable[..., Result], resnet_space: Cli) -> None:
    for seed, out in enumerate(("r", "other")):
        data(seed)
        assert run(ABLATION, out=out).status == 0
    found = api.compare(Path("r"), Path("other"))
    assert [path for path, _, _ in found.changed] == ["data fingerprint"]


def test_a_folder_whose_trials_are_all_of_something_else_says_so(run: Callable[..., Result], resnet_space: Cli) -> None:
    data(0)
    assert run(ABLATION).status == 0
    study = documents.read(Path("r/study.yaml"))
    Path("r/study.yaml").write_text(documents.write(study | {"recipe": study["recipe"] | {"lr": 0.3}}))
    for verb in (("report", "r"), ("export", "r", "--arm", "a", "--to", "a.py")):
        result = resnet_space(*verb)
        assert result.status == 2
        assert f"r: no trials yet; {foreign_note(2)}" in result.err


def changed(folder: Path, *, session: int, torch: str, name: str, device: str, gpus: tuple[str, ...] = ()) -> None:
    """Let a session of a manifest have run with something else."""
    manifest = json.loads((folder / "manifest.json").read_text())
    one = manifest["sessions"][session]
    one["versions"]["torch"] = torch
    one["machine"] |= {"processor": {"name": name, "isa": ["avx2"]}, "gpus": list(gpus)}
    one["device"] = device
    (folder / "manifest.json").write_text(json.dumps(manifest))


def notes(run: AblationRun) -> list[str]:
    from reports.document.provenance import provenance

    return provenance(run)


def test_sessions_that_ran_alike_need_no_note(ablation: Make) -> None:
    ablation({"a": [0.1], "b": [0.2]})
    assert notes(ablation({"a": [0.1, 0.2], "b": [0.2, 0.3]})) == []


def test_sessions_with_another_torch_and_device_are_noted(ablation: Make, tmp_path: Path) -> None:
    ablation({"a": [0.1], "b": [0.2]})
    found = ablation({"a": [0.1, 0.2], "b": [0.2, 0.3]})
    changed(tmp_path / "run", session=0, torch="2.14.1", name="AMD EPYC", device="cpu", gpus=("NVIDIA T4",))
    changed(tmp_path / "run", session=1, torch="2.15.0", name="AMD EPYC", device="cuda", gpus=("NVIDIA H100",))
    line = (
        "2 sessions: torch 2.14.1 on AMD EPYC (cpu), torch 2.15.0 on NVIDIA H100 (cuda); results are means over both."
    )
    assert notes(found) == [line]


def test_processors_of_one_name_whose_instruction_sets_differ_are_noted(ablation: Make, tmp_path: Path) -> None:
    ablation({"a": [0.1], "b": [0.2]})
    found = ablation({"a": [0.1, 0.2], "b": [0.2, 0.3]})
    changed(tmp_path / "run", session=0, torch="2.15.0", name=processor()["name"], device="cpu")
    manifest = json.loads((tmp_path / "run" / "manifest.json").read_text())
    manifest["sessions"][1]["machine"]["processor"]["isa"] = ["avx2", "avx512f"]
    manifest["sessions"][1]["versions"]["torch"] = "2.15.0"
    (tmp_path / "run" / "manifest.json").write_text(json.dumps(manifest))
    (line,) = notes(found)
    assert line.endswith(f"{processor()['name']} (cpu), with different instruction sets; results are means over both.")


def test_a_session_that_trained_nothing_is_not_noted(ablation: Make, tmp_path: Path) -> None:
    ablation({"a": [0.1], "b": [0.2]})
    found = ablation({"a": [0.1], "b": [0.2]})
    changed(tmp_path / "run", session=1, torch="2.14.1", name="AMD EPYC", device="cpu")
    manifest = json.loads((tmp_path / "run" / "manifest.json").read_text())
    manifest["sessions"][1]["began"] = "2999-01-01T00:00:00+00:00"
    (tmp_path / "run" / "manifest.json").write_text(json.dumps(manifest))
    assert notes(found) == []


def test_a_session_of_an_earlier_version_is_noted_as_far_as_it_is_known(ablation: Make, tmp_path: Path) -> None:
    ablation({"a": [0.1], "b": [0.2]})
    found = ablation({"a": [0.1, 0.2], "b": [0.2, 0.3]})
    for number in (0, 1):
        changed(tmp_path / "run", session=number, torch="2.15.0", name="AMD EPYC", device="cpu")
    manifest = json.loads((tmp_path / "run" / "manifest.json").read_text())
    del manifest["sessions"][0]["machine"]["processor"], manifest["sessions"][0]["device"]
    (tmp_path / "run" / "manifest.json").write_text(json.dumps(manifest))
    assert notes(found) == [], "it may have been the same"
    manifest["sessions"][0]["versions"]["torch"] = "2.14.1"
    (tmp_path / "run" / "manifest.json").write_text(json.dumps(manifest))
    assert notes(found) == [
        "2 sessions: torch 2.14.1 on an unknown processor, torch 2.15.0 on AMD EPYC (cpu); results are means over both."
    ]


def test_trials_of_two_kinds_of_device_are_noted(ablation: Make, tmp_path: Path) -> None:
    ablation({"a": [0.1, 0.2], "b": [0.2, 0.3]})
    with closing(Store.at(tmp_path / "run")) as store, store.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE trials SET device = CASE seed WHEN 0 THEN 'cpu' ELSE 'cuda:1' END")
    found = api.open_run(tmp_path / "run")
    assert isinstance(found, AblationRun)
    assert notes(found) == ["complete trials by device: 2 on cpu, 2 on cuda; results are means over both."]


def test_a_session_with_another_torch_and_processor_says_so_as_it_begins(run: Callable[..., Result]) -> None:
    data(0)
    assert run(ABLATION).status == 0
    changed(Path("r"), session=0, torch="1.0.0", name="a processor", device="cpu")
    again = run(ABLATION, "--seeds", "2")
    assert again.status == 0
    assert "torch is now '" in again.err
    assert "; it was '1.0.0' in r" in again.err
    assert "; it was 'a processor' in r" in again.err
    assert "2 sessions: torch 1.0.0 on a processor (cpu), torch " in " ".join(again.out.split())
