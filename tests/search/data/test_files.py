"""Fashion-MNIST's IDX files, a user's arrays and a user's pictures."""

from __future__ import annotations

import gzip
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from resnet_space.errors import InputError
from search.data import DATASETS, DataSet, load
from search.data.fashion_mnist import DEBIAN, FILES, RAW, read_idx
from search.data.pictures import read_picture

torch.set_num_threads(1)

RANDOM = np.random.RandomState(0)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RESNET_SPACE_CACHE", str(tmp_path / "cache"))


def idx(array: np.ndarray) -> bytes:
    return bytes((0, 0, 8, array.ndim)) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def write_fashion(folder: Path, *, packed: bool) -> None:
    folder.mkdir(parents=True)
    for name in FILES:
        array = np.random.RandomState(1).randint(0, 256, (40, 28, 28)) if "images" in name else np.arange(40) % 10
        content = idx(array.astype(np.uint8))
        path = folder / (f"{name}.gz" if packed else name)
        path.write_bytes(gzip.compress(content) if packed else content)


@pytest.mark.skipif(not DEBIAN.is_dir(), reason="Debian's package dataset-fashion-mnist is not installed")
def test_debians_fashion_mnist_is_found_automatically() -> None:
    images = load(DataSet(name="fashion-mnist"))
    assert [len(split) for split in (images.train, images.validation, images.test)] == [54_000, 6_000, 10_000]
    assert (images.classes, images.shape) == (10, DATASETS["fashion-mnist"].shape)
    assert images.validation.y.bincount().tolist() == [600] * 10
    assert images.mean[0] / 255 == pytest.approx(0.2860, abs=1e-3)


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzipped"])
@pytest.mark.parametrize("below", [Path(), RAW], ids=["loose", "torchvision"])
def test_fashion_mnist_is_read_from_either_layout(below: Path, packed: bool, tmp_path: Path) -> None:
    write_fashion(tmp_path / "f" / below, packed=packed)
    images = load(DataSet(name="fashion-mnist"), root=tmp_path / "f")
    assert [len(split) for split in (images.train, images.validation, images.test)] == [36, 4, 40]


@pytest.mark.parametrize(
    "harm",
    [lambda c: c[:-1], lambda c: b"", lambda c: b"\0\0\x0b\3" + c[4:], lambda c: c + b"x"],
    ids=["cut off", "empty", "another type", "too long"],
)
def test_a_damaged_idx_file_is_named(harm: Callable[[bytes], bytes], tmp_path: Path) -> None:
    path = tmp_path / "train-images-idx3-ubyte"
    path.write_bytes(harm(idx(np.zeros((2, 28, 28), np.uint8))))
    with pytest.raises(InputError, match="train-images-idx3-ubyte: damaged"):
        read_idx(path, 3)


def test_a_damaged_gzip_is_named(tmp_path: Path) -> None:
    path = tmp_path / "train-labels-idx1-ubyte.gz"
    path.write_bytes(gzip.compress(idx(np.zeros(100, np.uint8)))[:-9])
    with pytest.raises(InputError, match=r"ubyte.gz: damaged"):
        read_idx(path, 1)


def save(folder: Path, **arrays: np.ndarray) -> Path:
    np.savez(folder / "a.npz", **arrays)
    return folder / "a.npz"


X = RANDOM.randint(0, 256, (40, 6, 5)).astype(np.uint8)
Y = np.arange(40) % 4


def test_grey_arrays_get_one_channel_and_labels_are_renumbered_in_order(tmp_path: Path) -> None:
    images = load(DataSet(name="npz"), root=save(tmp_path, x=X, y=Y * 10 - 7, x_test=X, y_test=Y * 10 - 7))
    assert images.shape == (1, 6, 5)
    assert images.test.y.tolist() == Y.tolist()
    assert np.array_equal(images.test.x[:, 0].numpy(), X)


