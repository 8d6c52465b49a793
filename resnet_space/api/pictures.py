"""Pictures of training images as the networks see them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from resnet_space.errors import InputError, unknown

if TYPE_CHECKING:
    from torch import Tensor

    from search.data import Images, Split
    from search.trials.recipe import Recipe
    from search.trials.study import Study

COLUMNS = 10
"""The number of images that are drawn: the first ones of each class, in turn."""


def draw_training_images(study: Study, to: Path, *, epochs: int = 6, seed: int = 0) -> Path:
    """Draw training images of a study: as they are, and in a row per epoch as a trial sees them. Return the path.

    Epochs are evenly spaced over the training, so that sides which grow can be seen. With mixup or cutmix, images are
    mixed with others of the picture.

    Raises:
        InputError: missing data, a wrong suffix, no such folder, or several data sets.
    """
    from reports.figures.saving import save
    from reports.figures.style import FORMATS
    from reports.figures.training_images import training_images
    from search.data import load

    form = to.suffix.removeprefix(".")
    if form not in FORMATS:
        raise unknown("format", form, FORMATS, path=str(to))
    if not to.parent.is_dir():
        raise InputError(f"{to.parent}: no such folder; create it, or choose another")
    if study.several:
        raise InputError(f"data: {len(study.on_each)} data sets; choose one with --dataset")
    images = load(study.dataset, seed=study.dataset.division(seed) or 0)
    study.recipe.augmentation.check(images.shape, images.classes)
    some = some_of_each_class(images, COLUMNS)
    rows = {"as they are": _pixels(_normalised(some, images), images)}
    for epoch, seen in seen_in_epochs(some, images, study.recipe, epochs, seed):
        rows[f"epoch {epoch + 1}"] = _pixels(seen, images)
    figure = training_images(
        {name: row.numpy() for name, row in rows.items()}, [images.names[label] for label in some.y.tolist()]
    )
    [path] = save(figure, to.parent, to.stem, [form])
    return path


def some_of_each_class(images: Images, number: int) -> Split:
    """Return training images: the first of each class, then the second of each class, until there are enough."""
    from search.data import Split

    places: list[list[int]] = [[] for _ in range(images.classes)]
    for place, label in enumerate(images.train.y.tolist()):
        if len(places[label]) < number:
            places[label].append(place)
    turns = (own[turn] for turn in range(number) for own in places if turn < len(own))
    index = sorted(
        [place for place, _ in zip(turns, range(number), strict=False)], key=lambda place: images.train.y[place]
    )
    return Split(images.train.x[index], images.train.y[index])


def seen_in_epochs(some: Split, images: Images, recipe: Recipe, epochs: int, seed: int) -> list[tuple[int, Tensor]]:
    """Return the numbers of evenly spaced epochs, and the images in their given order as training sees them then."""
    import torch

    from search.data import batches, steps_per_epoch
    from search.data.batching import generator

    # Each image once.
    augmentation = recipe.augmentation.model_copy(update={"repeats": 1})
    steps = steps_per_epoch(len(images.train), recipe.batch_size)
    total = recipe.total_steps(steps)
    last = -(-total // steps) - 1
    found = []
    for epoch in dict.fromkeys(round(last * place / max(epochs - 1, 1)) for place in range(epochs)):
        [(x, _)] = batches(
            some,
            batch_size=len(some),
            mean=images.mean,
            std=images.std,
            seed=seed,
            epoch=epoch,
            augmentation=augmentation,
            images=images,
            progress=epoch * steps / total,
        )
        # A batch is shuffled; this is the same permutation.
        shuffled = torch.randperm(len(some), generator=generator(seed, epoch))
        found.append((epoch, x[shuffled.argsort()]))
    return found


def _normalised(some: Split, images: Images) -> Tensor:
    from search.data import normalise

    return normalise(some.x, images.mean, images.std)


def _pixels(x: Tensor, images: Images) -> Tensor:
    """Return normalised images as (N, H, W, C) from black, 0, to white, 1; three channels, or the first one only."""
    import torch

    mean, std = (torch.tensor(values)[:, None, None] for values in (images.mean, images.std))
    black, white = images.black_and_white
    levels = ((x * std + mean - black) / ((white - black) or 1)).clamp(0, 1)
    return (levels if levels.shape[1] == 3 else levels[:, :1]).permute(0, 2, 3, 1)
