"""The pictures of the test images on which an ablation's arms differ most."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from ablations.run import AblationRun
from reports.document.image_tables import class_names, most_different
from reports.figures import strip
from reports.figures.strip import Shown, as_pictures
from reports.page import Picture, Text
from search.data import load_if_ready

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from search.data import Images

CAPTION = (
    "The test images on which arms differ most, with number and true class. The table has the predictions for each; "
    "{size} pixels, all with the same range of grey levels."
)


def pictures(run: AblationRun) -> Picture | Text | None:
    """Return the pictures of the images of `image_tables.images`, or a line that says why there are none."""
    chosen = most_different(run)
    if not chosen:
        return None
    images = load_if_ready(run.study.data)
    if images is None:
        return Text(["Their pictures are not shown: this machine has no copy of the data set that it has read."])
    if images.digests["test"] != run.predicted.split:
        return Text(["Their pictures are not shown: the data set on this machine has other test images."])
    names, label = class_names(run), next(iter(run.predicted.arms.values())).label[0]
    titles = [f"{number}: {names[int(label[at])]}" for number, at in enumerate(chosen, 1)]
    size = "x".join(map(str, images.shape[1:]))
    alt = "Test images: " + "; ".join(f"{title}, image {at}" for title, at in zip(titles, chosen, strict=True))
    return Picture("images", partial(_draw, images, chosen, titles), CAPTION.format(size=size), alt)


def _draw(images: Images, chosen: list[int], titles: list[str]) -> Figure:
    shown = as_pictures(images.test.x[chosen].numpy())
    return strip.strip([Shown(image, title) for image, title in zip(shown, titles, strict=True)])
