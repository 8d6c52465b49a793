"""The tables of an ablation's test images: intervals, agreement, probabilities, classes, confusions, images."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from statistics import fmean, stdev

import numpy as np

from ablations import predictions
from ablations.findings import Finding
from ablations.predictions import ArmPredictions, Overlap
from ablations.run import AblationRun
from ablations.two_way import TwoWay
from reports.document.arm_figures import drawn, indices
from reports.names import against
from reports.numbers import span
from reports.page import Cell, Grid

INTERVALS = ("arm", "against", "on images like these, points", "due to images", "deciding")
PROBABILITIES = ("arm", "log loss, nats", "calibration error, %", "confidence, %", "accuracy, %")
CONFUSED = ("class", "predicted as")
IMAGES = ("picture", "test image", "class")

MOST_CLASSES = 10
"""The most classes in a table; of more, those whose errors differ most between arms."""
MOST_CONFUSIONS = 10
MOST_ARMS = 6
"""The most arms as columns of a table."""
MOST_PICTURES = 24

WHY_MISSING = "an earlier version trained them, or the store was repaired"
NOTHING_STORED = (
    f"No predictions of these trials are stored ({WHY_MISSING}): intervals are over seeds, and hold for these test "
    "images."
)


def missing(run: AblationRun) -> Iterator[str]:
    """Yield one line for each kind of trial without usable predictions."""
    found, complete = run.predicted, sum(record.status == "complete" for record in run.records)
    if found.missing and found.missing == complete:
        yield NOTHING_STORED
    elif found.missing:
        yield f"{found.missing} of {complete} trials have no stored predictions: {WHY_MISSING}."
    if found.unusable:
        yield f"The predictions of {found.unusable} of {complete} trials are damaged or of other images, and left out."


def verdict(run: AblationRun) -> Iterator[str]:
    """Yield a line on how many resolved differences also exclude 0 on images like the test images, and which do not."""
    like = "the {:,} test images" if run.predicted.same_images else "each seed's {:,} test images"
    resolved = [found for found in run.findings if found.resolved and found.margin is None]
    known = [(found, both) for found in resolved if (both := run.image_interval(found))]
    if not known:
        return
    only = [against(found.arm, found.versus) for found, both in known if not excludes_zero(both)]
    more = f"; and {len(only) - MOST_ARMS} more" if len(only) > MOST_ARMS else ""
    without = f"; not: {'; '.join(only[:MOST_ARMS])}{more}" if only else ""
    number = f"{len(known) - len(only)} of {len(known)} resolved differences"
    yield f"on images like {like.format(known[0][1].images)}, 0 is also outside the intervals of {number}{without}."


def excludes_zero(both: TwoWay) -> bool:
    return both.low_images > 0 or both.high_images < 0


def intervals(run: AblationRun) -> Grid | None:
    """Return one row per comparison: the interval over seeds, and the one over seeds and images."""
    known = [(found, both) for found in run.findings if (both := run.image_interval(found))]
    if not known:
        return None
    index, images = indices(run), f"{known[0][1].images:,} test images"
    made = Grid(
        "On images like these",
        INTERVALS,
        INTERVALS[2:],
        [_interval(found, both) for found, both in known],
        [index[found.arm] for found, _ in known],
        notes=[
            *(_of_the_same_images(images) if run.predicted.same_images else _of_divisions(images)),
            "Both intervals have the confidence level of the comparison's own test. Bold: 0 is outside.",
        ],
    )
    return made.without_empty_columns()


def _of_the_same_images(images: str) -> list[str]:
    return [
        "the interval of the table of arms is over seeds: it holds for networks that are trained again, and for these "
        f"{images}. On images like these: over seeds and images; it holds for other test images of the same kind, too.",
        "due to images: the share of the test images in the squared width; with more seeds it increases, with more "
        "test images it decreases. deciding: test images on which the two arms differ; below about ten, the interval "
        "is too short.",
    ]


def _of_divisions(images: str) -> list[str]:
    return [
        "the interval of the table of arms is over seeds, each with its own division of the data and "
        f"{images}; it holds for other divisions of the same data.",
        "on images like these: it holds for other data of the same kind, too. It is wider by √(1 + seeds * test images "
        "/ training images), since divisions of the same data overlap (Nadeau and Bengio 2003).",
    ]


def _interval(found: Finding, both: TwoWay) -> list[Cell]:
    return [
        Cell(found.arm, found.arm),
        Cell(found.versus, found.versus),
        Cell(span(both.low_images, both.high_images), both.low_images, "resolved" if excludes_zero(both) else ""),
        Cell(f"{both.share:.0%}", both.share),
        Cell("" if both.differing is None else f"{both.differing:,} of {both.images:,}", both.differing),
    ]


def agreement(run: AblationRun) -> Grid:
    """Return how alike the networks of an arm decide, and how alike those of the arm and of the baseline."""
    arms, control = run.predicted.arms, run.study.control
    base = arms.get(control)
    headings = ("arm", "decisions, seeds, %", "errors, seeds, %", "decisions, baseline, %", "errors, baseline, %")
    rows = [
        [
            Cell(name, name, "baseline" if name == control else ""),
            *_overlap(predictions.overlap(arm, arm)),
            *_overlap(predictions.overlap(arm, base) if base is not None and arm is not base else None),
        ]
        for name, arm in arms.items()
    ]
    notes = [
        "decisions: test images for which two networks predict the same class; errors: of the images that at least one "
        "of the two gets wrong, those that both do. Means over pairs of networks with different seeds.",
        "seeds: two networks of the arm; baseline: one of the arm and one of the baseline. If the second is lower than "
        "the first, the arms have learnt something different, also if their errors are equal.",
    ]
    made = Grid("Agreement", headings, headings[1:], rows, _indices(run), notes)
    return made.without_empty_columns()


def _overlap(found: Overlap | None) -> list[Cell]:
    values = (found.decisions, found.errors) if found else (None, None)
    return [Cell("" if value is None else f"{100 * value:.1f}", value) for value in values]


def probabilities(run: AblationRun) -> Grid:
    """Return how good an arm's probabilities are: log loss, calibration error, and confidence next to accuracy."""
    rows = []
    for name, arm in run.predicted.arms.items():
        values = [
            (1, 3, predictions.log_losses(arm)),
            (100, 2, predictions.calibration_errors(arm)),
            (100, 2, arm.confidence.mean(axis=1, dtype=float)),
            (100, 2, 1 - arm.wrong.mean(axis=1)),
        ]
        cells = [_mean(factor, digits, each.tolist()) for factor, digits, each in values]
        rows.append([Cell(name, name, "baseline" if name == run.study.control else ""), *cells])
    notes = [
        "mean ± standard deviation over seeds. log loss: mean negative log-likelihood of the true class.",
        f"calibration error: mean distance of confidence and accuracy over {predictions.BINS} bins of confidence "
        "(1706.04599), 0 if the probabilities are true. confidence: mean probability of the predicted class; above the "
        "accuracy, the networks are too sure.",
    ]
    return Grid("Probabilities", PROBABILITIES, PROBABILITIES[1:], rows, _indices(run), notes)


