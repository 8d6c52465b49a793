"""The baseline of these benchmarks: the training loop of tutorials, with the network that they define.

Images become PIL images and go through torchvision's transforms in the two worker processes of a DataLoader; NCHW; one
optimiser step per batch, and `loss.item()` after each.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from search.data import Images, Split
from search.trials.recipe import Recipe

WORKERS = 2


class PilImages(Dataset[tuple[Tensor, int]]):
    """A split as PIL images."""

    def __init__(self, split: Split, transform: transforms.Compose) -> None:
        # uint8 (N, H, W, C), as in files of data sets.
        self.x = split.x.permute(0, 2, 3, 1).contiguous().numpy()
        self.y = split.y.tolist()
        self.transform = transform

    def __len__(self) -> int:
        return len(self.y)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        image = self.x[index]
        return self.transform(Image.fromarray(image if image.shape[2] == 3 else image[:, :, 0])), self.y[index]


def loader(
    split: Split, images: Images, recipe: Recipe, *, train: bool, workers: int = WORKERS
) -> DataLoader[tuple[Tensor, int]]:
    size, augmentation = images.shape[1], recipe.augmentation
    changes: list[object] = []
    if train and augmentation.pad:
        changes.append(transforms.RandomCrop(size, augmentation.pad))
    if train and augmentation.flip:
        changes.append(transforms.RandomHorizontalFlip())
    # torchvision's mean and std are for pixels in 0..1.
    mean, std = ([value / 255 for value in values] for values in (images.mean, images.std))
    changes += [transforms.ToTensor(), transforms.Normalize(mean, std)]
    data = PilImages(split, transforms.Compose(changes))
    return DataLoader(
        data, batch_size=recipe.batch_size if train else 512, shuffle=train, num_workers=workers, drop_last=False
    )


def optimiser(model: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    return torch.optim.SGD(model.parameters(), lr=recipe.lr, momentum=recipe.momentum, weight_decay=recipe.weight_decay)


def steps(
    model: nn.Module, optimizer: torch.optim.Optimizer, batches: DataLoader[tuple[Tensor, int]]
) -> Iterator[tuple[int, float, int]]:
    """Train one epoch; yield for each batch the number of images, the loss, and the number of wrong predictions."""
    model.train()
    for x, y in batches:
        optimizer.zero_grad()
        logits = model(x)
        loss = F.cross_entropy(logits, y)
        loss.backward()
        optimizer.step()
        yield len(y), loss.item(), int((logits.argmax(1) != y).sum().item())


@torch.no_grad()
def error(model: nn.Module, batches: DataLoader[tuple[Tensor, int]]) -> float:
    """Return the fraction of wrong predictions."""
    model.eval()
    wrong = seen = 0
    for x, y in batches:
        wrong += int((model(x).argmax(1) != y).sum().item())
        seen += len(y)
    return wrong / seen


def epochs(
    model: nn.Module, images: Images, recipe: Recipe, *, workers: int = WORKERS
) -> Iterator[tuple[float, float]]:
    """Train by a recipe in epochs, with the learning rate set every step; yield mean loss and validation error of each
    epoch."""
    optimizer = optimiser(model, recipe)
    batches = loader(images.train, images, recipe, train=True, workers=workers)
    validation = loader(images.validation, images, recipe, train=False, workers=workers)
    total = recipe.total_steps(len(batches))
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: recipe.schedule.factor(min(step, total - 1) / total)
    )
    for _ in range(recipe.epochs or 0):
        losses = []
        for _, loss, _ in steps(model, optimizer, batches):
            losses.append(loss)
            schedule.step()
        yield sum(losses) / len(losses), error(model, validation)


def train(model: nn.Module, images: Images, recipe: Recipe, *, workers: int = WORKERS) -> float:
    """Train all epochs and return the test error."""
    for _ in epochs(model, images, recipe, workers=workers):
        pass
    return error(model, loader(images.test, images, recipe, train=False, workers=workers))


class Block(nn.Module):
    """Two 3x3 convolutions and a shortcut, padded with zeros where the shape changes."""

    def __init__(self, channels: int, out: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, out, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(out)
        self.conv2 = nn.Conv2d(out, out, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(out)
        self.stride, self.more = stride, out - channels

    def forward(self, x: Tensor) -> Tensor:
        out = F.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        if self.stride != 1 or self.more:
            x = F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.more))
        return F.relu(out + x)


class ResNet(nn.Module):
    """6n+2 layers, with stages of 16, 32 and 64 channels times `width`."""

    def __init__(self, depth: int, *, width: float = 1, channels: int = 3, classes: int = 10) -> None:
        super().__init__()
        units, widths = (depth - 2) // 6, [int(width * base) for base in (16, 32, 64)]
        self.conv1 = nn.Conv2d(channels, widths[0], 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(widths[0])
        layers, before = [], widths[0]
        for stage, out in enumerate(widths):
            for unit in range(units):
                layers.append(Block(before, out, 2 if stage and not unit else 1))
                before = out
        self.layers = nn.Sequential(*layers)
        self.linear = nn.Linear(before, classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        out = self.layers(F.relu(self.bn1(self.conv1(x))))
        return self.linear(F.avg_pool2d(out, out.shape[3]).flatten(1))
