"""One copy per machine: created once, complete or not at all, and created again when its source changes."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from search.data import DataSet, Images, load
from search.data import shared as cache

torch.set_num_threads(1)

FAKE = DataSet(name="fake", samples=60, size=4)


def must_not_build() -> Images:
    raise AssertionError("was built again")


def fake() -> Images:
    return load(FAKE)


def same(one: Images, other: Images) -> bool:
    tensors = [(i.train, i.validation, i.test) for i in (one, other)]
    equal = all(torch.equal(a.x, b.x) and torch.equal(a.y, b.y) for a, b in zip(*tensors, strict=True))
    return equal and one.facts == other.facts and one.classes == other.classes


def test_the_second_caller_gets_the_entry_of_the_first(tmp_path: Path) -> None:
    first = cache.shared_images("a", fake, folder=tmp_path)
    second = cache.shared_images("a", must_not_build, folder=tmp_path)
    assert same(first, second)
    assert same(first, fake())


def test_an_entry_is_mapped_and_not_copied(tmp_path: Path) -> None:
    images = cache.shared_images("a", fake, folder=tmp_path)
    maps = Path("/proc/self/maps")
    if not maps.exists():
        pytest.skip("no /proc here to see mappings in")
    assert str(tmp_path / "a" / "train_x.npy") in maps.read_text()
    assert len(images.train)


def test_writing_to_a_mapped_tensor_does_not_reach_the_file(tmp_path: Path) -> None:
    cache.shared_images("a", fake, folder=tmp_path).train.x.zero_()
    assert same(cache.shared_images("a", must_not_build, folder=tmp_path), fake())


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 1)


@pytest.mark.parametrize(
    ("file", "harm"),
    [
        ("train_x.npy", cut),
        ("test_y.npy", Path.unlink),
        ("validation_x.npy", lambda path: path.write_bytes(b"\0" * path.stat().st_size)),
        ("about.json", cut),
        ("about.json", lambda path: path.write_text("{}")),
        ("about.json", Path.unlink),
    ],
)
def test_an_incomplete_entry_is_created_again(file: str, harm: Callable[[Path], object], tmp_path: Path) -> None:
    cache.shared_images("a", fake, folder=tmp_path)
    harm(tmp_path / "a" / file)
    assert same(cache.shared_images("a", fake, folder=tmp_path), fake())
    assert same(cache.shared_images("a", must_not_build, folder=tmp_path), fake())


def test_drafts_of_killed_processes_are_deleted(tmp_path: Path) -> None:
    (tmp_path / ".a.left-behind").mkdir()
    cache.shared_images("a", fake, folder=tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_dir()) == ["a"]


def test_without_a_writable_cache_the_images_are_the_processs_own(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert same(cache.shared_images("a", fake, folder=tmp_path / "file"), fake())


def _fingerprint(folder: Path) -> str:
    return cache.shared_images("a", fake, folder=folder).fingerprint


def test_two_processes_at_once_get_the_same_images(tmp_path: Path) -> None:
    # Spawned, although that imports torch again: a fork copies locks that threads of other tests can hold.
    context = multiprocessing.get_context("spawn")
    with context.Pool(2, initializer=context.Barrier(2).wait) as pool:
        assert set(pool.map(_fingerprint, [tmp_path] * 4)) == {fake().fingerprint}


def test_a_changed_source_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RESNET_SPACE_CACHE", str(tmp_path / "cache"))
    data, before = DataSet(name="npz", root=str(tmp_path / "a.npz")), np.zeros((30, 2, 2), np.uint8)
    np.savez(tmp_path / "a.npz", x=before, y=np.arange(30) % 2)
    first = load(data)
    np.savez(tmp_path / "a.npz", x=before + 1, y=np.arange(30) % 2)
    os.utime(tmp_path / "a.npz", ns=(1, 1))  # the clock can be the same at both writes
    second = load(data)
    assert (first.train.x == 0).all()
    assert (second.train.x == 1).all()


def test_a_source_of_the_same_size_and_time_but_other_contents_is_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RESNET_SPACE_CACHE", str(tmp_path / "cache"))
    path, before = tmp_path / "a.npz", np.zeros((30, 2, 2), np.uint8)
    np.savez(path, x=before, y=np.arange(30) % 2)
    first, old = load(DataSet(name="npz", root=str(path))), path.stat()
    while path.stat().st_ctime_ns == old.st_ctime_ns:  # the system's clock moves in steps
        np.savez(path, x=before + 1, y=np.arange(30) % 2)
        os.utime(path, ns=(old.st_atime_ns, old.st_mtime_ns))
    now = path.stat()
    assert (now.st_size, now.st_mtime_ns, now.st_ino) == (old.st_size, old.st_mtime_ns, old.st_ino)
    second = load(DataSet(name="npz", root=str(path)))
    assert (first.train.x == 0).all()
    assert (second.train.x == 1).all()


def test_a_file_that_replaces_another_is_read_again(tmp_path: Path) -> None:
    one, other, data = tmp_path / "a.npz", tmp_path / "b.npz", DataSet(name="npz", root=str(tmp_path / "a.npz"))
    for path in (one, other):
        path.write_bytes(b"alike")
        os.utime(path, ns=(1, 1))
    before = cache.entry_name(data, [one])
    other.rename(one)
    assert cache.entry_name(data, [one]) != before


def test_the_key_depends_on_description_and_files_but_not_on_the_spelling_of_the_root(tmp_path: Path) -> None:
    file = tmp_path / "a.npz"
    file.touch()
    data = DataSet(name="npz", root=str(file))
    key = cache.entry_name(data, [file])
    assert cache.entry_name(data.model_copy(update={"root": None}), [tmp_path / "." / "a.npz"]) == key
    assert cache.entry_name(data.model_copy(update={"limit": 3}), [file]) != key
