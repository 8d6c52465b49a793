"""Properties of every data set that is available without a network, and the errors for the others."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch

from resnet_space.errors import InputError
from search.data import DATASETS, DataSet, Images, Split, load, load_if_ready
from search.data.digits import EMBEDDED, library_rows, read_rows
from search.data.loading import moments
from search.data.memory import check_fit

torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RESNET_SPACE_CACHE", str(tmp_path / "cache"))


IN_NO_FILE = [name for name, row in DATASETS.items() if not row.root]


@pytest.fixture(scope="module", params=[*IN_NO_FILE, "npz", "imagefolder"])
def images(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Images:
    folder = tmp_path_factory.mktemp(request.param)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RESNET_SPACE_CACHE", str(folder / "cache"))
        return load(described(request.param, folder))


def described(name: str, folder: Path) -> DataSet:
    """A small data set of this name, created in `folder` if it is read from files."""
    random = np.random.RandomState(0)
    if name == "npz":
        x, y = random.randint(0, 256, (60, 3, 8, 8)).astype("uint8"), np.arange(60) % 3
        np.savez(folder / "a.npz", x=x, y=y)
        return DataSet(name=name, root=str(folder / "a.npz"))
    if name == "imagefolder":
        from PIL import Image

        for label in ("cat", "dog"):
            (folder / "train" / label).mkdir(parents=True)
            for number in range(10):
                pixels = random.randint(0, 256, (12, 10, 3)).astype("uint8")
                Image.fromarray(pixels).save(folder / "train" / label / f"{number}.png")
        return DataSet(name=name, root=str(folder), size=8)
    return DataSet(name=name, samples=200, size=8, classes=4) if name == "fake" else DataSet(name=name)


def splits(images: Images) -> list[Split]:
    return [images.train, images.validation, images.test]


def test_images_are_bytes_or_floats_and_labels_are_whole_numbers(images: Images) -> None:
    for split in splits(images):
        assert split.x.dtype in (torch.uint8, torch.float32)
        assert split.y.dtype == torch.int64
        assert split.x.shape == (len(split), *images.shape)


def test_labels_run_from_zero_and_training_has_them_all(images: Images) -> None:
    assert images.train.y.unique().tolist() == list(range(images.classes))
    for split in splits(images):
        assert split.y.min() >= 0
        assert split.y.max() < images.classes


def test_mean_and_deviation_are_over_the_training_images_alone(images: Images) -> None:
    x = images.train.x.double()
    assert images.mean == pytest.approx(x.mean((0, 2, 3)).tolist())
    assert images.std == pytest.approx(x.std((0, 2, 3), correction=0).tolist())


def test_nbytes_is_the_size_of_the_tensors(images: Images) -> None:
    assert images.nbytes == sum(t.numel() * t.element_size() for s in splits(images) for t in (s.x, s.y))


def test_digits_agree_with_the_catalogue_and_have_1797_images() -> None:
    images = load(DataSet(name="digits"))
    assert (images.classes, images.shape) == (DATASETS["digits"].classes, DATASETS["digits"].shape)
    assert [len(split) for split in splits(images)] == [1258, 180, 359]


def test_the_fingerprint_of_digits_never_changes() -> None:
    # Otherwise earlier trials would not be found again.
    assert load(DataSet(name="digits")).fingerprint == "046bba7dc20422fd"


@pytest.mark.slow
def test_digits_equal_those_of_scikit_learns_own_reader() -> None:
    path = Path(find_spec("sklearn").submodule_search_locations[0])  # type: ignore[union-attr,index]
    assert np.array_equal(read_rows(path / EMBEDDED), library_rows())


def test_a_nearest_mean_classifier_separates_the_classes_of_fake() -> None:
    images = load(DataSet(name="fake", samples=200, size=8, classes=4))
    train, test = images.train.x.float().flatten(1), images.test.x.float().flatten(1)
    means = torch.stack([train[images.train.y == label].mean(0) for label in range(images.classes)])
    assert (torch.cdist(test, means).argmin(1) == images.test.y).all()


def test_the_same_data_have_the_same_fingerprint_in_any_place(tmp_path: Path) -> None:
    places = [tmp_path / "here", tmp_path / "there" / "deeper"]
    for place in places:
        place.mkdir(parents=True)
    first, second = (load(described("imagefolder", place)) for place in places)
    assert first.fingerprint == second.fingerprint
    assert len(first.fingerprint) == 16


def test_another_division_has_another_fingerprint() -> None:
    data = DataSet(name="fake", samples=100, size=4)
    others = [data, data.model_copy(update={"validation": 0.2}), data.model_copy(update={"limit": 30})]
    assert len({load(other).fingerprint for other in others}) == 3


def test_a_limit_reduces_training_images_and_not_validation_and_test() -> None:
    full, thin = (load(DataSet(name="fake", samples=200, size=4, limit=limit)) for limit in (None, 50))
    assert thin.train.y.bincount().tolist() == [5] * 10
    assert torch.equal(thin.validation.x, full.validation.x)
    assert torch.equal(thin.test.x, full.test.x)


def test_a_constant_channel_has_deviation_one() -> None:
    assert moments(np.full((3, 1, 2, 2), 7, np.uint8)) == ((7.0,), (1.0,))


@pytest.mark.parametrize(("name", "what"), [("cifar10", "cifar-10-batches-py"), ("cifar100", "cifar-100-python")])
def test_a_missing_set_is_reported_with_how_to_get_it(name: str, what: str, tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        load(DataSet(name=name), root=tmp_path)
    message = str(caught.value)
    assert f"data set {name!r} is not in {tmp_path}; get it with --download, or put {what}" in message


def test_a_missing_fashion_mnist_is_reported_with_debians_package(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--download, or install Debian's package dataset-fashion-mnist"):
        load(DataSet(name="fashion-mnist", root=str(tmp_path)))


@pytest.mark.parametrize("name", ["imagefolder", "npz"])
def test_a_users_own_data_need_a_root_and_cannot_be_downloaded(name: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=f"data.root: required by data set '{name}'"):
        load(DataSet(name=name))
    with pytest.raises(InputError, match=f"'{name}' is not in .*/nothing; root must be") as caught:
        load(DataSet(name=name), root=tmp_path / "nothing")
    assert "--download" not in str(caught.value)


def test_the_root_given_to_load_overrides_the_descriptions(tmp_path: Path) -> None:
    data = described("npz", tmp_path)
    moved = data.model_copy(update={"root": "/nowhere"})
    assert load(moved, root=data.root).fingerprint == load(data).fingerprint


def test_data_that_do_not_fit_are_refused_with_both_sizes_and_what_to_do() -> None:
    message = r"takes 6.0 GB .*\(2,000 images of 3x1000x1000\).*half of the 8.0 GB .*; use less"
    with pytest.raises(InputError, match=message):
        check_fit("x", 2000, (3, 1000, 1000), itemsize=1, available=8_000_000_000, smaller="use less")


def test_pictures_that_cannot_fit_are_refused_before_one_is_read(tmp_path: Path) -> None:
    data = described("imagefolder", tmp_path).model_copy(update={"size": 10_000_000})
    with pytest.raises(InputError, match=r"make it smaller with data.size or data.limit"):
        load(data)


def test_a_set_that_is_read_from_files_is_ready_once_it_has_been_read(tmp_path: Path) -> None:
    """A report asks for it: it must not read a folder of pictures first."""
    file = tmp_path / "set.npz"
    np.savez(file, x=np.arange(60 * 64, dtype=np.uint8).reshape(60, 8, 8), y=np.arange(60) % 3)
    data = DataSet(name="npz", root=str(file))
    assert load_if_ready(data) is None
    whole = load(data)
    ready = load_if_ready(data)
    assert ready is not None
    assert ready.fingerprint == whole.fingerprint
    file.unlink()
    assert load_if_ready(data) is None, "nothing says that it is still the same"


def test_the_set_of_this_package_is_always_ready_and_one_that_is_made_never() -> None:
    ready = load_if_ready(DataSet(name="digits"))
    assert ready is not None
    assert ready.fingerprint == load(DataSet(name="digits")).fingerprint
    assert load_if_ready(DataSet(name="fake", size=1, samples=1_000_000_000)) is None