def _mean(factor: float, digits: int, values: Sequence[float]) -> Cell:
    mean = fmean(values)
    spread = f" ± {factor * stdev(values):.{digits}f}" if len(values) > 1 else ""
    return Cell(f"{factor * mean:.{digits}f}{spread}", mean)


def errors_by_class(run: AblationRun) -> Grid:
    """Return the error of each class by arm; of many classes, those in which arms differ most."""
    names, arms = class_names(run), run.predicted.arms
    table = np.array([predictions.class_errors(arm, len(names)) for arm in arms.values()])
    tested = np.flatnonzero(~np.isnan(table).any(axis=0))
    spread = table.max(axis=0) - table.min(axis=0)
    shown = sorted(sorted(tested.tolist(), key=lambda at: -spread[at])[:MOST_CLASSES])
    headings = ("arm", *(names[at] for at in shown))
    rows = [
        [
            Cell(name, name, "baseline" if name == run.study.control else ""),
            *(Cell(f"{100 * errors[at]:.1f}", float(errors[at])) for at in shown),
        ]
        for name, errors in zip(arms, table, strict=True)
    ]
    some = (
        f" {len(shown)} of {len(tested)} classes: those in which arms differ most." if len(shown) < len(tested) else ""
    )
    return Grid("Errors by class, %", headings, headings[1:], rows, _indices(run), [f"Mean over seeds.{some}"])


