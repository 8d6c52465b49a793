"""A run's folder belongs to one study, and files in it are complete or not there."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from resnet_space import documents
from resnet_space.errors import InputError
from search.files import atomic, folder
from search.files.folder import RunFolder, differences
from search.machine.session import commit

STUDY: dict[str, Any] = {"name": "shortcuts", "seeds": 2, "recipe": {"lr": 0.1, "epochs": 10}, "arms": ["a", "b"]}


def changed(**changes: Any) -> dict[str, Any]:
    return json.loads(json.dumps(STUDY)) | changes


def test_a_claimed_folder_holds_the_study_and_nothing_else(tmp_path: Path) -> None:
    RunFolder(tmp_path / "deep" / "run").claim(STUDY, changeable=())
    assert documents.read(tmp_path / "deep" / "run" / "study.yaml") == STUDY
    assert [path.name for path in (tmp_path / "deep" / "run").iterdir()] == ["study.yaml"]


def test_the_same_study_can_claim_its_folder_again(tmp_path: Path) -> None:
    for _ in range(2):
        RunFolder(tmp_path).claim(STUDY, changeable=())
    assert documents.read(tmp_path / "study.yaml") == STUDY


def test_another_study_is_refused_with_the_paths_that_differ(tmp_path: Path) -> None:
    RunFolder(tmp_path).claim(STUDY, changeable=("seeds",))
    other = changed(recipe={"lr": 0.2, "epochs": 10}, name="depth")
    with pytest.raises(InputError) as caught:
        RunFolder(tmp_path).claim(other, changeable=("seeds",))
    text = str(caught.value)
    assert "holds another study" in text
    assert "name (stored 'shortcuts', now 'depth')" in text
    assert "recipe.lr (stored 0.1, now 0.2)" in text
    assert "epochs" not in text
    assert documents.read(tmp_path / "study.yaml") == STUDY, "the stored study does not change"


def test_many_differences_are_counted(tmp_path: Path) -> None:
    RunFolder(tmp_path).claim(dict.fromkeys("abcde", 1), changeable=())
    with pytest.raises(InputError, match=r"c \(stored 1, now 2\) and 2 more;"):
        RunFolder(tmp_path).claim(dict.fromkeys("abcde", 2), changeable=())


def test_changeable_fields_can_differ_and_the_new_values_are_written(tmp_path: Path) -> None:
    RunFolder(tmp_path).claim(STUDY, changeable=("seeds", "recipe"))
    now = changed(seeds=5, recipe={"lr": 0.1, "epochs": 20})
    RunFolder(tmp_path).claim(now, changeable=("seeds", "recipe"))
    assert documents.read(tmp_path / "study.yaml") == now


def test_a_changeable_field_does_not_allow_fields_with_the_same_prefix(tmp_path: Path) -> None:
    RunFolder(tmp_path).claim({"seeds": 1, "seeds_more": 1}, changeable=("seeds",))
    with pytest.raises(InputError, match="seeds_more"):
        RunFolder(tmp_path).claim({"seeds": 1, "seeds_more": 2}, changeable=("seeds",))


def test_a_folder_with_other_files_is_refused_and_not_changed(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(InputError, match=r"not empty, and not a run's folder; choose another --out"):
        RunFolder(tmp_path).claim(STUDY, changeable=())
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_file_in_the_folders_place_is_an_input_error(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("a file")
    for path in (tmp_path / "run", tmp_path / "run" / "deeper"):
        with pytest.raises(InputError, match="choose another --out"):
            RunFolder(path).claim(STUDY, changeable=())


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written_is_an_input_error(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(InputError, match="Permission denied; choose another --out"):
        RunFolder(tmp_path / "run").claim(STUDY, changeable=())


def test_an_error_of_the_file_system_is_an_input_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise OSError(30, "Read-only file system", str(tmp_path / "run"))

    monkeypatch.setattr(folder, "write_text", refuse)
    with pytest.raises(InputError, match=r"run: Read-only file system; choose another --out"):
        RunFolder(tmp_path / "run").claim(STUDY, changeable=())


def test_a_folder_without_a_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=re.escape(f"{tmp_path}: not a run's folder")):
        RunFolder.existing(tmp_path)
    RunFolder(tmp_path).claim(STUDY, changeable=())
    assert RunFolder.existing(tmp_path).path == tmp_path


def test_differences_descend_into_mappings_and_include_missing_fields() -> None:
    before, now = {"a": {"b": 1, "c": [1]}, "d": 2}, {"a": {"b": 3, "c": [1]}, "e": {"f": 4}}
    assert list(differences(before, now)) == [("a.b", 1, 3), ("d", 2, None), ("e", None, {"f": 4})]


def test_each_session_in_the_manifest_has_versions_machine_and_facts(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    run.add_session(seeds=[0, 1], fingerprint="abc")
    run.add_session(seeds=[0, 1, 2])
    first, second = run.read_manifest()["sessions"]
    assert (first["seeds"], first["fingerprint"], second["seeds"]) == ([0, 1], "abc", [0, 1, 2])
    assert {"torch", "ray", "resnet-space"} <= set(first["versions"])
    assert first["machine"]["python"] == ".".join(map(str, sys.version_info[:3]))
    assert set(first) == {"began", "machine", "versions", "commit", "seeds", "fingerprint"}
    assert [path.name for path in tmp_path.iterdir()] == ["manifest.json"]


def test_the_manifest_has_nothing_of_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_TOKEN", "hunter2-secret")
    monkeypatch.setenv("USER", "ada-lovelace")
    monkeypatch.setenv("HOME", "/somewhere/ada-lovelace")
    RunFolder(tmp_path).add_session()
    text = (tmp_path / "manifest.json").read_text()
    assert "hunter2" not in text
    assert "lovelace" not in text
    assert "API_TOKEN" not in text


def test_the_commit_is_the_codes_or_none() -> None:
    found = commit()
    assert found is None or re.fullmatch(r"[0-9a-f]{40}\+?", found)


def test_without_git_there_is_no_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert commit() is None


def half(path: Path) -> None:
    path.write_text("half")
    raise RuntimeError("power cut")


def nothing(path: Path) -> None:
    raise RuntimeError("before a byte was written")


@pytest.mark.parametrize("write", [half, nothing])
def test_a_failed_write_leaves_the_old_file_and_no_other(write: Callable[[Path], None], tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    atomic.write_text(target, "old")
    with pytest.raises(RuntimeError):
        atomic.replace(target, write)
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_the_new_file_is_in_place_only_when_it_is_complete(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    target.write_text("old")

    def slowly(path: Path) -> None:
        path.write_text("ne")
        assert target.read_text() == "old"
        path.write_text("new")
        assert target.read_text() == "old"

    atomic.replace(target, slowly)
    assert target.read_text() == "new"
    assert list(tmp_path.iterdir()) == [target]


def test_text_is_written_as_utf_8_and_missing_folders_are_created(tmp_path: Path) -> None:
    atomic.write_text(tmp_path / "a" / "b.txt", "σ ± τ")
    assert (tmp_path / "a" / "b.txt").read_bytes() == "σ ± τ".encode()


def data(fingerprint: str, **changes: Any) -> dict[str, Any]:
    splits = {"train": {"images": 42, "sha256": fingerprint}, "test": {"images": 12, "sha256": "c" * 16}}
    facts = {"fingerprint": fingerprint, "shape": [1, 8, 8], "dtype": "uint8", "classes": ["cat", "dog"]}
    return {**facts, "mean": [127.5], "std": [73.0], "splits": splits, **changes}


def test_other_data_are_refused_with_both_fingerprints_and_what_differs(tmp_path: Path) -> None:
    run, before = RunFolder(tmp_path), data("a" * 16)
    run.check_data(before)
    run.add_session(fingerprint="a" * 16, data=before)
    run.check_data(before)
    with pytest.raises(InputError) as caught:
        run.check_data(data("b" * 16, classes=["cat", "cow"]))
    assert str(caught.value) == (
        f"{tmp_path}: its trials are of other data: fingerprint {'a' * 16} stored, {'b' * 16} now; they differ in "
        "classes (2 stored, 2 now; only stored: 'dog', only now: 'cow'), "
        "train (42 images as before, with other content); "
        "put the old data back, or choose another --out"
    )


def test_other_data_than_those_of_an_earlier_version_are_refused_too(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    run.add_session(fingerprint="a" * 16)
    assert run.data is None
    with pytest.raises(InputError, match="the manifest does not say in what they differ; put the old data back"):
        run.check_data(data("b" * 16))


def test_a_runs_data_stay_those_of_its_first_session(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    run.add_session()
    run.add_session(fingerprint="a" * 16)
    run.add_session(fingerprint="b" * 16, data=data("b" * 16))
    assert (run.fingerprints, run.data) == (["a" * 16, "b" * 16], None)
    with pytest.raises(InputError, match=f"fingerprint {'a' * 16} stored, {'b' * 16} now"):
        run.check_data(data("b" * 16))
    run.add_session(fingerprint="a" * 16, data=data("a" * 16))
    assert run.data == data("a" * 16)


def test_each_data_set_of_a_run_on_several_is_checked_for_itself(tmp_path: Path) -> None:
    run, first, second = RunFolder(tmp_path), data("a" * 16), data("b" * 16)
    run.add_session(fingerprint=["a" * 16, "b" * 16], data=[first, second])
    assert run.own_fingerprints == ["a" * 16, "b" * 16]
    assert [run.at(place).data for place in (0, 1, 2)] == [first, second, None]
    assert [run.at(place).fingerprints for place in (0, 1, 2)] == [["a" * 16], ["b" * 16], []]
    run.at(0).check_data(first, "digits")
    with pytest.raises(InputError, match=rf"other data \(fake\): fingerprint {'b' * 16} stored, {'c' * 16} now"):
        run.at(1).check_data(data("c" * 16), "fake")


def test_the_root_of_each_data_set_can_change_and_its_other_fields_cannot(tmp_path: Path) -> None:
    sets = [{"name": "digits", "root": None}, {"name": "npz", "root": "a", "limit": 5}]
    run = RunFolder(tmp_path)
    run.claim({"data": sets}, changeable=("data.root",))
    run.check({"data": [sets[0], {**sets[1], "root": "b"}]}, changeable=("data.root",))
    assert run.changes == [("data.1.root", "a", "b")]
    with pytest.raises(InputError, match=r"differs in data\.1\.limit \(stored 5, now 6\)"):
        run.check({"data": [sets[0], {**sets[1], "limit": 6}]}, changeable=("data.root",))
    with pytest.raises(InputError, match="differs in data "):
        run.check({"data": sets[:1]}, changeable=("data.root",))


def session(torch: str = "2.14.1", processor: Any = "EPYC", isa: Any = (), gpus: Any = (), **facts: Any) -> Any:
    cpu = processor and {"name": processor, "isa": list(isa)}
    return {"versions": {"torch": torch}, "machine": {"processor": cpu, "gpus": list(gpus)}, **facts}


@pytest.mark.parametrize(
    ("before", "now", "found"),
    [
        (session(), session(), []),
        (session(), session("2.15.0"), [("torch", "2.14.1", "2.15.0")]),
        (session(), session(processor="Xeon"), [("processor", "EPYC", "Xeon")]),
        (
            session(isa=["avx2", "avx512f"]),
            session(isa=["amx_tile", "avx2"]),
            [("processor", "EPYC with avx512f without amx_tile", "EPYC with amx_tile without avx512f")],
        ),
        (session(device="cpu"), session(device="cuda"), [("device", "cpu", "cuda")]),
        (
            session(gpus=["A100"], device="cuda"),
            session(gpus=["H100"], device="cuda"),
            [("GPUs", ["A100"], ["H100"])],
        ),
        (session(gpus=["A100"], device="cpu"), session(device="cpu"), []),
        (session(processor=None), session(), []),
        (session(checkpoints="s3://a/b"), session(), [("checkpoints", "s3://a/b", None)]),
    ],
)
def test_a_difference_from_the_previous_session_is_a_change(before: Any, now: Any, found: Any) -> None:
    assert folder.changed_conditions(before, now) == found
