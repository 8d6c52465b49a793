"""With `data.split: seed` each seed has its own division of the data, and the data have one fingerprint."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from resnet_space.errors import InputError
from search.data import DataSet, Images, Split, load

BY_SEED = DataSet(name="digits", split="seed")


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RESNET_SPACE_CACHE", str(tmp_path / "cache"))


def whole(images: Images) -> list[bytes]:
    """All images and labels, in an order that does not depend on the division."""
    splits = (images.train, images.validation, images.test)
    return sorted(
        x.numpy().tobytes() + bytes([int(y)]) for split in splits for x, y in zip(split.x, split.y, strict=True)
    )


def same(one: Split, other: Split) -> bool:
    return bool(torch.equal(one.x, other.x) and torch.equal(one.y, other.y))


def test_seeds_divide_the_same_images_in_other_ways() -> None:
    one, other = load(BY_SEED, seed=1), load(BY_SEED, seed=2)
    assert whole(one) == whole(other) == whole(load(DataSet(name="digits")))
    assert [len(split) for split in (one.train, one.validation, one.test)] == [1258, 180, 359]
    assert not same(one.test, other.test)
    assert one.digests["test"] != other.digests["test"]
    assert one.mean != other.mean, "each is normalised by its own training images"


def test_a_seed_always_has_the_same_division() -> None:
    one, again = load(BY_SEED, seed=7), load(BY_SEED, seed=7)
    assert same(one.train, again.train)
    assert same(one.test, again.test)


def test_all_seeds_have_one_fingerprint_that_depends_on_images_and_division() -> None:
    prints = {load(BY_SEED, seed=seed).fingerprint for seed in range(4)}
    assert len(prints) == 1
    others = [{"split": "fixed"}, {"validation": 0.2}, {"test": 0.3}, {"limit": 200}]
    assert not prints & {load(DataSet.of(BY_SEED.to_dict() | other)).fingerprint for other in others}
    fake = DataSet(name="fake", size=4, samples=40, split="seed")
    assert load(fake).fingerprint != load(fake.model_copy(update={"samples": 50})).fingerprint


def test_the_fixed_division_depends_on_no_seed() -> None:
    assert load(DataSet(name="digits"), seed=3).fingerprint == load(DataSet(name="digits")).fingerprint


def test_a_limit_leaves_the_sizes_of_validation_and_test() -> None:
    limited = load(BY_SEED.model_copy(update={"limit": 100}), seed=4)
    assert [len(split) for split in (limited.train, limited.validation, limited.test)] == [100, 180, 359]


def arrays(file: Path, *names: str) -> DataSet:
    """An npz file with these splits, each with images of its own."""
    found = {}
    for at, name in enumerate(names):
        found |= {
            f"x_{name}": np.arange(40 * 16, dtype=np.uint8).reshape(40, 4, 4) + at,
            f"y_{name}": np.arange(40) % 4,
        }
    np.savez(file, **found)
    return DataSet(name="npz", root=str(file), split="seed")


def test_test_images_of_the_sets_own_stay(tmp_path: Path) -> None:
    data = arrays(tmp_path / "set.npz", "train", "test")
    one, other = load(data, seed=0), load(data, seed=1)
    assert same(one.test, other.test)
    assert one.digests["test"] == other.digests["test"]
    assert not same(one.validation, other.validation)
    assert one.fingerprint == other.fingerprint


def test_a_shared_copy_is_kept_for_each_seed(tmp_path: Path) -> None:
    data = arrays(tmp_path / "set.npz", "train")
    first = [load(data, seed=seed) for seed in range(3)]
    again = [load(data, seed=seed) for seed in range(3)]
    assert all(same(one.train, other.train) for one, other in zip(first, again, strict=True))
    assert not same(first[0].train, first[1].train)
    entries = [path for path in (tmp_path / "cache" / "images").iterdir() if path.is_dir()]
    assert len(entries) == 3


def test_a_set_with_all_splits_has_nothing_to_divide(tmp_path: Path) -> None:
    data = arrays(tmp_path / "set.npz", "train", "val", "test")
    with pytest.raises(
        InputError, match=r"data\.split: 'seed' divides nothing: data set 'npz' has validation and test"
    ):
        load(data)
    assert load(data.model_copy(update={"split": "fixed"}))


def test_the_default_is_not_written_so_that_older_studies_stay_equal() -> None:
    assert "split" not in DataSet(name="digits").to_dict()
    assert BY_SEED.to_dict()["split"] == "seed"
    assert DataSet.of(BY_SEED.to_dict()) == BY_SEED
    assert DataSet.of({"name": "digits", "split": "fixed"}) == DataSet(name="digits")
