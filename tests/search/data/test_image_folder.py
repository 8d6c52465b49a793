"""Users' folders of pictures: each file is read, ignored by a rule, or refused with its name."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from resnet_space.errors import InputError
from search.data import DataSet, load
from search.data.image_folder import PictureFiles, image_folder
from search.data.split_names import SPLIT_NAMES

COLOURS = {"cat": (255, 0, 0), "dog": (0, 0, 255)}


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RESNET_SPACE_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Ten cats and ten dogs for training."""
    fill(tmp_path / "pets" / "train", 10)
    return tmp_path / "pets"


def paint(path: Path, colour: tuple[int, int, int] = (9, 9, 9)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (4, 4), colour).save(path)
    return path


def write(path: Path, content: bytes = b"no picture") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def fill(folder: Path, count: int) -> None:
    for label, colour in COLOURS.items():
        for number in range(count):
            paint(folder / label / f"{number}.png", colour)


def names(root: Path) -> list[str]:
    """The training pictures that are found, relative to train."""
    x = image_folder(DataSet(name="imagefolder", root=str(root)), root, False).read().train.x
    assert isinstance(x, PictureFiles)
    return [path.relative_to(root / "train").as_posix() for path in x.paths]


def refused(root: Path, message: str) -> None:
    with pytest.raises(InputError, match=message):
        image_folder(DataSet(name="imagefolder", root=str(root)), root, False)


PETS = sorted(f"{label}/{number}.png" for label in COLOURS for number in range(10))

LEFT_OUT = (
    ".DS_Store",
    "Thumbs.db",
    "desktop.ini",
    "cat/.hidden.jpg",
    "cat/._0.png",
    "cat/0.png~",
    "cat/.0.png.swp",
    "cat/notes.txt",
    "cat/LABELS.CSV",
    "cat/boxes.xml",
    "cat/README",
    ".ipynb_checkpoints/0-checkpoint.png",
    "cat/.ipynb_checkpoints/0-checkpoint.png",
    ".git/objects/0.png",
    "__MACOSX/cat/0.png",
    "cat/@eaDir/0.jpg",
)


@pytest.mark.parametrize("name", LEFT_OUT)
def test_files_of_systems_and_editors_are_neither_classes_nor_pictures(name: str, root: Path) -> None:
    write(root / "train" / name)
    assert names(root) == PETS


@pytest.mark.parametrize("name", ["0 copy.png", "0(1).PNG", "deep/er/0.png", "line\nbreak.png", "x" * 200 + ".png"])
def test_pictures_of_any_name_and_depth_are_read(name: str, root: Path) -> None:
    paint(root / "train" / "cat" / name)
    assert sorted(names(root)) == sorted([*PETS, f"cat/{name}"])


def test_a_file_name_that_is_not_utf_8_is_read(root: Path) -> None:
    paint(root / "train" / "cat" / os.fsdecode(b"\xff.png"), COLOURS["cat"])
    source = image_folder(DataSet(name="imagefolder", root=str(root), size=4), root, False)
    assert source.read().train.x[np.arange(21)].shape == (21, 3, 4, 4)


def test_a_class_whose_name_is_not_utf_8_trains_and_has_a_text_name(root: Path) -> None:
    for number in range(20):
        paint(root / "train" / os.fsdecode(b"caf\xe9") / f"{number}.png")
    images = load(DataSet(name="imagefolder", root=str(root), size=4))
    assert "caf\\udce9" in images.names
    json.dumps(images.facts, ensure_ascii=False).encode()


@pytest.mark.parametrize("name", ["a.heic", "a.svg", "a.CR2", "a.tga", "a.jp2", "a.zip", "no-ending"])
def test_an_unsupported_file_is_refused_with_the_number_of_such_files(name: str, root: Path) -> None:
    write(root / "train" / "cat" / name)
    write(root / "train" / "cat" / f"z{name}")
    ending = Path(name).suffix.lower() or "no ending"
    refused(
        root, rf"cat/{name}: not a supported picture file; such files in .*cat: 2 {ending}; allowed: .jpg .*convert"
    )


