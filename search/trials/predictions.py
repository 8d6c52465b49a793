"""What a trained network predicts for each test image, and the bytes in which a trial stores it."""

from __future__ import annotations

import io
import zipfile
import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

MAX_IMAGES = 10_000_000
"""More images are taken for damage: reading a store from somebody else must not fill the memory."""

ARRAYS = ("split", "label", "predicted", "loss", "confidence")
"""The arrays of a stored trial. `confidence` is stored for wrong images only: for others it is exp(-loss)."""

LARGEST_LOSS = float(np.finfo(np.float16).max)
"""65504 nats. Losses are stored as float16, within 1/2048 of their value, and one that is not finite as this."""

UNREADABLE = (OSError, KeyError, EOFError, RuntimeError, MemoryError, zipfile.BadZipFile, zlib.error)
"""What reading a damaged file can raise, in addition to ValueError."""


@dataclass(frozen=True, eq=False)
class Predictions:
    """The predictions of a trained network for the N images of a test split, in the order of the split.

    >>> found = Predictions("0" * 16, np.array([3, 1]), np.array([3, 7]), np.array([0.5, 2.0]), np.array([0.6, 0.8]))
    >>> found.wrong.tolist(), found.error
    ([False, True], 0.5)
    """

    split: str
    """The digest of the test split, as in a manifest: with another one, they are other images."""
    label: NDArray[np.integer[Any]]
    """(N,) the true classes."""
    predicted: NDArray[np.integer[Any]]
    """(N,) the predicted classes."""
    loss: NDArray[np.floating[Any]]
    """(N,) cross-entropy, in nats: -log of the probability of the true class."""
    confidence: NDArray[np.floating[Any]]
    """(N,) the probability of the predicted class."""

    def __len__(self) -> int:
        return len(self.label)

    @property
    def wrong(self) -> NDArray[np.bool_]:
        """(N,) whether the predicted class is not the true one."""
        return np.asarray(self.predicted != self.label)

    @property
    def error(self) -> float:
        """The test error, a fraction."""
        return int(self.wrong.sum()) / len(self)

    def to_bytes(self) -> bytes:
        """Return an `.npz` file, compressed: about 3 bytes per image for ten classes. It contains no pickle."""
        wrong = self.wrong
        file = io.BytesIO()
        np.savez_compressed(
            file,
            split=np.array(self.split),
            label=_smallest(self.label),
            predicted=_smallest(self.predicted),
            loss=np.nan_to_num(self.loss, nan=LARGEST_LOSS).clip(0, LARGEST_LOSS).astype(np.float16),
            confidence=np.nan_to_num(self.confidence[wrong]).astype(np.float16),
        )
        return file.getvalue()

    @classmethod
    def from_bytes(cls, content: bytes) -> Predictions:
        """Return the predictions from the bytes of `to_bytes`, with losses and confidences as float16.

        Raises:
            ValueError: other bytes, or numbers that cannot be predictions.
        """
        split, label, predicted, loss, unsure = _arrays(content).values()
        if not (label.shape == predicted.shape == loss.shape == (len(label),) and len(label)):
            raise ValueError(f"arrays of shapes {label.shape}, {predicted.shape} and {loss.shape}")
        wrong = predicted != label
        if unsure.shape != (int(wrong.sum()),):
            raise ValueError(f"{len(unsure)} confidences for {int(wrong.sum())} wrong images")
        confidence = np.exp(-loss.astype(np.float32))
        confidence[wrong] = unsure
        if not (np.isfinite(loss).all() and (loss >= 0).all() and (confidence >= 0).all() and (confidence <= 1).all()):
            raise ValueError("a loss or a probability is out of range")
        return cls(str(split), label, predicted, loss, confidence.astype(np.float16))


def _smallest(classes: NDArray[np.integer[Any]]) -> NDArray[Any]:
    """Return class numbers in the smallest type of whole numbers that has all of them."""
    return classes.astype(np.min_scalar_type(int(classes.max())))


def _arrays(content: bytes) -> dict[str, NDArray[Any]]:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            sizes = [member.file_size for member in archive.infolist()]
        if max(sizes, default=0) > 4 * MAX_IMAGES:
            raise ValueError(f"an array of {max(sizes):,} bytes")
        with np.load(io.BytesIO(content), allow_pickle=False) as file:
            found = {name: file[name] for name in ARRAYS}
    except UNREADABLE as error:
        raise ValueError(str(error) or type(error).__name__) from None
    kinds = "".join(array.dtype.kind for array in found.values())
    if kinds != "Uuuff":
        raise ValueError(f"arrays of the types {', '.join(str(array.dtype) for array in found.values())}")
    return found
