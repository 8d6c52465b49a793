"""Sizes of networks and batches of the GPU benchmarks, and a tiny size to test the same code on a CPU."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from resnet_space import Architecture, preset
from search.data import DataSet, Images, load
from search.trials.recipe import Recipe
from search.trials.trial import TrialSpec


@dataclass(frozen=True)
class Size:
    """`steps` steps of `batch` images are timed together, `rounds` times; `seeds` networks train together."""

    device: str
    batch: int
    steps: int
    rounds: int
    seeds: int
    changes: Mapping[str, Any] = field(default_factory=dict)
    """Changes that make a preset smaller, by path."""

    def net(self, name: str, **changes: Any) -> Architecture:
        return preset(name).assign({**self.changes, **changes})

    def data(self, steps: int | None = None) -> DataSet:
        """Return random images that give only full batches. A real epoch has one smaller batch in hundreds."""
        limit = self.batch * (steps or self.steps)
        channels, side, _ = self.net("resnet20").input_shape
        # By default 0.1 of the samples are for validation and 0.2 for test; `limit` applies to the rest.
        return DataSet(name="fake", size=side, channels=channels, classes=10, samples=2 * limit, limit=limit)

    def images(self, steps: int | None = None) -> Images:
        images = load(self.data(steps))
        assert len(images.train) % self.batch == 0, f"{len(images.train)} images are not a multiple of the batch size"
        return images

    def specs(self, net: Architecture, seeds: int, images: Images, **recipe: Any) -> list[TrialSpec]:
        settings: dict[str, Any] = {"epochs": 1, "batch_size": self.batch, "lr": 0.05, "autocast": "bf16", **recipe}
        data = self.data(len(images.train) // self.batch)
        shared: dict[str, Any] = {"architecture": net, "data": data, "fingerprint": images.fingerprint}
        return [TrialSpec(recipe=Recipe.of(settings), seed=seed, **shared) for seed in range(seeds)]


WHOLE = Size("cuda", batch=128, steps=20, rounds=5, seeds=8)
TINY = Size(
    "cpu",
    batch=16,
    steps=5,
    rounds=1,
    seeds=2,
    changes={"input_shape": [3, 8, 8], "width": 0.25, "stages.*.units": 1},
)
SIZES = {size.device: size for size in (WHOLE, TINY)}