@pytest.mark.parametrize(
    "ending",
    "jpg jpeg jpe jfif png gif webp avif bmp dib ppm tif tiff JPG".split(),  # noqa: SIM905
)
def test_pictures_of_every_format_are_read(ending: str, root: Path) -> None:
    paint(root / "train" / "cat" / f"new.{ending}")
    assert f"cat/new.{ending}" in names(root)


def test_a_broken_link_is_refused(root: Path) -> None:
    (root / "train" / "cat" / "gone.png").symlink_to("nowhere.png")
    refused(root, r"cat/gone.png: a broken link")


def test_linked_pictures_and_classes_are_read(root: Path, tmp_path: Path) -> None:
    paint(tmp_path / "elsewhere" / "0.png")
    (root / "train" / "cow").symlink_to(tmp_path / "elsewhere")
    (root / "train" / "cat" / "linked.png").symlink_to(tmp_path / "elsewhere" / "0.png")
    assert sorted({*names(root)} - {*PETS}) == ["cat/linked.png", "cow/0.png"]


def test_a_link_to_a_folder_above_is_refused(root: Path) -> None:
    (root / "train" / "cat" / "again").symlink_to(root / "train" / "cat")
    refused(root, r"cat/again: a link to a folder above it")


@pytest.mark.parametrize("name", ["train", "Train", "TRAINING"])
@pytest.mark.parametrize("validation", [name for name, split in SPLIT_NAMES.items() if split == "validation"])
@pytest.mark.parametrize("test", ["Test", "testing"])
def test_splits_are_found_by_all_their_names(name: str, validation: str, test: str, root: Path) -> None:
    (root / "train").rename(root / name)
    fill(root / validation.capitalize(), 2)
    fill(root / test, 3)
    images = load(DataSet(name="imagefolder", root=str(root), size=4))
    assert [len(split) for split in (images.train, images.validation, images.test)] == [20, 4, 6]


def test_two_folders_for_one_split_are_refused(root: Path) -> None:
    fill(root / "val", 1)
    fill(root / "validation", 1)
    refused(root, r"pets: val and validation are both for validation; keep one of them")


def test_a_folder_of_classes_with_an_unknown_split_name_is_refused(root: Path) -> None:
    fill(root / "holdout", 1)
    refused(
        root, r"pets/holdout: has classes of train, but its name is not that of a split; allowed: train, .*rename it"
    )


def test_other_folders_next_to_train_are_ignored(root: Path) -> None:
    paint(root / "figures" / "0.png")
    assert names(root) == PETS


def test_a_root_with_classes_directly_in_it_is_refused_with_the_right_place(root: Path) -> None:
    refused(root / "train", r"train/<class>/\*.jpg; found: cat, dog; classes go in .*train/train")


def test_a_root_one_folder_too_high_is_refused_with_the_right_folder(root: Path) -> None:
    refused(root.parent, r"found: pets; did you mean .*/pets\?")


def test_an_empty_root_is_refused(tmp_path: Path) -> None:
    refused(tmp_path, r"found: no folder; classes go in .*train")


def test_unlabelled_test_pictures_are_refused(root: Path) -> None:
    for number in range(3):
        paint(root / "test" / f"{number}.png")
    refused(root, r"test/0.png: has no class; number of such files in .*test: 3; put pictures in .*test/<class>/")


def test_a_split_without_classes_is_refused(root: Path) -> None:
    (root / "val").mkdir()
    refused(root, r"val: no class folders; add pictures, or remove the folder")


def test_classes_without_pictures_are_refused(root: Path) -> None:
    fill(root / "val", 1)
    for name in ("cat", "dog"):
        (root / "val" / name / "0.png").unlink()
    write(root / "val" / "dog" / "notes.txt")
    refused(root, r"val: no pictures in cat, dog; add pictures, or remove the folder")


def test_classes_that_differ_only_in_case_are_refused(root: Path) -> None:
    paint(root / "train" / "Cat" / "0.png")
    refused(root, r"train: classes Cat and cat differ only in upper and lower case; merge or rename them")


def test_single_letter_classes_can_differ_in_case(tmp_path: Path) -> None:
    for name in ("A", "a"):
        paint(tmp_path / "train" / name / "0.png")
    assert names(tmp_path) == ["A/0.png", "a/0.png"]
