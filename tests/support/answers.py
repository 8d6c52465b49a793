"""Predictions of networks that were not trained, with a given error."""

from __future__ import annotations

import numpy as np

from search.data import Images
from search.trials.predictions import Predictions


def predictions_with_error(error: float, images: Images, *, seed: int) -> Predictions:
    """Return predictions for the test images: the wrong ones are mostly the same for all seeds, as the next class."""
    label, classes = images.test.y.numpy(), images.classes
    wrong = round(error * len(label))
    hardness = np.arange(len(label)) + np.random.default_rng(seed).normal(scale=4, size=len(label))
    chosen = np.isin(np.arange(len(label)), np.argsort(hardness)[:wrong])
    confidence = np.where(chosen, 0.6, 0.9)
    loss = np.where(chosen, -np.log(0.3), -np.log(0.9))
    return Predictions(images.digests["test"], label, np.where(chosen, (label + 1) % classes, label), loss, confidence)