def test_float64_arrays_become_float32(tmp_path: Path) -> None:
    images = load(DataSet(name="npz"), root=save(tmp_path, x=X.astype(np.float64) / 255, y=Y))
    assert images.train.x.dtype == torch.float32


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": X}, "has no array 'y', only: x"),
        ({"x": X, "y": Y, "x_test": X}, "has no array 'y_test'"),
        ({"x": X, "y": Y[:-1]}, "y is int64 of shape \\(39,\\); needed: 40 whole numbers"),
        ({"x": X, "y": Y / 2}, "y is float64"),
        ({"x": X[0], "y": Y}, "x has shape \\(6, 5\\); allowed"),
        ({"x": np.full((40, 2, 2), np.nan), "y": Y}, "not finite"),
        ({"x": X, "y": Y, "x_test": X[:, :4], "y_test": Y}, "x has images of .* x_test of"),
        (
            {"x": X, "y": Y, "x_test": X, "y_test": Y + 1},
            "test label 4; allowed: those of the training images",
        ),
        ({"x": X, "y": Y * 0}, "has 1 class in its training images"),
        ({"x": np.array([{}] * 40, dtype=object), "y": Y}, "a.npz: damaged: .*Python objects are never read"),
    ],
)
def test_arrays_that_do_not_make_a_data_set_are_explained(
    arrays: dict[str, np.ndarray], message: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=message):
        load(DataSet(name="npz"), root=save(tmp_path, **arrays))


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 and no more", b"text"])
def test_a_file_that_is_not_an_npz_is_damaged(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"a.npz: damaged: not an .npz file"):
        load(DataSet(name="npz"), root=path)


def paint(path: Path, colour: tuple[int, int, int], size: tuple[int, int] = (6, 4)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path)


def picture_tree(root: Path, parts: dict[str, int]) -> DataSet:
    for part, count in parts.items():
        for label, colour in (("cat", (255, 0, 0)), ("dog", (0, 0, 255))):
            for number in range(count):
                paint(root / part / label / f"{number}.png", colour)
    return DataSet(name="imagefolder", root=str(root), size=4)


def test_existing_folders_are_the_splits(tmp_path: Path) -> None:
    images = load(picture_tree(tmp_path, {"train": 5, "val": 2, "test": 3}))
    assert [len(split) for split in (images.train, images.validation, images.test)] == [10, 4, 6]
    red, blue = images.test.x[images.test.y == 0], images.test.x[images.test.y == 1]
    assert (red[:, 0] == 255).all()
    assert (blue[:, 2] == 255).all()


def test_splits_without_folders_are_taken_from_train(tmp_path: Path) -> None:
    images = load(picture_tree(tmp_path, {"train": 10, "val": 2}))
    assert [len(split) for split in (images.train, images.validation, images.test)] == [16, 4, 4]


def test_a_class_that_train_lacks_is_refused(tmp_path: Path) -> None:
    data = picture_tree(tmp_path, {"train": 5})
    paint(tmp_path / "val" / "cow" / "0.png", (0, 0, 0))
    with pytest.raises(InputError, match="val/cow: no such class in train; allowed: cat, dog"):
        load(data)


def test_a_class_without_pictures_is_refused(tmp_path: Path) -> None:
    data = picture_tree(tmp_path, {"train": 5})
    (tmp_path / "train" / "cow").mkdir()
    with pytest.raises(InputError, match=r"train: .*cow"):
        load(data)


def test_an_incomplete_picture_is_named(tmp_path: Path) -> None:
    data = picture_tree(tmp_path, {"train": 10})
    path = tmp_path / "train" / "dog" / "3.png"
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(InputError, match=r"dog/3.png: damaged"):
        load(data)


def test_a_picture_is_scaled_to_its_shorter_side_and_cropped_in_the_middle(tmp_path: Path) -> None:
    picture = Image.new("RGB", (12, 4), (0, 0, 0))
    picture.paste((255, 255, 255), (4, 0, 8, 4))
    picture.save(tmp_path / "a.png")
    assert (read_picture(tmp_path / "a.png", 4) == 255).all()
