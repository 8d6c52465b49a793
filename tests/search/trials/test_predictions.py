"""Predictions are stored in a file of plain arrays, small, without pickle, and read only if they can be true."""

from __future__ import annotations

import io
import random
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.trials.predictions import Predictions

SPLIT = "0123456789abcdef"


def made(images: int, classes: int, *, seed: int = 0, share_wrong: float = 0.1) -> Predictions:
    """Predictions of a network with this share of errors; logits decide all numbers."""
    rng = np.random.default_rng(seed)
    label = rng.integers(classes, size=images)
    logits = rng.normal(size=(images, classes)) + 4 * np.eye(classes)[label]
    chosen = rng.random(images) < share_wrong
    logits[chosen] = np.roll(logits[chosen], 1, axis=1)
    logs = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    predicted = logits.argmax(axis=1)
    rows = np.arange(images)
    return Predictions(SPLIT, label, predicted, -logs[rows, label], np.exp(logs[rows, predicted]))


@given(st.integers(1, 300), st.integers(2, 1000), st.integers(0, 99), st.sampled_from([0.0, 0.3, 1.0]))
def test_what_is_stored_is_read(images: int, classes: int, seed: int, share_wrong: float) -> None:
    whole = made(images, classes, seed=seed, share_wrong=share_wrong)
    found = Predictions.from_bytes(whole.to_bytes())
    assert (found.split, found.error) == (SPLIT, whole.error)
    assert found.label.tolist() == whole.label.tolist()
    assert found.predicted.tolist() == whole.predicted.tolist()
    np.testing.assert_allclose(found.loss, whole.loss, rtol=1 / 2048, atol=1e-7)
    np.testing.assert_allclose(found.confidence, whole.confidence, rtol=0.01)


def test_equal_predictions_have_equal_bytes() -> None:
    assert made(50, 10).to_bytes() == made(50, 10).to_bytes()
    assert made(50, 10).to_bytes() != made(50, 10, seed=1).to_bytes()


@pytest.mark.parametrize(("images", "classes", "most"), [(10_000, 10, 32_000), (5_000, 1000, 32_000)])
def test_they_take_a_few_bytes_per_image(images: int, classes: int, most: int) -> None:
    assert len(made(images, classes).to_bytes()) < most


def test_a_loss_that_is_no_number_is_stored_as_the_largest() -> None:
    whole = Predictions(SPLIT, np.array([0, 1, 1]), np.array([0, 0, 0]), np.array([np.nan, np.inf, 1e9]), np.ones(3))
    assert Predictions.from_bytes(whole.to_bytes()).loss.tolist() == [65504.0] * 3


def changed(**arrays: Any) -> bytes:
    """The bytes of predictions with some arrays replaced, or left out if None."""
    with np.load(io.BytesIO(made(20, 10).to_bytes())) as file:
        found = {name: file[name] for name in file.files} | arrays
    target = io.BytesIO()
    np.savez_compressed(target, **{name: array for name, array in found.items() if array is not None})
    return target.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"text",
        b"\x80\x04K\x01.",
        changed(loss=None),
        changed(label=np.zeros(19, np.uint8)),
        changed(label=np.zeros((20, 1), np.uint8)),
        changed(label=np.zeros(20)),
        changed(loss=np.full(20, np.nan, np.float16)),
        changed(loss=np.full(20, -1, np.float16)),
        changed(confidence=np.full(1000, 0.5, np.float16)),
        changed(predicted=np.array([None] * 20, dtype=object)),
        changed(split=np.zeros(1)),
    ],
)
def test_bytes_that_cannot_be_predictions_are_refused(content: bytes) -> None:
    with pytest.raises(ValueError, match=r"\S"):
        Predictions.from_bytes(content)


def test_an_array_that_would_fill_the_memory_is_refused_before_it_is_unpacked() -> None:
    huge = changed(loss=np.zeros(21_000_000, np.float16))
    assert len(huge) < 100_000
    with pytest.raises(ValueError, match=r"an array of 42,000,\d\d\d bytes"):
        Predictions.from_bytes(huge)


def test_changed_bytes_are_noticed_by_the_checksum() -> None:
    whole, rng = made(200, 10).to_bytes(), random.Random(3)
    for _ in range(200):
        data = bytearray(whole)
        data[rng.randrange(len(data))] ^= rng.randrange(1, 256)
        try:
            found = Predictions.from_bytes(bytes(data))
        except ValueError:
            continue
        # The byte was one that no reader uses, such as a date.
        assert found.to_bytes() == whole
