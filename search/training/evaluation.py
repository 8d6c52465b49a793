"""Measure a network in evaluation mode: errors, predictions of the test images, and latency."""

from __future__ import annotations

import time
from collections.abc import Generator, Sequence
from contextlib import closing
from statistics import median

import torch
from torch import Tensor, nn
from torch.nn import functional

from search.data import Images, Split, batches
from search.training.step import autocast
from search.trials.predictions import Predictions
from search.trials.recipe import Recipe

LOOK = 512
"""Batch size for measuring errors, over all networks."""

LOOK_ON_GPU = 4096
"""The same on a GPU, for images of up to 32x32; smaller for larger images, but at least `LOOK`."""

TOP = 5
MIN_CLASSES = 10
"""With fewer classes, the share of images whose class is not among the `TOP` most likely ones is not measured."""

PASSES = 11
"""Number of timed forward passes; the latency is their median."""


def errors(
    model: nn.Module, split: Split, images: Images, recipe: Recipe, device: str, *, networks: int = 1
) -> list[float]:
    """Return the fraction of a split that each network fused in a model classifies wrongly, in evaluation mode."""
    [found] = missed(model, split, images, recipe, device, networks=networks)
    return found


@torch.no_grad()
def missed(
    model: nn.Module,
    split: Split,
    images: Images,
    recipe: Recipe,
    device: str,
    *,
    networks: int = 1,
    within: Sequence[int] = (1,),
) -> list[list[float]]:
    """Return the fraction of a split whose class is not among a network's k most likely ones, in evaluation mode.

    Returns:
        For each k in `within`, one fraction for each network fused in the model.
    """
    wrong = torch.zeros(len(within), networks, dtype=torch.long, device=device)
    with closing(_logits(model, split, images, recipe, device, networks)) as found:
        for logits, y in found:
            for row, k in zip(wrong, within, strict=True):
                row += _missed(logits, y, k).sum(0)
    return [[number / len(split) for number in row] for row in wrong.tolist()]


@torch.no_grad()
def on_test_split(model: nn.Module, images: Images, recipe: Recipe, device: str) -> tuple[Predictions, float | None]:
    """Return what a network predicts for each test image, in evaluation mode, and its top-5 error.

    The predictions' `error` is that of `errors`, to the bit. The top-5 error is None for fewer than `MIN_CLASSES`
    classes.
    """
    labels, predicted, losses, confidences, beyond = [], [], [], [], []
    with closing(_logits(model, images.test, images, recipe, device, 1)) as found:
        for logits, y in found:
            classes = logits[:, 0].argmax(1)
            log_probabilities = logits[:, 0].float().log_softmax(1)
            labels.append(y)
            predicted.append(classes)
            losses.append(functional.nll_loss(log_probabilities, y, reduction="none"))
            confidences.append(log_probabilities.gather(1, classes[:, None])[:, 0].exp())
            if images.classes >= MIN_CLASSES:
                beyond.append(_missed(logits, y, TOP).sum())
    # Copied from the device once, since each copy waits for it.
    made = Predictions(
        images.digests["test"],
        *(torch.cat(each).cpu().numpy() for each in (labels, predicted, losses, confidences)),
    )
    return made, int(torch.stack(beyond).sum()) / len(made) if beyond else None


def _missed(logits: Tensor, y: Tensor, k: int) -> Tensor:
    """Return whether the class of each image is not among the k most likely ones, (n, networks)."""
    # `argmax` for one class, since `topk` chooses another class among equal logits.
    likely = logits.argmax(2, keepdim=True) if k == 1 else logits.topk(k, dim=2).indices
    return (likely != y[:, None, None]).all(2)


def _logits(
    model: nn.Module, split: Split, images: Images, recipe: Recipe, device: str, networks: int
) -> Generator[tuple[Tensor, Tensor]]:
    """Yield logits (n, networks, classes) and labels (n,) of all images of a split, in order.

    With `augmentation.test_flip`, logits are the mean of those of each image and of its mirror image.

    Close it after an error: until then, its context casts the computations of this thread.
    """
    model.eval()
    size = -(-side_by_side(images.shape, device) // networks)
    # One context for all batches: it casts weights to bf16 once.
    with autocast(recipe, device):
        for x, y in batches(split, batch_size=size, mean=images.mean, std=images.std, device=device):
            x = x.repeat(1, networks, 1, 1).contiguous(memory_format=torch.channels_last)
            logits: Tensor = model(x)
            if recipe.augmentation.test_flip:
                logits = (logits.float() + model(x.flip(3)).float()) / 2
            yield logits.reshape(len(y), networks, -1), y


def side_by_side(shape: tuple[int, int, int], device: str) -> int:
    """Return the batch size for evaluating images (C, H, W): larger on a GPU, where kernel launches are costly."""
    _, height, width = shape
    as_many = LOOK_ON_GPU * 32 * 32 // (height * width)
    return min(max(LOOK, as_many), LOOK_ON_GPU) if device.startswith("cuda") else LOOK


@torch.no_grad()
def latency_ms(model: nn.Module, shape: tuple[int, int, int], recipe: Recipe, device: str) -> float:
    """Return the milliseconds of a forward pass of one image in evaluation mode.

    It is the median of `PASSES` passes, after the same number of warm-up passes.
    """
    model.eval()
    image = torch.zeros(1, *shape, device=device).contiguous(memory_format=torch.channels_last)
    taken = []
    for _ in range(2 * PASSES):
        began = time.perf_counter()
        with autocast(recipe, device):
            model(image)
        if device.startswith("cuda"):
            torch.cuda.synchronize()
        taken.append(time.perf_counter() - began)
    return 1000 * median(taken[PASSES:])
