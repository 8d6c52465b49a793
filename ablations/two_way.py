"""The difference of two arms over seeds and over images: on these test images, and on images like these.

Seed s and image i give d[s, i] = wrong(arm) - wrong(other), one of -1, 0, 1. A test set is a sample, as seeds are:

    d[s, i] = δ + a[s] + b[i] + c[s, i],    V(mean of d) = σa²/S + σb²/I + σc²/(S I).

The interval over seeds contains σa and σc only: it holds for the S seeds' population on these I images. With a few
hundred or thousand images σb is not small: two networks that are equal on all images of the world each have images of
their own in the test set that they find hard, and with enough seeds the interval over seeds excludes 0. The interval
"on images like these" adds σb²/I, estimated from each image's mean over seeds. Owen 2007, The pigeonhole bootstrap,
Annals of Applied Statistics 1, 386-411, has the model of crossed random effects.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import hypot, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class TwoWay:
    """The difference of two arms, a fraction, with its interval over seeds and its interval over seeds and images."""

    delta: float
    low: float
    """On these test images: over seeds."""
    high: float
    low_images: float
    """On images like these: over seeds and images. It contains the interval over seeds."""
    high_images: float
    share: float
    """The share of the images in the squared half-width of the interval over both, 0 to 1."""
    differing: int | None
    """The number of images for which the arms' error over the seeds differs, which are the only ones that decide
    anything; None if each seed has test images of its own."""
    images: int


def two_way(d: NDArray[Any], confidence: float = 0.95) -> TwoWay:
    """Return the difference over seeds and images of d, (S, I), with S >= 2: mean, t interval over seeds, and both.

    Raises:
        ValueError: less than two seeds, for which there is no interval.
    """
    from scipy import stats

    seeds = len(d)
    if seeds < 2:
        raise ValueError(f"{seeds} seed; an interval needs two")
    each = d.mean(axis=1)
    half = float(stats.t.isf((1 - confidence) / 2, seeds - 1)) * float(each.std(ddof=1)) / sqrt(seeds)
    mean = float(each.mean())
    return with_images(mean, mean - half, mean + half, d, confidence)


def with_images(delta: float, low: float, high: float, d: NDArray[Any], confidence: float = 0.95) -> TwoWay:
    """Return the interval from `low` to `high` over seeds, of any test, and the one over seeds and images.

    On each side, √(half² + z² σb²/I), with half the distance of the interval's end from delta, z the normal quantile of
    `confidence` and σb²/I by `variance_of_images`. A sum of squared half-widths is conservative for any sizes of the
    two parts: Banerjee 1960, Sankhyā 22, 357-358. The interval over both therefore always contains the one over seeds,
    which Satterthwaite's approximation does not guarantee.
    """
    from scipy import stats

    more = float(stats.norm.isf((1 - confidence) / 2)) * sqrt(variance_of_images(d))
    below, above = hypot(delta - low, more), hypot(high - delta, more)
    return TwoWay(
        delta=delta,
        low=low,
        high=high,
        low_images=delta - below,
        high_images=delta + above,
        share=2 * more**2 / (below**2 + above**2) if more else 0.0,
        differing=int((d.sum(axis=0) != 0).sum()),
        images=d.shape[1],
    )


def variance_of_images(d: NDArray[Any]) -> float:
    """Return σb²/I, the variance of the mean of d, (S, I), that is due to the choice of images.

    The variance of the images' means over seeds contains σb² + σc²/S; the mean square of the interaction is σc²:

        max(0, var_i(mean_s d)/I - MS/(S I)),    MS = sum (d[s,i] - d[s,.] - d[.,i] + d[.,.])² / ((S - 1)(I - 1)).

    With one seed the two cannot be separated, and the first term is returned, which is an upper bound.
    """
    d = np.asarray(d, dtype=float)
    seeds, images = d.shape
    if images < 2:
        return 0.0
    by_image = d.mean(axis=0)
    variance: float = float(by_image.var(ddof=1)) / images
    if seeds < 2:
        return float(variance)
    rest = d - d.mean(axis=1, keepdims=True) - by_image + d.mean()
    interaction = float((rest**2).sum()) / ((seeds - 1) * (images - 1))
    return float(max(0.0, variance - interaction / (seeds * images)))


def over_divisions(delta: float, low: float, high: float, seeds: int, *, train: int, test: int) -> TwoWay:
    """Return the interval over S seeds that each have a division of their own, and the one on new images.

    Divisions of the same images overlap, so their results vary less than those of new images would. Half-widths are
    corrected by √(1 + S test/train), with `test` and `train` images per seed. Nadeau and Bengio 2003, Machine Learning
    52, 239-281.
    """
    ratio = seeds * test / train
    wider = sqrt(1 + ratio)
    return TwoWay(
        delta=delta,
        low=low,
        high=high,
        low_images=delta - (delta - low) * wider,
        high_images=delta + (high - delta) * wider,
        share=ratio / (1 + ratio) if high > low else 0.0,
        differing=None,
        images=test,
    )
