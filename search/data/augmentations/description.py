"""The description of an augmentation: which random changes training images get. No tensors."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BeforeValidator, Field, GetJsonSchemaHandler, model_validator
from pydantic_core import CoreSchema

from resnet_space.description import Description
from resnet_space.errors import InputError
from resnet_space.numbers import Above0, AtLeast0, Proportion, Side
from search.data.augmentations.policies import Policy

Probability = Annotated[float, Field(ge=0, le=1)]
"""0 <= x <= 1."""

OFF = Field(exclude_if=lambda value: not value)
"""Marks a field whose default is off: it is then in no stored study and in no trial's key, so that it changes none of
an earlier version."""


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


ZERO_IS_OFF = BeforeValidator(lambda value: None if _is_number(value) and value == 0 else value)
"""A description that 0 turns off, so that an axis of numbers can have it: `erasing: [0, 0.25]`."""


class Numbered(Description):
    """A description that can be written as one number, the value of its fields `MAIN`."""

    MAIN: ClassVar[tuple[str, ...]]

    @model_validator(mode="before")
    @classmethod
    def _number(cls, data: Any) -> Any:
        return cls._of_number(data) if _is_number(data) else data

    @classmethod
    def _of_number(cls, number: float) -> dict[str, Any]:
        return dict.fromkeys(cls.MAIN, number)

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"anyOf": [handler(core), {"type": "number"}]}


def _check_range(path: str, low: float, high: float) -> None:
    if low > high:
        raise InputError(f"{path}: [{low:g}, {high:g}] is no range; give the smaller number first")


class ResizedCrop(Numbered):
    """A random part of the image, scaled to the size of the image. Szegedy et al. 2014, 1409.4842, section 6.

    As torchvision's RandomResizedCrop: bilinear, with antialiasing. Up to ten parts are drawn until one fits into the
    image; if none does, the largest part in the middle is taken whose ratio is allowed. A number is the smallest scale.
    """

    MAIN = ("scale",)

    scale: tuple[Proportion, Proportion] = (0.08, 1.0)
    """Area of the part, as a fraction of the image's: uniform between these."""
    ratio: tuple[Above0, Above0] = (3 / 4, 4 / 3)
    """Width / height of the part: its logarithm is uniform between those of these."""

    @classmethod
    def _of_number(cls, number: float) -> dict[str, Any]:
        return {"scale": (number, 1.0)}

    @model_validator(mode="after")
    def _ranges(self) -> Self:
        _check_range("scale", *self.scale)
        _check_range("ratio", *self.ratio)
        return self


class Jitter(Numbered):
    """Random brightness, contrast, saturation and hue, in random order. Howard 2013, 1312.5402.

    As torchvision's ColorJitter, on images scaled to 0..1: x*f + (1 - f)*d, clamped to 0..1, where d is black, the mean
    grey of the image, or the grey image, and f is uniform in 1 - v..1 + v (at least 0). A hue of h turns the hue by up
    to h of a circle. On grey images, saturation and hue change nothing. A number is the first three.
    """

    MAIN = ("brightness", "contrast", "saturation")

    brightness: AtLeast0 = 0.0
    contrast: AtLeast0 = 0.0
    saturation: AtLeast0 = 0.0
    hue: Annotated[float, Field(ge=0, le=0.5)] = 0.0


class Erasing(Numbered):
    """A rectangle of normalised images is overwritten, with this probability. Zhong et al. 2017, 1708.04896.

    As torchvision's RandomErasing: up to ten rectangles are drawn until one is smaller than the image. A number is the
    probability.
    """

    MAIN = ("probability",)

    probability: Proportion
    area: tuple[Proportion, Proportion] = (0.02, 0.33)
    """As a fraction of the image's: uniform between these."""
    ratio: tuple[Above0, Above0] = (0.3, 3.3)
    """Height / width: its logarithm is uniform between those of these."""
    fill: Literal["mean", "colour"] = "mean"
    """`mean`: the mean colour of the training images, which is 0 (torchvision's default). `colour`: for each rectangle
    a colour from the standard normal distribution (timm's mode `rand`)."""

    @model_validator(mode="after")
    def _ranges(self) -> Self:
        _check_range("area", *self.area)
        _check_range("ratio", *self.ratio)
        return self


class Sides(Description):
    """The side of training images grows: round(first + (last - first) i / (stages - 1)), in stage i = 0, 1, ...

    The stages are equal parts of the training, and a stage begins with an epoch. Tan and Le 2021, 2104.00298,
    algorithm 1. Images are scaled down bilinearly with antialiasing; validation and test images keep their size.
    """

    first: Side
    """Pixels, in the first stage."""
    last: Side | None = None
    """Pixels, in the last stage; default: the side of the images."""
    stages: Annotated[int, Field(ge=2, le=8)] = 4

    @model_validator(mode="after")
    def _grow(self) -> Self:
        if self.last is not None:
            _check_range("first, last", self.first, self.last)
        return self

    def all(self, full: int) -> tuple[int, ...]:
        """Return the side of each stage, for images with a side of `full` pixels.

        >>> Sides(first=16).all(28)
        (16, 20, 24, 28)
        """
        last = full if self.last is None else self.last
        return tuple(round(self.first + (last - self.first) * i / (self.stages - 1)) for i in range(self.stages))

    def at(self, progress: float, full: int) -> int:
        """Return the side at this part of the training, from 0 to 1."""
        return self.all(full)[min(int(progress * self.stages), self.stages - 1)]


