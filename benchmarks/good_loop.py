"""The baseline of an engineer who cares for speed: a training loop over tensors in memory, on one device.

Images are normalised and padded once per training, not once per batch. A batch is one indexing operation, which also
crops. Images and weights are channels last, SGD is torch's fused one, and losses are read once per epoch, so that no
step waits for a number.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim.swa_utils import AveragedModel

from search.data import Images, Split
from search.trials.recipe import Recipe

MEASURED_AT_ONCE = 512
"""Images per batch when errors are measured."""


def prepared(split: Split, images: Images, pad: int = 0) -> tuple[Tensor, Tensor]:
    """Return all images, normalised and with `pad` zeros on each side, (N, C, H + 2 pad, W + 2 pad), and the labels."""
    mean, std = (torch.tensor(values).view(-1, 1, 1) for values in (images.mean, images.std))
    x = F.pad((split.x.float() - mean) / std, (pad,) * 4)
    return x.contiguous(memory_format=torch.channels_last), split.y


def batches(x: Tensor, y: Tensor, recipe: Recipe) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield the prepared images in random order, each cropped and mirrored at random as the recipe says."""
    pad, flip = recipe.augmentation.pad, recipe.augmentation.flip
    height, width = x.shape[2] - 2 * pad, x.shape[3] - 2 * pad
    # A view of all crops: (N, C, 2 pad + 1, 2 pad + 1, H, W).
    crops = x.unfold(2, height, 1).unfold(3, width, 1)
    for chosen in torch.randperm(len(y)).split(recipe.batch_size):
        some = x[chosen]
        if pad:
            top, left = torch.randint(2 * pad + 1, (2, len(chosen)))
            some = crops[chosen, :, top, left]
        if flip:
            some = torch.where(torch.rand(len(chosen), 1, 1, 1) < 0.5, some.flip(3), some)
        yield some.contiguous(memory_format=torch.channels_last), y[chosen]


def optimiser(model: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """Return torch's optimiser, fused if it is; timm's, if torch has none of this name."""
    kind, common = recipe.optimizer.kind, {"lr": recipe.lr, "weight_decay": recipe.weight_decay}
    own = recipe.optimizer.model_dump(exclude={"kind"})
    groups = [*model.parameters()]
    if not recipe.decay_norms_and_biases:
        flat = [weight for weight in groups if weight.dim() < 2]
        groups = [{"params": [weight for weight in groups if weight.dim() > 1]}, {"params": flat, "weight_decay": 0}]
    if kind == "sgd":
        own = {"momentum": recipe.momentum, "nesterov": recipe.nesterov}
    if kind in FUSED:
        return FUSED[kind](groups, **common, **own, fused=True)
    from timm.optim import create_optimizer_v2

    return create_optimizer_v2(groups, opt=kind, momentum=recipe.momentum, **common, **own)


FUSED = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam, "adamw": torch.optim.AdamW}


@dataclass(frozen=True)
class Options:
    """What a step of the loop does in addition to the plain one."""

    loss: Callable[[Tensor, Tensor], Tensor] = F.cross_entropy
    parts: int = 1
    clip: float | None = None
    average: AveragedModel | None = None


PLAIN = Options()


def steps(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    batches: Iterable[tuple[Tensor, Tensor]],
    rates: Iterable[float],
    options: Options = PLAIN,
) -> Iterator[Tensor]:
    """Take a step per batch, at the next learning rate; yield the losses."""
    model.train()
    for (x, y), rate in zip(batches, rates, strict=False):
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.zero_grad()
        losses = []
        for some, labels in zip(x.chunk(options.parts), y.chunk(options.parts), strict=True):
            loss = options.loss(model(some), labels)
            (loss if options.parts == 1 else loss * (len(labels) / len(y))).backward()
            losses.append(loss.detach())
        if options.clip:
            nn.utils.clip_grad_norm_(model.parameters(), options.clip)
        optimizer.step()
        if options.average:
            options.average.update_parameters(model)
        yield torch.stack(losses).mean()


@torch.inference_mode()
def error(model: nn.Module, x: Tensor, y: Tensor) -> float:
    """Return the fraction of wrong predictions."""
    model.eval()
    pairs = zip(x.split(MEASURED_AT_ONCE), y.split(MEASURED_AT_ONCE), strict=True)
    return sum(int((model(some).argmax(1) != labels).sum()) for some, labels in pairs) / len(y)


def epochs(model: nn.Module, images: Images, recipe: Recipe) -> Iterator[tuple[float, float]]:
    """Train by a recipe in epochs; yield mean loss and validation error of each epoch."""
    model = model.to(memory_format=torch.channels_last)
    optimizer = optimiser(model, recipe)
    x, y = prepared(images.train, images, recipe.augmentation.pad)
    validation = prepared(images.validation, images)
    total = recipe.total_steps(-(-len(y) // recipe.batch_size))
    rates = (recipe.lr * recipe.schedule.factor(step / total) for step in range(total))
    for _ in range(recipe.epochs or 0):
        losses = [*steps(model, optimizer, batches(x, y, recipe), rates)]
        yield float(torch.stack(losses).mean()), error(model, *validation)


def train(model: nn.Module, images: Images, recipe: Recipe) -> float:
    """Train all epochs and return the test error."""
    for _ in epochs(model, images, recipe):
        pass
    return error(model, *prepared(images.test, images))
