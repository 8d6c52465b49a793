"""What the stored predictions of arms say: errors by class, confusions, agreement of arms, and calibration.

An arm has one network per seed. `overlap` and `most_different` need networks that were tested on the same images.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from search.trials.predictions import Predictions

BINS = 15
"""The number of bins of `calibration_error`, as in Guo et al. 2017."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class ArmPredictions:
    """The predictions of an arm's S networks, one per seed, for the I images of a test split.

    With `data.split: seed` each seed can have test images of its own.
    """

    seeds: tuple[int, ...]
    label: NDArray[np.integer[Any]]
    """(S, I) the true classes."""
    predicted: NDArray[np.integer[Any]]
    """(S, I)"""
    loss: NDArray[np.floating[Any]]
    """(S, I) cross-entropy, in nats; float16 as stored, so compute in float."""
    confidence: NDArray[np.floating[Any]]
    """(S, I) the probability of the predicted class."""

    @classmethod
    def of(cls, by_seed: Mapping[int, Predictions]) -> ArmPredictions:
        """Stack the predictions of at least one seed, in the order of seeds."""
        seeds = tuple(sorted(by_seed))
        each = [by_seed[seed] for seed in seeds]
        # Usually the same for all seeds: held once, since a report can have thousands of trials.
        label, same = each[0].label, all(np.array_equal(each[0].label, one.label) for one in each)
        return cls(
            seeds,
            np.broadcast_to(label, (len(each), len(label))) if same else np.stack([one.label for one in each]),
            np.stack([one.predicted for one in each]),
            np.stack([one.loss for one in each]),
            np.stack([one.confidence for one in each]),
        )

    @property
    def wrong(self) -> NDArray[np.bool_]:
        """(S, I) whether the predicted class is not the true one."""
        return np.asarray(self.predicted != self.label)

    def of_seeds(self, seeds: Sequence[int]) -> NDArray[np.bool_]:
        """Return `wrong` of these seeds, in this order."""
        return self.wrong[[self.seeds.index(seed) for seed in seeds]]


def paired_errors(arm: ArmPredictions, other: ArmPredictions, *, without: Collection[int] = ()) -> NDArray[np.int_]:
    """Return wrong(arm) - wrong(other), (S, I), over the S seeds that both have: the input of `two_way`."""
    seeds = [seed for seed in arm.seeds if seed in other.seeds and seed not in without]
    return np.asarray(arm.of_seeds(seeds).astype(int) - other.of_seeds(seeds).astype(int))


def class_errors(arm: ArmPredictions, classes: int) -> Floats:
    """Return the error of each class, (classes,): the fraction of its images that is wrong, mean over seeds.

    NaN for a class without test images.
    """
    label = arm.label.ravel()
    of_class = np.bincount(label, minlength=classes)
    wrong = np.bincount(label, weights=arm.wrong.ravel(), minlength=classes)
    return np.asarray(np.divide(wrong, of_class, out=np.full(classes, np.nan), where=of_class > 0))


def confusion(arm: ArmPredictions, classes: int) -> Floats:
    """Return (classes, classes): of the images of class [row], the fraction predicted as [column], mean over seeds.

    Rows add up to 1; a row is NaN for a class without test images.
    """
    pairs = arm.label.astype(np.int64) * classes + arm.predicted
    counts = np.bincount(pairs.ravel(), minlength=classes**2).reshape(classes, classes)
    of_class = counts.sum(axis=1, keepdims=True)
    return np.asarray(np.divide(counts, of_class, out=np.full(counts.shape, np.nan), where=of_class > 0))


@dataclass(frozen=True)
class Overlap:
    """How alike two networks decide, a mean over pairs of networks with different seeds."""

    decisions: float
    """The fraction of test images for which both predict the same class."""
    errors: float | None
    """Of the images that at least one of them gets wrong, the fraction that both do; None if there is none."""


def overlap(arm: ArmPredictions, other: ArmPredictions) -> Overlap | None:
    """Return the overlap of networks of two arms, or of one arm with itself; None for a single network.

    Only networks with different seeds are compared, so that two arms can be compared with one: the seeds of an arm have
    different data orders, and the same seed of two arms has the same. With one seed each, the two are compared.
    """
    pairs = [(s, t) for s, t in product(range(len(arm.seeds)), range(len(other.seeds)))]
    if arm is other:
        pairs = list(combinations(range(len(arm.seeds)), 2))
    elif different := [(s, t) for s, t in pairs if arm.seeds[s] != other.seeds[t]]:
        pairs = different
    if not pairs:
        return None
    wrong, others = arm.wrong, other.wrong
    same = [float((arm.predicted[s] == other.predicted[t]).mean()) for s, t in pairs]
    both = [(int((wrong[s] & others[t]).sum()), int((wrong[s] | others[t]).sum())) for s, t in pairs]
    shared = [common / either for common, either in both if either]
    return Overlap(float(np.mean(same)), float(np.mean(shared)) if shared else None)


def log_losses(arm: ArmPredictions) -> Floats:
    """Return the negative log-likelihood of each seed, (S,): the mean loss over images, in nats."""
    return np.asarray(arm.loss.mean(axis=1, dtype=float))


def calibration_errors(arm: ArmPredictions) -> Floats:
    """Return the expected calibration error of each seed, (S,)."""
    return np.array(
        [calibration_error(confidence, ~wrong) for confidence, wrong in zip(arm.confidence, arm.wrong, strict=True)]
    )


def calibration_error(confidence: NDArray[np.floating[Any]], right: NDArray[np.bool_], bins: int = BINS) -> float:
    """Return Σ_b n_b/N |accuracy(b) - confidence(b)| over `bins` bins of equal width: 0 if probabilities are true.

    Guo et al. 2017, 1706.04599, equation 3. It has an upward bias of about √(bins/N), which is the same for all arms.
    """
    confidence = np.asarray(confidence, dtype=float)
    place = np.minimum((confidence * bins).astype(int), bins - 1)
    gaps = np.bincount(place, weights=right.astype(float) - confidence, minlength=bins)
    return float(np.abs(gaps).sum() / len(right))


def most_different(arms: Sequence[ArmPredictions], count: int) -> NDArray[np.int_]:
    """Return the numbers of at most `count` images on which arms differ most, in descending order.

    The order is by the variance between arms of the error over seeds, then by that of the mean loss. Images on which
    all arms have the same error are left out.
    """
    if not arms:
        return np.array([], int)
    errors = np.var([arm.wrong.mean(axis=0) for arm in arms], axis=0)
    losses = np.var([arm.loss.mean(axis=0, dtype=float) for arm in arms], axis=0)
    order = np.lexsort((-losses, -errors))
    return np.asarray(order[errors[order] > 0][:count])
