"""A stand-in for a data set whose files are not here: known shape, classes and numbers of images, to plan with."""

from __future__ import annotations

import numpy as np
import torch

from search.data.catalogue import DATASETS
from search.data.description import DataSet
from search.data.images import Images, Split
from search.data.loading import load, split_indices
from search.data.source import Contents, Labelled, MissingData

SEED = 0


def load_or_stand_in(data: DataSet) -> Images:
    """Return the images of a data set, or if it is known and its files are missing, a stand-in.

    Raises:
        InputError: as `load`; files of an unknown data set are missing, or those of any are damaged.
    """
    try:
        return load(data)
    except MissingData:
        found = stand_in(data)
        if found is None:
            raise
        return found


def stand_in(data: DataSet) -> Images | None:
    """Return images with the shape, classes and splits of a known data set; None if these depend on its files.

    All images are one random image, which takes the memory of one, and the fingerprint is empty. So trials of a
    stand-in have no meaning, and only the time and memory of training can be measured with it.
    """
    row = DATASETS[data.name]
    if row.images is None or row.shape is None or row.classes is None:
        return None
    pixels = np.random.default_rng(SEED).integers(0, 256, row.shape, dtype=np.uint8)
    train, test = (
        Labelled(np.broadcast_to(pixels, (number, *row.shape)), np.arange(number) % row.classes)
        for number in row.images
    )
    contents = Contents(train=train, test=test, classes=row.classes)
    chosen = split_indices(data, contents, data.division(0))
    splits = {
        name: Split(torch.from_numpy(pixels).expand(len(index), *row.shape), torch.from_numpy(part.y[index]))
        for name, (part, index) in chosen.items()
    }
    channels = row.shape[0]
    return Images(
        train=splits["train"],
        validation=splits["validation"],
        test=splits["test"],
        classes=row.classes,
        names=tuple(map(str, range(row.classes))),
        shape=row.shape,
        # Those of uniform pixels.
        mean=(127.5,) * channels,
        std=(73.9,) * channels,
        fingerprint="",
        digests=dict.fromkeys(splits, ""),
    )
