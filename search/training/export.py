"""Export a trained network, or the ensemble of an arm's seeds, in the format that the file's suffix names."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from resnet_space import Architecture
from resnet_space.errors import InputError, unknown
from search.data.inputs import Inputs
from search.files.bucket import Place
from search.training.checkpoint import WEIGHTS
from search.training.formats.as_folder import as_folder
from search.training.formats.as_onnx import as_onnx
from search.training.formats.as_pt2 import as_pt2
from search.training.formats.as_python import as_python
from search.training.formats.as_safetensors import as_safetensors
from search.training.formats.taken import Card, Taken
from search.training.formats.weights import load_trained

Format = Callable[[Taken, Path], list[Path]]

FORMATS: dict[str, Format] = {".py": as_python, ".safetensors": as_safetensors, ".onnx": as_onnx, ".pt2": as_pt2}
"""The formats of one file, by its suffix. A path without a suffix, or one that ends in a slash, is a folder."""

TAKES_RAW_PIXELS = {".onnx"}
"""The formats whose networks normalise their images by default: the programs that run them do nothing else."""

NEVER_RAW = {".safetensors"}
"""The formats that have no place for it."""


def export(
    net: Architecture,
    to: Path | str,
    *,
    weights: Place | Sequence[Place] | None,
    facts: Mapping[str, str | int | float] | None = None,
    inputs: Inputs | None = None,
    preprocessing: bool | None = None,
    library: str | None = None,
    card: Card | None = None,
) -> list[Path]:
    """Write the network to `to`, in the format of its suffix, and return the paths of all files that were written.

    Each file is written completely or not at all, `to` last. `to` is overwritten if it exists. A companion file is not:
    one with the same content stays, and one with another content is an error. A folder must be new or empty.

    Args:
        weights: a trial's `weights.safetensors`; several are an ensemble, whose output is the mean of probabilities.
        facts: errors, MACs, source. They are metadata of the file, with the network's key and architecture.
        inputs: what the images must be; also metadata.
        preprocessing: whether the network takes raw pixels, as the data have them, and normalises them itself; default:
            by `TAKES_RAW_PIXELS`, if `inputs` are known.
        library: timm or torchvision, for a .safetensors: the names of the weights are those of that library.
        card: returns the text of a folder's README.md.

    Raises:
        InputError: the format or folder does not exist, a file cannot be written, there are no weights, they are
            another network's, preprocessing is asked for and not known, or as the format's function.
    """
    to, form, suffix = _format(to)
    if not to.parent.is_dir():
        raise InputError(f"{to.parent}: no such folder; create it, or choose another")
    if weights is None or not (members := weights if isinstance(weights, Sequence) else [weights]):
        raise InputError(
            f"{to}: there are no weights of network {net.key} here: no trial of it is complete (the same `resnet-space "
            "run` command resumes the run), or they are in a bucket: pass it as --checkpoints"
        )
    if preprocessing and suffix in NEVER_RAW:
        raise InputError(f"{to}: --with-preprocessing: {suffix} has weights only; export to .py, .onnx or .pt2")
    if preprocessing and not inputs:
        raise InputError(
            f"{to}: --with-preprocessing: the mean and standard deviation of the images are not known; use "
            "--without-preprocessing"
        )
    if library and suffix != ".safetensors":
        raise InputError(f"{to}: --state-dict {library}: the names of weights can be chosen for .safetensors only")
    raw = bool(inputs) and (suffix in TAKES_RAW_PIXELS if preprocessing is None else preprocessing)
    about = {name: str(value) for name, value in (facts or {}).items()}
    taken = Taken(net, tuple(members), about, inputs, raw, library, card)
    try:
        return form(taken, to)
    except OSError as error:
        raise InputError(f"{to}: {error.strerror or error}") from None


def _format(to: Path | str) -> tuple[Path, Format, str]:
    """Return the path, the function of its format, and its suffix, which is empty for a folder.

    Raises:
        InputError: an unknown suffix.
    """
    path = Path(to)
    if str(to).endswith("/") or path.is_dir() or not (path.suffix or path.name.startswith(".")):
        return path, as_folder, ""
    suffix = path.suffix.lower()
    if suffix not in FORMATS:
        raise unknown("format", path.suffix or path.name, [*FORMATS, "DIR/"], path=str(path))
    return path, FORMATS[suffix], suffix


def weights_of(checkpoints: Place, keys: Sequence[str]) -> Place | None:
    """Return the weights of the first of these trials that has any, or None.

    `keys` are the trials' keys in order of preference.
    """
    paths = (checkpoints / key / WEIGHTS for key in keys)
    return next((path for path in paths if path.is_file()), None)


__all__ = ["FORMATS", "export", "load_trained", "weights_of"]
