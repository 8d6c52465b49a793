"""The catalogue of data sets. To add one, add a row here, and a loader in its own file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType


@dataclass(frozen=True)
class Row:
    """The description of a data set that needs no reading of its files.

    Attributes:
        text: one line for `resnet-space list datasets`.
        loader: `module:function`, called as `loader(data, root, download) -> search.data.source.Source`.
        origin: where its images come from: "embedded", "torchvision", "yours" or "made".
        classes: number of classes, or None if it depends on the files.
        shape: (channels, height, width) of an image, or None if it depends on the files.
        images: numbers of images for training and for test, with equally many of each class; None if they depend on the
            files, or if the data need none.
        root: what `root` must be, or "" for a set that is not read from files.
        settings: its further whole-number fields in `DataSet`, with their defaults.
        image: how to prepare an image before it is normalised, to use a trained network; `{size}` is that setting.
        fitted: whether images are pictures of any size, scaled and cropped to squares of that size.
    """

    text: str
    loader: str
    origin: str
    classes: int | None = None
    shape: tuple[int, int, int] | None = None
    images: tuple[int, int] | None = None
    root: str = ""
    settings: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    image: str = "as in the data"
    fitted: bool = False


DATASETS: Mapping[str, Row] = MappingProxyType(
    {
        "digits": Row(
            "1,797 handwritten digits that come with scikit-learn; no download",
            loader="search.data.digits:digits",
            origin="embedded",
            classes=10,
            shape=(1, 8, 8),
            image="grey, ink in 17 levels from 0 to 16",
        ),
        "fashion-mnist": Row(
            "70,000 grey pictures of clothes, 10,000 of them for test; Debian: dataset-fashion-mnist",
            loader="search.data.fashion_mnist:fashion_mnist",
            origin="torchvision",
            classes=10,
            shape=(1, 28, 28),
            images=(60_000, 10_000),
            root="a directory with FashionMNIST/raw, or with the *-ubyte or *-ubyte.gz files",
            image="grey",
        ),
        "cifar10": Row(
            "60,000 small photographs in 10 classes, 10,000 of them for test",
            loader="search.data.cifar:cifar10",
            origin="torchvision",
            classes=10,
            shape=(3, 32, 32),
            images=(50_000, 10_000),
            root="a directory with cifar-10-batches-py",
            image="RGB",
        ),
        "cifar100": Row(
            "60,000 small photographs in 100 classes, 10,000 of them for test",
            loader="search.data.cifar:cifar100",
            origin="torchvision",
            classes=100,
            shape=(3, 32, 32),
            images=(50_000, 10_000),
            root="a directory with cifar-100-python",
            image="RGB",
        ),
        "imagefolder": Row(
            "your pictures in train/<class>/*, val/<class>/*, test/<class>/*; the last two are optional",
            loader="search.data.image_folder:image_folder",
            origin="yours",
            root="a directory with train/<class>/*.jpg",
            settings=MappingProxyType({"size": 224}),
            image="RGB, upright by EXIF, transparent parts on white, the shorter side scaled to {size} pixels (Pillow, "
            "bilinear), the middle {size}x{size} cut out",
            fitted=True,
        ),
        "npz": Row(
            "your arrays in one .npz file: x, y and, optionally, x_val, y_val, x_test, y_test",
            loader="search.data.npz:npz",
            origin="yours",
            root="an .npz file with x (N,H,W or N,C,H,W or N,H,W,C) and y (N whole numbers)",
        ),
        "fake": Row(
            "random images whose mean depends on the class: to try things out; no download",
            loader="search.data.fake:fake",
            origin="made",
            settings=MappingProxyType({"size": 32, "classes": 10, "samples": 1000, "channels": 3}),
        ),
    }
)
