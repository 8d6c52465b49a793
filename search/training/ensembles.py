"""The test error of an ensemble: the networks that an arm's seeds trained, by the mean of their probabilities."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from resnet_space import Architecture
from search.data import Images, batches
from search.files.bucket import Place
from search.training.evaluation import LOOK
from search.training.formats.taken import Ensemble
from search.training.formats.weights import load_trained


@torch.no_grad()
def ensemble_error(net: Architecture, weights: Sequence[Place], images: Images) -> float:
    """Return the share of test images whose class is not that of the highest mean probability. On the CPU, in float32.

    Raises:
        InputError: as `load_trained`.
    """
    model = Ensemble([load_trained(net, each) for each in weights]).eval()
    wrong = 0
    for x, y in batches(images.test, batch_size=LOOK, mean=images.mean, std=images.std):
        wrong += int((model(x).argmax(1) != y).sum())
    return wrong / len(images.test)
