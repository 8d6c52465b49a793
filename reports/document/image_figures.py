"""The figures of an ablation's test images: confusion matrices, and the images on which arms differ most."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from ablations import predictions
from ablations.run import AblationRun
from reports.document.arm_figures import indices
from reports.document.image_tables import MOST_ARMS, class_names, most_different
from reports.figures import confusion, strip
from reports.figures.confusion import Matrix
from reports.figures.strip import Shown, as_pictures
from reports.names import quoted
from reports.page import Picture, Text
from search.data import load_if_ready

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from search.data import Images

CAPTION = (
    "The test images on which arms differ most, with number and true class. The table has the predictions for each; "
    "{size} pixels, all with the same range of grey levels."
)


MOST_CLASSES = 20
"""The most classes of a confusion matrix that can be read in a figure; a table has the most frequent confusions."""


def confusions(run: AblationRun) -> Picture | None:
    """Return the confusion matrices of the first arms; None for too many classes, and if no network errs."""
    names, arms = class_names(run), dict(list(run.predicted.arms.items())[:MOST_ARMS])
    if len(names) > MOST_CLASSES or not any(arm.wrong.any() for arm in arms.values()):
        return None
    index = indices(run)
    found = [Matrix(name, index[name], predictions.confusion(arm, len(names))) for name, arm in arms.items()]
    caption = (
        "Confusions: of the images of each true class, the fraction predicted as each other class, mean over seeds. "
        "Stronger colours are larger fractions, on one scale for all arms; each heading has the largest one of its arm."
    )
    alt = "; ".join(f"{quoted(each.arm)}: {_largest(each, names)}" for each in found)
    return Picture("confusions", partial(_draw_confusions, found, names), caption, f"Confusion matrices. {alt}")


def _draw_confusions(found: list[Matrix], names: list[str], width: float) -> Figure:
    return confusion.confusion(found, names, width=width)


def _largest(found: Matrix, names: list[str]) -> str:
    """Return an arm's most frequent confusion in words."""
    rates = np.nan_to_num(found.rates)
    np.fill_diagonal(rates, 0)
    true, predicted = np.unravel_index(int(rates.argmax()), rates.shape)
    rate = float(rates[true, predicted])
    return f"{names[true]} as {names[predicted]} in {100 * rate:.1f} %" if rate else "no confusion"


def pictures(run: AblationRun) -> Picture | Text | None:
    """Return the pictures of the images of `image_tables.images`, or a line that says why there are none."""
    chosen = most_different(run)
    if not chosen:
        return None
    images = load_if_ready(run.study.dataset)
    if images is None:
        return Text(["Their pictures are not shown: this machine has no copy of the data set that it has read."])
    if images.digests["test"] != run.predicted.split:
        return Text(["Their pictures are not shown: the data set on this machine has other test images."])
    names, label = class_names(run), next(iter(run.predicted.arms.values())).label[0]
    titles = [f"{number}: {names[int(label[at])]}" for number, at in enumerate(chosen, 1)]
    size = "x".join(map(str, images.shape[1:]))
    alt = "Test images: " + "; ".join(f"{title}, image {at}" for title, at in zip(titles, chosen, strict=True))
    return Picture("images", partial(_draw, images, chosen, titles), CAPTION.format(size=size), alt)


def _draw(images: Images, chosen: list[int], titles: list[str], width: float) -> Figure:
    shown = as_pictures(images.test.x[chosen].numpy())
    return strip.strip([Shown(image, title) for image, title in zip(shown, titles, strict=True)], width=width)
