"""A user's arrays are read with any usual name, layout and type, or refused with what is allowed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from resnet_space.errors import InputError
from search.data import DataSet, load
from search.data.npz import read
from search.data.source import Contents

X = np.random.default_rng(0).integers(0, 256, (40, 6, 5)).astype(np.uint8)
Y = np.arange(40) % 4
COLOUR = np.random.default_rng(1).integers(0, 256, (40, 3, 6, 5)).astype(np.uint8)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RESNET_SPACE_CACHE", str(tmp_path / "cache"))


def contents(folder: Path, **arrays: np.ndarray) -> Contents:
    np.savez(folder / "a.npz", **arrays)
    return read(folder / "a.npz")


def pixels(folder: Path, x: np.ndarray) -> np.ndarray:
    """The training images, as loaded."""
    return np.asarray(contents(folder, x=x, y=Y).train.x)


NAMES = (
    ("x", "y"),
    ("X", "Y"),
    ("X", "y"),
    ("images", "labels"),
    ("image", "label"),
    ("data", "target"),
    ("data", "targets"),
    ("x_train", "y_train"),
    ("X_train", "Y_train"),
    ("train_x", "train_y"),
    ("train_images", "train_labels"),
    ("training_data", "training_labels"),
)


@pytest.mark.parametrize(("images", "labels"), NAMES)
def test_images_and_labels_are_found_by_all_their_usual_names(images: str, labels: str, tmp_path: Path) -> None:
    train = contents(tmp_path, **{images: X, labels: Y}).train
    assert np.array_equal(np.asarray(train.x)[:, 0], X)
    assert np.array_equal(train.y, Y)


@pytest.mark.parametrize("name", ["x_{}", "X_{}", "{}_x", "images_{}", "{}_images"])
@pytest.mark.parametrize("validation", ["val", "valid", "validation", "dev"])
def test_a_validation_split_in_the_file_is_used(name: str, validation: str, tmp_path: Path) -> None:
    label = name.replace("x", "y").replace("X", "y").replace("images", "labels")
    np.savez(
        tmp_path / "a.npz",
        **{name.format("train"): X, label.format("train"): Y},
        **{name.format(validation): X[:8], label.format(validation): Y[:8]},
        **{name.format("test"): X[8:20], label.format("test"): Y[8:20]},
    )
    images = load(DataSet(name="npz"), root=tmp_path / "a.npz")
    assert [len(split) for split in (images.train, images.validation, images.test)] == [40, 8, 12]
    assert np.array_equal(images.validation.x[:, 0].numpy(), X[:8])


def test_the_layout_of_medmnist_is_read(tmp_path: Path) -> None:
    x, y = COLOUR.transpose(0, 2, 3, 1), Y.astype(np.uint8)[:, None]
    made = {
        f"{split}_{kind}": array for split in ("train", "val", "test") for kind, array in (("images", x), ("labels", y))
    }
    read_back = contents(tmp_path, **made)
    for part in (read_back.train, read_back.validation, read_back.test):
        assert part is not None
        assert np.array_equal(np.asarray(part.x), COLOUR)
        assert np.array_equal(part.y, Y)


def test_other_arrays_are_ignored(tmp_path: Path) -> None:
    names = np.array(["a", "b", "c", "d"])
    assert len(contents(tmp_path, data=X, target=Y, target_names=names, images_mean=X[0], note=X).train.y) == 40


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": X, "x_train": X, "y": Y}, "x and x_train are both images for train; keep one of them"),
        ({"x": X, "y": Y, "target": Y}, "y and target are both labels for train"),
        ({"x": X, "y": Y, "x_val": X, "x_valid": X}, "x_val and x_valid are both images for validation"),
        ({"x": X, "y": Y, "x_val": X}, "has no array 'y_validation', only: x, y, x_val; allowed: x and y, or images"),
        ({"x": X, "y": Y, "y_test": Y}, "has no array 'x_test'"),
        ({"arr_0": X, "arr_1": Y}, "has no array 'x', only: arr_0, arr_1; allowed: x and y"),
        ({"x_test": X, "y_test": Y}, "has no array 'x', only: x_test, y_test"),
        (
            {"x": X, "y": Y, "x_holdout": X, "y_holdout": Y},
            "x_holdout: 'holdout' is not the name of a split; allowed: tr",
        ),
        ({}, "has no array 'x', only: nothing"),
    ],
)
def test_ambiguous_names_are_refused(arrays: dict[str, np.ndarray], message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=f"a.npz: {message}"):
        contents(tmp_path, **arrays)


@pytest.mark.parametrize(
    "shape",
    [(3, 6, 5), (1, 6, 5), (8, 16, 12), (1, 2, 2), (3, 2, 2), (2, 4, 4), (1, 4, 4), (3, 4, 4), (3, 32, 4000)],
    ids=str,
)
def test_channels_are_recognised_first_and_last(shape: tuple[int, int, int], tmp_path: Path) -> None:
    x = np.random.default_rng(0).integers(0, 256, (40, *shape)).astype(np.uint8)
    for got in (pixels(tmp_path, x), pixels(tmp_path, x.transpose(0, 2, 3, 1))):
        assert np.array_equal(got, x)
        assert got.flags.c_contiguous


@pytest.mark.parametrize("shape", [(40, 3, 3, 3), (40, 1, 28, 1), (40, 3, 28, 4), (40, 3, 28, 2), (40, 8, 16, 8)])
def test_ambiguous_channels_are_refused(shape: tuple[int, ...], tmp_path: Path) -> None:
    with pytest.raises(InputError, match=rf"a.npz: x has shape .*are its {shape[1]} or its {shape[3]} the channels\?"):
        pixels(tmp_path, np.zeros(shape, np.uint8))


@pytest.mark.parametrize("shape", [(40, 784), (0, 6, 5), (40, 0, 5), (40, 1, 1, 6, 5)])
def test_other_shapes_are_refused(shape: tuple[int, ...], tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"a.npz: x has shape .*; allowed: \(N, H, W\), \(N, C, H, W\) or"):
        pixels(tmp_path, np.zeros(shape, np.uint8))


@pytest.mark.parametrize("kind", ["<u2", ">u2", "i1", "<i4", ">i8", "f2", "<f4", ">f4", "f8", ">f8", "g"])
def test_numbers_of_any_type_and_byte_order_keep_their_values(kind: str, tmp_path: Path) -> None:
    x = (X.astype(np.int64) * (200 if kind.endswith("2") and "u" in kind else 1) // (2 if kind == "i1" else 1)).astype(
        kind
    )
    got = pixels(tmp_path, x)
    assert got.dtype == np.dtype("=f4")
    assert np.array_equal(got[:, 0], x.astype("=f8").astype("=f4"))
    torch.from_numpy(got)


def test_true_and_false_are_white_and_black(tmp_path: Path) -> None:
    got = pixels(tmp_path, X > 127)
    assert got.dtype == np.uint8
    assert np.array_equal(got[:, 0], np.where(X > 127, 255, 0))


def test_arrays_in_fortran_order_are_read(tmp_path: Path) -> None:
    assert np.array_equal(pixels(tmp_path, np.asfortranarray(COLOUR)), COLOUR)
    assert pixels(tmp_path, np.asfortranarray(COLOUR)).flags.c_contiguous


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (X.astype(np.int64) + 2**24, "x is int64 and has values beyond 16,777,216"),
        (np.full((40, 6, 5), np.nan), "x has values that are not finite"),
        (np.full((40, 6, 5), 1e300), "x has values that are not finite"),
        (X.astype(np.complex64), "x is complex64; allowed: bool, whole numbers or floats"),
        (X.astype(str), "x is <U3; allowed: bool, whole numbers or floats"),
        (X.astype("m8[s]"), r"x is timedelta64\[s\]; allowed: bool, whole numbers or floats"),
    ],
)
def test_values_that_float32_cannot_represent_are_refused(x: np.ndarray, message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=f"a.npz: {message}"):
        pixels(tmp_path, x)


LABELS = {
    "a column": Y[:, None],
    "bytes": Y.astype(np.uint8),
    "the other byte order": Y.astype(">i2"),
    "whole floats": Y.astype(np.float32),
    "one-hot": np.eye(4)[Y],
    "one-hot of whole numbers": np.eye(4, dtype=np.uint8)[Y],
    "one-hot of truths": np.eye(4, dtype=bool)[Y],
}


@pytest.mark.parametrize("case", LABELS)
def test_labels_of_any_usual_form_are_read(case: str, tmp_path: Path) -> None:
    got = contents(tmp_path, x=X, y=LABELS[case]).train.y
    assert got.dtype == np.dtype("=i8")
    assert np.array_equal(got, Y)


@pytest.mark.parametrize(
    "y",
    [
        Y / 2,
        np.where(Y == 0, np.nan, Y),
        np.eye(4)[Y] * 0.9,
        np.eye(4)[Y] + np.eye(4)[Y[::-1]],
        np.zeros((40, 4)),
        Y[:-1],
        Y.astype(str),
        Y.astype(np.uint64) + np.uint64(2**63),
    ],
    ids=["halves", "nan", "soft", "several", "none", "too few", "names", "beyond int64"],
)
def test_labels_of_another_form_are_refused(y: np.ndarray, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"a.npz: y is .* of shape .*; needed: 40 whole numbers.*return_inverse=True"):
        contents(tmp_path, x=X, y=y)


def test_splits_of_different_types_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"x has images of \(1, 6, 5\) uint8, x_test of \(1, 6, 5\) float32"):
        contents(tmp_path, x=X, y=Y, x_test=X / 255, y_test=Y)


@pytest.mark.parametrize("name", ["a.npy", "a.npz"])
def test_a_single_array_is_refused(name: str, tmp_path: Path) -> None:
    with (tmp_path / name).open("wb") as file:
        np.save(file, X)
    with pytest.raises(InputError, match=rf"{name}: a single array; an .npz file with x and y is needed"):
        read(tmp_path / name)


def test_a_folder_of_arrays_is_refused_with_how_to_pack_them(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", X)
    with pytest.raises(InputError, match=r"root must be an .npz file .*, or make one of the arrays there: numpy.savez"):
        load(DataSet(name="npz"), root=tmp_path)