class Augmentation(Description):
    """Random changes to each training image, drawn again in every epoch; with the defaults, none.

    They are made in the order of the fields: pad and crop (or resized crop, or scaling by `sides`), flips, rotation,
    colours, policy; then, on normalised images as in torchvision and timm, erasing, cutout, and mixing with another
    image of the batch. `test_flip` alone is about evaluation.
    """

    pad: Annotated[int, Field(ge=0, le=256)] = 0
    """Pixels of padding with the mean colour on each side, before a random crop of the original size. 1512.03385,
    section 4.2."""
    flip: bool = False
    """Mirror left and right with probability 1/2."""
    vertical_flip: Annotated[bool, OFF] = False
    """Mirror top and bottom with probability 1/2."""
    resized_crop: Annotated[ResizedCrop | None, ZERO_IS_OFF, OFF] = None
    sides: Annotated[Sides | None, OFF] = None
    rotation: Annotated[float, Field(ge=0, le=180), OFF] = 0.0
    """Rotate around the centre by an angle that is uniform in -r..r degrees: bilinear, filled with the mean colour.
    torchvision's RandomRotation, whose own defaults are the nearest pixel and black."""
    jitter: Annotated[Jitter | None, ZERO_IS_OFF, OFF] = None
    grayscale: Annotated[Probability, OFF] = 0.0
    """Probability that an image loses its colours: 0.2989 R + 0.587 G + 0.114 B in each channel. torchvision's
    RandomGrayscale; grey images do not change."""
    policy: Annotated[Policy | None, OFF] = None
    erasing: Annotated[Erasing | None, ZERO_IS_OFF, OFF] = None
    cutout: Annotated[int, Field(ge=0, le=16_384), OFF] = 0
    """Side in pixels of a square that gets the mean colour in every image. Its centre is uniform over the image, and
    what lies outside is cut off. DeVries and Taylor 2017, 1708.04552. With `sides` it scales with the image."""
    mixup: Annotated[AtLeast0, OFF] = 0.0
    """alpha: lambda x + (1 - lambda) x' with lambda from Beta(alpha, alpha), and labels likewise. Zhang et al. 2017,
    1710.09412. One lambda per batch; x' is the previous image of the shuffled batch, as in torchvision's MixUp."""
    cutmix: Annotated[AtLeast0, OFF] = 0.0
    """alpha: a rectangle of x with about 1 - lambda of its area comes from x', and labels are mixed by the area that it
    has within the image. Yun et al. 2019, 1905.04899. One rectangle per batch, as in torchvision's CutMix."""
    mixed: Annotated[Proportion, Field(exclude_if=lambda value: value == 1)] = 1.0
    """Probability that a batch is mixed at all (timm's `--mixup-prob`)."""
    cutmix_share: Annotated[Probability, Field(exclude_if=lambda value: value == 0.5)] = 0.5
    """With both mixup and cutmix: the probability that a mixed batch gets cutmix (timm's `--mixup-switch-prob`)."""
    repeats: Annotated[int, Field(ge=1, le=16, exclude_if=lambda value: value == 1)] = 1
    """Each batch has this number of copies of an image, with changes of their own. An epoch has as many steps as
    without, and so only a part of the images. Repeated augmentation: Hoffer et al. 2019, 1901.09335; Berman et al.
    2019, 1902.05509, as torchvision's RASampler on one device."""
    test_flip: Annotated[bool, OFF] = False
    """Evaluate with the mean of the logits of each image and its mirror image, on the validation and test splits."""

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.pad and self.resized_crop:
            raise InputError(f"resized_crop: cannot be used with pad, which is {self.pad}: both choose a crop")
        if self.mixed != 1 and not self.mixes:
            raise InputError(f"mixed: {self.mixed:g} needs mixup or cutmix, which are both 0")
        if self.cutmix_share != 0.5 and not (self.mixup and self.cutmix):
            raise InputError(
                f"cutmix_share: {self.cutmix_share:g} needs both mixup and cutmix, which are {self.mixup:g} and "
                f"{self.cutmix:g}"
            )
        return self

    @property
    def mixes(self) -> bool:
        """Whether batches have soft labels, (n, classes) float32 instead of (n,) int64."""
        return bool(self.mixup or self.cutmix)

    def side(self, progress: float, full: int) -> int:
        """Return the side of training images at this part of the training, for images with a side of `full`."""
        return self.sides.at(progress, full) if self.sides else full

    @property
    def needs_colours(self) -> bool:
        """Whether a change depends on which values are black and white."""
        return bool(self.jitter or self.grayscale or self.policy)

    def check(self, shape: tuple[int, int, int], classes: int, *, path: str = "recipe.augmentation") -> None:
        """Check that the changes are possible for images (C, H, W) of a number of classes.

        Raises:
            InputError: colours of images without three or one channels, sides above the image's or for images that
                are not square, mixing in one class.
        """
        channels, height, width = shape
        if self.needs_colours and channels not in (1, 3):
            name = next(name for name in ("jitter", "grayscale", "policy") if getattr(self, name))
            raise InputError(f"{path}.{name}: needs images of 1 or 3 channels, and these have {channels}")
        if self.sides:
            if height != width:
                raise InputError(f"{path}.sides: needs square images, and these are {height}x{width}")
            for name in ("first", "last"):
                side = getattr(self.sides, name)
                if side is not None and side > height:
                    raise InputError(f"{path}.sides.{name}: must be at most {height}, the images' side, not {side}")
        if self.mixes and classes < 2:
            name, value = ("mixup", self.mixup) if self.mixup else ("cutmix", self.cutmix)
            raise InputError(f"{path}.{name}: {value:g} needs at least 2 classes, and the data have {classes}")
