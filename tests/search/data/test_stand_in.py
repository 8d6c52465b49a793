"""A known data set whose files are missing can be planned with, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from resnet_space.errors import InputError
from search.data import DATASETS, DataSet, load
from search.data.fashion_mnist import DEBIAN
from search.data.stand_in import load_or_stand_in, stand_in

KNOWN = [name for name, row in DATASETS.items() if row.images]


@pytest.mark.parametrize("name", KNOWN)
def test_a_stand_in_has_the_shape_the_classes_and_the_splits_of_the_data(name: str) -> None:
    found, row = stand_in(DataSet(name=name)), DATASETS[name]
    assert found is not None
    assert row.images is not None
    assert (found.shape, found.classes) == (row.shape, row.classes)
    train, test = row.images
    assert [len(found.train), len(found.validation), len(found.test)] == [0.9 * train, 0.1 * train, test]
    assert len(set(found.train.y.bincount().tolist())) == 1


@pytest.mark.skipif(not DEBIAN.is_dir(), reason="Debian's package dataset-fashion-mnist is not installed")
@pytest.mark.parametrize("fields", [{}, {"limit": 500}, {"validation": 0.25}])
def test_a_stand_in_is_divided_like_the_data_that_it_stands_for(fields: dict[str, float]) -> None:
    data = DataSet.of({"name": "fashion-mnist", **fields})
    found, real = stand_in(data), load(data)
    assert found is not None
    for one, other in zip(
        (found.train, found.validation, found.test), (real.train, real.validation, real.test), strict=True
    ):
        assert torch.equal(one.y.bincount(), other.y.bincount())
        assert one.x.shape == other.x.shape
        assert one.x.dtype == other.x.dtype


def test_a_stand_in_takes_the_memory_of_one_image_and_has_no_fingerprint() -> None:
    found = stand_in(DataSet(name="cifar10"))
    assert found is not None
    assert found.train.x.untyped_storage().nbytes() == 3 * 32 * 32
    assert not found.were_read
    assert load(DataSet(name="digits")).were_read


def test_a_missing_known_data_set_is_replaced_by_its_stand_in(tmp_path: Path) -> None:
    assert load_or_stand_in(DataSet(name="cifar100", root=str(tmp_path))).classes == 100


def test_missing_data_of_a_user_are_refused(tmp_path: Path) -> None:
    for name in ("npz", "imagefolder"):
        with pytest.raises(InputError, match="is not in"):
            load_or_stand_in(DataSet(name=name, root=str(tmp_path / "nothing")))
        with pytest.raises(InputError, match="required by data set"):
            load_or_stand_in(DataSet(name=name))


def test_damaged_data_are_refused_although_the_set_is_known(tmp_path: Path) -> None:
    (tmp_path / "cifar-10-python.tar.gz").write_bytes(b"not an archive")
    with pytest.raises(InputError, match="damaged"):
        load_or_stand_in(DataSet(name="cifar10", root=str(tmp_path)))


def test_data_that_are_there_are_read() -> None:
    assert load_or_stand_in(DataSet(name="digits")).were_read
