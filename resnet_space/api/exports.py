"""Export a trained network of a run to a file or folder that works alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, TypedDict, Unpack

from resnet_space.api.folders import open_folder
from resnet_space.api.kinds import kind_of
from resnet_space.errors import InputError


class Options(TypedDict, total=False):
    """How a network is exported."""

    seed: int | None
    """The seed of the trial; default: that of the median validation error."""
    ensemble: bool
    """Write the networks of all seeds as one, whose output is the mean of their probabilities."""
    preprocessing: bool | None
    """Whether the network takes raw pixels and normalises them itself; default: only in ONNX."""
    library: str | None
    """timm or torchvision, to give the weights in a .safetensors that library's names."""
    dataset: str | None
    """The label of the data set that the network was trained on, for a run on several."""
    storage: str | None
    """The URL of the database, if it is not the folder's own."""
    checkpoints: str | None
    """The URL of the bucket, if the checkpoints are not in the folder."""


class Exported(NamedTuple):
    paths: list[Path]
    notes: Sequence[str]
    """Remarks about the files for the user."""


def export(path: Path, network: str, to: Path | str, **options: Unpack[Options]) -> Exported:
    """Write a trained network of a run; the suffix of the file selects the format.

    Args:
        network: the network's key, the first characters of the key, or an arm's name.
        to: FILE.py, FILE.safetensors, FILE.onnx, FILE.pt2, or a folder in the layout of Hugging Face: a path without a
            suffix, or one that ends in a slash.

    Raises:
        InputError: as `StoredRun.on`; or not a run's folder, no network or several networks have this name, no complete
            trial, options that exclude each other, or the file cannot be written.
    """
    from search.running.choice import choose
    from search.training.export import export as write

    seed, ensemble = options.get("seed"), options.get("ensemble", False)
    if ensemble and seed is not None:
        raise InputError(f"--seed {seed}: an ensemble has all seeds; use --seed or --ensemble")
    with open_folder(path, options.get("storage"), options.get("checkpoints")) as stored:
        choice = choose(stored.on(options.get("dataset")), network, seed=seed, ensemble=ensemble)

    def card(name: str, facts: Mapping[str, str]) -> str:
        from reports.model_card import card as model_card

        with open_folder(path, options.get("storage"), options.get("checkpoints")) as (folder, study, store):
            kind = kind_of(study)
            return model_card(name, facts, kind.document.load()(kind.run.load()(study, folder, store)))

    paths = write(
        choice.net,
        to,
        weights=choice.weights,
        facts=choice.facts,
        inputs=choice.inputs,
        preprocessing=options.get("preprocessing"),
        library=options.get("library"),
        card=card,
    )
    return Exported(paths, choice.notes)
