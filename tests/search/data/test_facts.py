"""Facts of data sets: class names in the order of labels, digests, and the differences between two sets."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pydantic import TypeAdapter

from resnet_space.errors import InputError
from search.data import DATASETS, DataSet, load
from search.data.cifar import Archive, find
from search.data.facts import DataFacts, data_differences
from search.data.fashion_mnist import CLASS_NAMES
from search.data.loading import assemble
from search.data.source import Contents, Labelled

CIFAR10 = DataSet(name="cifar10")


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RESNET_SPACE_CACHE", str(tmp_path / "cache"))


def arrays(
    folder: Path, *, images: int = 60, classes: int = 3, side: int = 8, seed: int = 0, first: int = 0
) -> DataSet:
    """Random images in `folder`/a.npz, labelled `first`, `first` + 10, ..."""
    x = np.random.default_rng(seed).integers(0, 255, (images, side, side)).astype(np.uint8)
    np.savez(folder / "a.npz", x=x, y=first + 10 * (np.arange(images) % classes))
    return DataSet(name="npz", root=str(folder / "a.npz"))


def facts(folder: Path, **changes: int) -> dict[str, Any]:
    return load(arrays(folder, **changes)).facts


@pytest.mark.parametrize("name", ["digits", "fake"])
def test_generated_and_embedded_sets_name_their_classes_by_number(name: str) -> None:
    assert load(DataSet(name=name)).names == tuple("0123456789")


def test_folders_name_their_classes(tmp_path: Path) -> None:
    for label in ("b dog", "a cat"):
        (tmp_path / "train" / label).mkdir(parents=True)
        for number in range(10):
            Image.new("RGB", (4, 4), (number, 0, 0)).save(tmp_path / "train" / label / f"{number}.png")
    data = DataSet.of({"name": "imagefolder", "root": str(tmp_path), "size": 4})
    # The second call uses the shared copy.
    assert [load(data).names for _ in range(2)] == [("a cat", "b dog")] * 2


def test_class_names_of_arrays_are_their_labels_in_ascending_order(tmp_path: Path) -> None:
    assert load(arrays(tmp_path, first=-5)).names == ("-5", "5", "15")


def test_names_are_renumbered_along_with_labels() -> None:
    part = Labelled(np.zeros((20, 1, 2, 2), np.uint8), np.arange(20) % 2 * 2 + 1)
    images = assemble(DataSet(name="npz"), Contents(train=part, names=("zero", "one", "two", "three")))
    assert images.names == ("one", "three")


def test_fashion_mnist_has_its_authors_class_names() -> None:
    assert len(CLASS_NAMES) == len(set(CLASS_NAMES)) == DATASETS["fashion-mnist"].classes


def small_cifar(root: Path, meta: bytes, md5: str = "") -> Archive:
    """Two batches of 20 images of two classes, and a file of class names."""
    batch = {b"data": np.zeros((20, 3072), np.uint8), b"labels": [0, 1] * 10}
    contents = {"data_batch_1": pickle.dumps(batch, protocol=4), "test_batch": pickle.dumps(batch, protocol=4)}
    root.mkdir()
    rows = []
    for name, content in {**contents, "batches.meta": meta}.items():
        (root / name).write_bytes(content)
        rows.append((name, hashlib.md5(content).hexdigest()))
    train, test, (name, real) = rows
    return Archive("", "", "", "", (train,), (test,), b"labels", 2, (name, md5 or real), b"label_names")


def test_cifar_has_the_class_names_of_its_meta_file_and_the_shared_copy_depends_on_it(tmp_path: Path) -> None:
    archive = small_cifar(tmp_path / "c", pickle.dumps({b"label_names": [b"cat", b"dog"], b"num_vis": 3072}))
    source = find(CIFAR10, archive, tmp_path / "c", False)
    assert source.read().names == ("cat", "dog")
    assert tmp_path / "c" / "batches.meta" in source.files


def test_cifar_without_its_meta_file_has_numbers_as_class_names(tmp_path: Path) -> None:
    archive = small_cifar(tmp_path / "c", b"")
    (tmp_path / "c" / "batches.meta").unlink()
    assert assemble(CIFAR10, find(CIFAR10, archive, tmp_path / "c", False).read()).names == ("0", "1")


class Plant:
    def __reduce__(self) -> object:
        return os.mkdir, ("was-run",)


@pytest.mark.parametrize(
    ("meta", "md5", "message"),
    [
        (pickle.dumps({b"label_names": [b"cat", b"dog"]}), "0" * 32, "its MD5 is not 000"),
        (pickle.dumps({b"label_names": [b"cat"]}), "", "does not have 2 class names"),
        (pickle.dumps({b"label_names": [1, 2]}), "", "does not have 2 class names"),
        (pickle.dumps({}), "", "does not have 2 class names"),
        (pickle.dumps({b"label_names": Plant()}), "", "asks for .*nothing was run"),
    ],
)
def test_an_invalid_meta_file_is_damaged(
    meta: bytes, md5: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    archive = small_cifar(tmp_path / "c", meta, md5)
    with pytest.raises(InputError, match=rf"batches\.meta: damaged: {message}"):
        find(CIFAR10, archive, tmp_path / "c", False).read()
    assert not Path("was-run").exists()


def test_facts_are_plain_data_that_a_manifest_accepts(tmp_path: Path) -> None:
    found = facts(tmp_path)
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    TypeAdapter(DataFacts).validate_json(json.dumps(found), strict=True)
    assert (found["shape"], found["dtype"], found["classes"]) == ([1, 8, 8], "uint8", ["0", "10", "20"])
    assert {name: split["images"] for name, split in found["splits"].items()} == {
        "train": 42,
        "validation": 6,
        "test": 12,
    }


def words(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    return "; ".join(data_differences(before, now))


def test_splits_with_other_content_are_named(tmp_path: Path) -> None:
    before = facts(tmp_path)
    assert words(before, before) == ""
    assert words(before, facts(tmp_path, seed=1)) == (
        "train (42 images as before, with other content); validation (6 images as before, with other content); "
        "test (12 images as before, with other content)"
    )


def test_only_the_split_that_differs_is_named(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    data, x, y = (
        DataSet(name="npz", root=str(tmp_path / "a.npz")),
        random.integers(0, 255, (60, 4, 4)),
        np.arange(60) % 3,
    )
    found = []
    for test in (x[:9], x[9:18]):
        kept = {"x": x.astype(np.uint8), "y": y, "x_test": test.astype(np.uint8), "y_test": y[:9]}
        np.savez(tmp_path / "a.npz", **kept)
        found.append(load(data).facts)
    assert words(*found) == "test (9 images as before, with other content)"


def test_other_shapes_classes_and_numbers_of_images_are_named(tmp_path: Path) -> None:
    before, now = facts(tmp_path), facts(tmp_path, images=80, classes=4, side=6)
    found = words(before, now)
    assert "shape (1x8x8 stored, 1x6x6 now)" in found
    assert "classes (3 stored, 4 now; only stored: none, only now: '30')" in found
    assert "train (42 images stored, 56 now)" in found


def test_classes_in_another_order_are_named(tmp_path: Path) -> None:
    before = facts(tmp_path)
    assert words(before, before | {"classes": before["classes"][::-1]}) == "classes (3 stored, 3 now; in another order)"
