"""Random images that a network can learn to classify: each class has its own mean image."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from search.data.description import DataSet
from search.data.memory import available_bytes, check_fit
from search.data.source import Contents, Labelled, Source

SEED = 20_15
NOISE = 32.0
"""Standard deviation of a pixel around its class's mean, which is uniform in 64..192."""


def fake(data: DataSet, root: Path | None, download: bool) -> Source:
    return Source(files=(), read=lambda: _made(data))


def _made(data: DataSet) -> Contents:
    random = np.random.RandomState(SEED)
    classes, samples, side = data.setting("classes"), data.setting("samples"), data.setting("size")
    shape = (data.setting("channels"), side, side)
    check_fit(
        data.name,
        images=samples + 8 * classes,  # the means are drawn as float64
        shape=shape,
        itemsize=1,
        available=available_bytes(),
        smaller="make it smaller with data.samples, data.size, data.classes or data.channels",
    )
    means = random.uniform(64, 192, (classes, *shape)).astype(np.float32)
    y = np.arange(samples) % classes
    x = np.empty((samples, *shape), np.uint8)
    for number, label in enumerate(y):
        x[number] = np.clip(means[label] + NOISE * random.standard_normal(shape), 0, 255)
    return Contents(train=Labelled(x, y.astype(np.int64)), classes=classes, names=tuple(map(str, range(classes))))