def confusions(run: AblationRun) -> Grid | None:
    """Return the most frequent confusions of two classes, with their rates by arm; None if no network errs."""
    names, arms = class_names(run), dict(list(run.predicted.arms.items())[:MOST_ARMS])
    tables = {name: np.nan_to_num(predictions.confusion(arm, len(names))) for name, arm in arms.items()}
    mean = np.mean(list(tables.values()), axis=0)
    np.fill_diagonal(mean, 0)
    order = np.argsort(-mean, axis=None, kind="stable")[:MOST_CONFUSIONS]
    places = [(int(at) // len(names), int(at) % len(names)) for at in order if mean.flat[at] > 0]
    if not places:
        return None
    headings = (*CONFUSED, *arms)
    rows = [
        [
            Cell(names[true]),
            Cell(names[predicted]),
            *(Cell(f"{100 * table[true, predicted]:.1f}", float(table[true, predicted])) for table in tables.values()),
        ]
        for true, predicted in places
    ]
    notes = ["Percent of the images of the class, mean over seeds.", *_of_more_arms(run)]
    return Grid("Most frequent confusions, %", headings, headings[2:], rows, notes=notes)


def images(run: AblationRun) -> Grid | None:
    """Return the test images on which arms differ most, with each arm's wrong networks; None if none differs."""
    names, chosen = class_names(run), most_different(run)
    if not chosen:
        return None
    arms = dict(list(run.predicted.arms.items())[:MOST_ARMS])
    label = next(iter(arms.values())).label[0]
    headings = (*IMAGES, *arms)
    rows = [
        [
            Cell(f"{number}", number),
            Cell(f"{at:,}", at),
            Cell(names[int(label[at])]),
            *(_answers(arm, at, names) for arm in arms.values()),
        ]
        for number, at in enumerate(chosen, 1)
    ]
    notes = ["Networks that are wrong, with the class that most of them predict.", *_of_more_arms(run)]
    return Grid("Test images on which arms differ most", headings, headings[:2], rows, notes=notes)


def _answers(arm: ArmPredictions, at: int, names: Sequence[str]) -> Cell:
    """Return `3 of 5, as dog`."""
    answers = Counter(
        int(answer) for answer, wrong in zip(arm.predicted[:, at], arm.wrong[:, at], strict=True) if wrong
    )
    wrong = sum(answers.values())
    said = f", as {names[answers.most_common(1)[0][0]]}" if wrong else ""
    return Cell(f"{wrong} of {len(arm.seeds)}{said}", wrong / len(arm.seeds))


def most_different(run: AblationRun) -> list[int]:
    """Return the numbers of the test images on which arms differ most, of those arms that figures show."""
    shown = drawn(run)
    arms = [arm for name, arm in run.predicted.arms.items() if name in shown]
    return [int(at) for at in predictions.most_different(arms, MOST_PICTURES)]


def class_names(run: AblationRun) -> list[str]:
    """Return the names of the classes; their numbers if an earlier version did not store names."""
    classes = next(iter(run.nets.values())).classes
    known = (run.folder.data or {}).get("classes", [])
    return list(known) if len(known) == classes else [str(number) for number in range(classes)]


def _indices(run: AblationRun) -> list[int]:
    index = indices(run)
    return [index[name] for name in run.predicted.arms]


def _of_more_arms(run: AblationRun) -> list[str]:
    number = len(run.predicted.arms)
    return [f"The first {MOST_ARMS} of {number} arms."] if number > MOST_ARMS else []
