"""The input of a trained network: size, units, mean and standard deviation; and its class names."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from resnet_space import Architecture
from resnet_space.errors import InputError
from search.data.catalogue import DATASETS
from search.data.description import DataSet

UNITS = {"uint8": "uint8, 0 to 255", "float32": "float32, in the units of the data"}
"""The units of the data's pixels, by `Inputs.dtype`."""

FACT_NAMES = (
    "input",
    "image",
    *(f"{moment}_{of}" for of in (*UNITS, "div255") for moment in ("mean", "std")),
    "classes",
)
"""All names that `Inputs.facts` can have."""


@dataclass(frozen=True)
class Inputs:
    """The input of a network: float32 (N, C, H, W), (x - mean) / std of stored images x, per channel.

    Attributes:
        dtype: of the stored images, uint8 or float32; `mean` and `std` are in its units.
        image: how to prepare an image before that, in words.
        classes: class names, in the order of the logits.
        fitted: whether pictures of any size are scaled and cropped to (H, W) first, as `image` says.
    """

    shape: tuple[int, int, int]
    dtype: str
    mean: tuple[float, ...]
    std: tuple[float, ...]
    classes: tuple[str, ...]
    image: str
    fitted: bool = False

    @classmethod
    def of(cls, facts: Mapping[str, Any], data: DataSet, net: Architecture) -> Inputs:
        """Create it from `Images.facts`, as stored in a manifest.

        Raises:
            InputError: they do not match the network's input shape and classes.
        """
        channels, height, width = facts["shape"]
        found = cls(
            shape=(channels, height, width),
            dtype=facts["dtype"],
            mean=tuple(facts["mean"]),
            std=tuple(facts["std"]),
            classes=tuple(facts["classes"]),
            image=DATASETS[data.name].image.format(
                **{name: data.setting(name) for name in DATASETS[data.name].settings}
            ),
            fitted=DATASETS[data.name].fitted,
        )
        if (
            found.shape != net.input_shape
            or len(found.classes) != net.classes
            or {len(found.mean), len(found.std)} != {channels}
        ):
            raise InputError(
                f"data: images {found.shape} in {len(found.classes)} classes, with {len(found.mean)} means and "
                f"{len(found.std)} deviations, do not match network {net.key}, which takes {net.input_shape} "
                f"in {net.classes}"
            )
        return found

    @property
    def units(self) -> str:
        return UNITS[self.dtype]

    def facts(self, *, raw: bool = False) -> dict[str, str]:
        """Return facts as texts by name; numbers and class names are JSON. The name of a mean has its units.

        Args:
            raw: whether the network itself normalises its images, and so takes pixels as they are stored.
        """
        shape = ", ".join(map(str, self.shape))
        found = {
            "input": f"{self.dtype} (N, {shape}): pixels as stored; the network normalises them"
            if raw
            else f"float32 (N, {shape}): (pixels - mean) / std, channel by channel",
            "image": f"{self.image}; {self.units}",
            f"mean_{self.dtype}": json.dumps(self.mean),
            f"std_{self.dtype}": json.dumps(self.std),
        }
        if self.dtype == "uint8":
            # For pixels scaled to 0..1, as by torchvision's ToTensor.
            found["mean_div255"], found["std_div255"] = (
                json.dumps([value / 255 for value in values]) for values in (self.mean, self.std)
            )
        return found | {"classes": json.dumps(self.classes, ensure_ascii=False)}
