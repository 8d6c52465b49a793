"""The epochs of diagnostics: counted from the beginning or from the end, within the training."""

from __future__ import annotations

import pytest

from ablations.diagnostics import Diagnostics
from resnet_space.api.studies import load


@pytest.mark.parametrize(
    ("wanted", "epochs", "probed"),
    [((), 10, ()), ((0, -1), 10, (0, 10)), ((-1, 5, 0, 5), 10, (0, 5, 10)), ((0, 7, -4), 3, (0,)), ((3, -1), 3, (3,))],
)
def test_epochs_count_from_the_beginning_or_from_the_end(
    wanted: tuple[int, ...], epochs: int, probed: tuple[int, ...]
) -> None:
    assert Diagnostics(propagation=wanted).probes(epochs) == probed


def test_the_short_form_means_the_beginning_and_the_end() -> None:
    assert load("shortcuts").diagnostics == Diagnostics(propagation=(0, -1))
    assert load("shortcuts", changes={"diagnostics": "propagation"}).diagnostics.probes(4) == (0, 4)
