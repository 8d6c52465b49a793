"""Find a network of a run by its key, the first digits of its key, or the name of its arm."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from resnet_space import Architecture
from resnet_space.errors import InputError, unknown
from search.data.inputs import Inputs
from search.files.bucket import Place
from search.files.folder import RunFolder
from search.store import membership
from search.store.stored import StoredRun
from search.training.export import weights_of
from search.trials.study import Study

OTHER_DIVISION = (
    "the mean and standard deviation that normalise the images are those of seed {seed}'s division of the data, and "
    "this machine has no copy of it; export where that trial ran"
)
UNKNOWN_INPUTS = (
    "the mean and standard deviation that normalise the images, and the names of the classes, are not known: an "
    "earlier version ran all sessions and did not store them; the same `resnet-space run` command stores them now"
)


@dataclass(frozen=True)
class Choice:
    """A network, and the weights and facts of its best trial. Without a complete trial there are no weights.

    `inputs` is None if an earlier version did not store what its images were. `notes` are lines for the user.
    """

    net: Architecture
    weights: Place | None
    facts: Mapping[str, str | int | float]
    inputs: Inputs | None
    notes: Sequence[str]


def choose(stored: StoredRun, name: str) -> Choice:
    """Return a network of a run. Its best trial is the one with the lowest validation error.

    Weights are read from a bucket only if the caller named the bucket: a folder that somebody sent must not make this
    machine call an address.

    Raises:
        InputError: no network or more than one has that name, or the manifest's data do not fit the network.
    """
    folder, study, store = stored
    frame, own = store.frame(), membership.identity(study.recipe, folder, store)
    rows = zip(frame["key"], frame["architecture"], frame["seed"], strict=True)
    on_this_data = [key == own.key(architecture, int(seed)) for key, architecture, seed in rows]
    others = store.count_foreign(membership.identities(study.recipe, folder, store))
    left_out, frame = membership.foreign_note(others), frame[on_this_data]
    if frame.empty and left_out:
        raise InputError(f"{folder.path}: no trials yet; {left_out}")
    keys = sorted(set(frame["architecture"]))
    key = _key(name, stored.arms(keys), keys)
    net = Architecture.of(store.architectures([key])[key])
    trials = frame[(frame["architecture"] == key) & (frame["status"] == "complete")].sort_values("validation_error")
    inputs, note = _inputs(folder, study, net), UNKNOWN_INPUTS
    facts: dict[str, str | int | float] = {"study": study.name, "data": study.dataset.name}
    weights = weights_of(folder.checkpoints, list(trials["key"]))
    if weights:
        (best,) = trials[trials["key"] == weights.parent.name].to_dict("records")
        facts |= {"trial": weights.parent.name, "seed": int(best["seed"])}
        facts |= {name: float(best[name]) for name in ("validation_error", "test_error")}
        if study.recipe.augmentation.test_flip:
            facts["errors_by"] = "the mean of the logits of each image and of its mirror image"
        if inputs and study.dataset.split == "seed":
            inputs, note = _inputs_of_seed(inputs, study, int(best["seed"])), OTHER_DIVISION.format(seed=best["seed"])
    return Choice(net, weights, facts, inputs, [each for each in (left_out, "" if inputs else note) if each])


def _inputs(folder: RunFolder, study: Study, net: Architecture) -> Inputs | None:
    data = folder.data
    try:
        return Inputs.of(data, study.dataset, net) if data else None
    except InputError as error:
        raise InputError(f"{folder.manifest}: {error}") from None


def _inputs_of_seed(inputs: Inputs, study: Study, seed: int) -> Inputs | None:
    """Return the inputs with the mean and deviation of a seed's own training images; None if they are not at hand.

    The manifest has those of the first seed.
    """
    from search.data import load_if_ready

    images = load_if_ready(study.dataset, seed=seed)
    return replace(inputs, mean=images.mean, std=images.std) if images else None


def _key(name: str, arms: Mapping[str, str], keys: list[str]) -> str:
    if name in arms:
        return arms[name]
    found = [key for key in keys if key.startswith(name)] if name else []
    if len(found) > 1:
        raise InputError(
            f"--arm {name}: {len(found)} networks have a key that starts so: {', '.join(found[:5])}; give more digits"
        )
    if not found:
        raise unknown("network", name, [*arms, *keys], path="--arm")
    return found[0]
