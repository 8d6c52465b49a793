"""Find a network of a run by its key, the first digits of its key, or the name of its arm."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from resnet_space import Architecture
from resnet_space.errors import InputError, unknown
from search.data.description import DataSet
from search.data.inputs import Inputs
from search.files.bucket import Place
from search.files.folder import RunFolder
from search.fronts.networks import at_best_recipe
from search.store import membership
from search.store.store import Store
from search.store.stored import StoredRun
from search.training.export import weights_of
from search.trials.recipe import Recipe
from search.trials.setup import Setup
from search.trials.study import Study
from search.trials.trial import TrialSpec

if TYPE_CHECKING:
    import pandas as pd

Row = Mapping[Any, Any]
"""A trial, by the names of the store's columns."""

ERRORS = ("validation_error", "test_error", "top5_error")

NOT_MEASURED = (
    "the test error of the ensemble was not measured: this machine has no copy of the data; export where the trials ran"
)
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
    """A network, and the weights and facts of the chosen trial. Without a complete trial there are no weights.

    For an ensemble there are the weights of each member. `inputs` is None if an earlier version did not store what its
    images were. `notes` are lines for the user.
    """

    net: Architecture
    weights: Sequence[Place]
    facts: Mapping[str, str | int | float]
    inputs: Inputs | None
    notes: Sequence[str]


def choose(stored: StoredRun, name: str, *, seed: int | None = None, ensemble: bool = False) -> Choice:
    """Return a network of a run, with the weights of one of its trials, or of all for an ensemble.

    Args:
        seed: that of the trial; default: the seed whose validation error is the median over the network's complete
            trials, the lower one of two. The best seed of several would be chosen by luck.

    Weights are read from a bucket only if the caller named the bucket: a folder that somebody sent must not make this
    machine call an address.

    Raises:
        InputError: no network or more than one has that name, no complete trial has the seed, an ensemble of one trial
            or of trials on different divisions of the data, or the manifest's data do not fit the network.
    """
    folder, study, store = stored
    frame = _own_trials(stored)
    left_out = membership.foreign_note(store.count_foreign(membership.all_identities(study, folder, store)))
    if frame.empty and left_out:
        raise InputError(f"{folder.path}: no trials yet; {left_out}")
    arms = stored.arms(sorted(set(frame["architecture"])))
    rows = _rows(name, arms, frame, study)
    setup = Setup.of(TrialSpec.of(store.records([rows["key"].iloc[0]])[0].spec))
    # The data can have moved since.
    setup = replace(setup, data=setup.data.found_at(study.dataset.root))
    net, data = setup.net, setup.data
    trials = rows[rows["status"] == "complete"].sort_values(["validation_error", "seed"]).to_dict("records")
    inputs, note = _inputs(folder, study, data, net), UNKNOWN_INPUTS
    named = [arm for arm, of in arms.items() if of.key == setup.key]
    facts: dict[str, str | int | float] = {
        "study": study.name,
        **({"arm": named[0]} if named else {}),
        "data": data.name,
        "fingerprint": setup.fingerprint,
        **_costs(trials),
        **{f"{package} version": version for package, version in _versions(folder)},
    }
    notes = [left_out]
    if ensemble:
        weights = _members(name, data, folder, trials)
        found = [each for each in trials if any(each["key"] == member.parent.name for member in weights)]
        facts |= _facts_of_ensemble(setup, weights, found)
        if "test_error" not in facts:
            notes.append(NOT_MEASURED)
    else:
        by_preference = _by_preference(name, trials, seed)
        chosen = weights_of(folder.checkpoints, [each["key"] for each in by_preference])
        weights = [chosen] if chosen else []
        found = [each for each in trials if chosen and each["key"] == chosen.parent.name]
        for trial in found:
            facts |= _facts_of_trial(trial) | {"recipe": _recipe(store, str(trial["key"]))}
            if differs := _measured_otherwise(setup.recipe, str(trial["device"])):
                facts["errors_by"] = differs
            if len(trials) > 1 and seed is None:
                notes.append(_why(int(trial["seed"]), trials))
            if inputs and data.split == "seed":
                inputs = _inputs_of_seed(inputs, data, int(trial["seed"]))
                note = OTHER_DIVISION.format(seed=trial["seed"])
    return Choice(net, weights, facts, inputs, [each for each in (*notes, "" if inputs else note) if each])


def _by_preference(name: str, trials: Sequence[Row], seed: int | None) -> list[Row]:
    """Return the trial with the seed; or all, the one of median validation error first, then those nearest to it.

    Raises:
        InputError: no complete trial has the seed.
    """
    if seed is None:
        middle = (len(trials) - 1) // 2
        order = sorted(range(len(trials)), key=lambda rank: abs(rank - middle))
        return [trials[rank] for rank in order]
    found = [each for each in trials if each["seed"] == seed]
    if not found:
        raise InputError(
            f"--seed {seed}: --arm {name} has no complete trial with it; complete: {_seeds(trials) or 'none'}"
        )
    return found


def _why(seed: int, trials: Sequence[Row]) -> str:
    median = int(trials[(len(trials) - 1) // 2]["seed"])
    of = f"the validation errors of seeds {_seeds(trials)}"
    if seed == median:
        return f"seed {seed}, the median of {of}; another one by --seed, all together by --ensemble"
    return f"seed {seed}, the nearest one with weights to the median of {of}, which is seed {median}"


def _seeds(trials: Sequence[Row]) -> str:
    return ", ".join(str(seed) for seed in sorted(int(each["seed"]) for each in trials))


def _members(name: str, data: DataSet, folder: RunFolder, trials: Sequence[Row]) -> list[Place]:
    """Return the weights of all complete trials, in the order of their seeds.

    Raises:
        InputError: an ensemble cannot be made of them.
    """
    if data.split == "seed":
        raise InputError(
            "--ensemble: each seed has its own division of the data, so test images of one member are training images "
            "of another; use --seed"
        )
    in_order = sorted(trials, key=lambda each: int(each["seed"]))
    found = [weights for each in in_order if (weights := weights_of(folder.checkpoints, [str(each["key"])]))]
    if len(found) == 1:
        raise InputError(f"--ensemble: --arm {name} has one trained network; an ensemble needs two seeds or more")
    return found


def _facts_of_trial(trial: Row) -> dict[str, str | int | float]:
    # A version that did not measure one has stored nothing, which pandas reads as NaN.
    known = {name: float(trial[name]) for name in ERRORS if trial[name] is not None and trial[name] == trial[name]}
    where = {"device": str(trial["device"])} if trial["device"] else {}
    return {"trial": str(trial["key"]), "seed": int(trial["seed"]), **known, **where}


def _facts_of_ensemble(setup: Setup, weights: Sequence[Place], trials: Sequence[Row]) -> dict[str, str | int | float]:
    """Return the ensemble's test error, if the data are at hand, and the members' seeds and errors."""
    from search.data import load_if_ready
    from search.training.ensembles import ensemble_error

    trials = sorted(trials, key=lambda each: int(each["seed"]))
    own = {f"members_{name}s": json.dumps([float(each[name]) for each in trials]) for name in ERRORS[:2]}
    facts: dict[str, str | int | float] = {"members": len(weights), "seeds": _seeds(trials), **own}
    images = load_if_ready(setup.data)
    if weights and images and images.fingerprint == setup.fingerprint:
        facts["test_error"] = ensemble_error(setup.net, weights, images)
    return facts


def _measured_otherwise(recipe: Recipe, device: str) -> str:
    """Return what the stored errors were measured with that the exported network does not do; empty for nothing."""
    flipped = "the mean of the logits of each image and of its mirror image" if recipe.augmentation.test_flip else ""
    rounded = "computed in bfloat16" if recipe.autocast == "bf16" and device.startswith("cuda") else ""
    return ", ".join(filter(None, (flipped, rounded)))


def _costs(trials: Sequence[Row]) -> dict[str, int]:
    return {name: int(trials[0][name]) for name in ("depth", "params", "macs")} if trials else {}


def _recipe(store: Store, key: str) -> str:
    (record,) = store.records([key])
    return json.dumps(record.spec.get("recipe"), allow_nan=False)


def _versions(folder: RunFolder) -> list[tuple[str, str]]:
    """Return the versions with which the last session trained."""
    sessions = folder.read_manifest()["sessions"]
    found = sessions[-1].get("versions", {}) if sessions else {}
    return [(name, str(found[name])) for name in ("resnet-space", "torch") if name in found]


def _inputs(folder: RunFolder, study: Study, data: DataSet, net: Architecture) -> Inputs | None:
    of_study = data.identifying == study.dataset.identifying
    facts = folder.data if of_study else folder.facts_of(data.identifying)
    try:
        return Inputs.of(facts, data, net) if facts else None
    except InputError as error:
        raise InputError(f"{folder.manifest}: {error}") from None


def _inputs_of_seed(inputs: Inputs, data: DataSet, seed: int) -> Inputs | None:
    """Return the inputs with the mean and deviation of a seed's own training images; None if they are not at hand.

    The manifest has those of the first seed.
    """
    from search.data import load_if_ready

    images = load_if_ready(data, seed=seed)
    return replace(inputs, mean=images.mean, std=images.std) if images else None


def _own_trials(stored: StoredRun) -> pd.DataFrame:
    """Return `Store.frame` of the run's own trials, each with its `Identity.training`."""
    folder, study, store = stored
    frame, own = store.frame(), membership.identities(study, folder, store)
    columns = [frame[name].tolist() for name in ("key", "architecture", "seed", "training")]
    found = [
        own.of(key, architecture, int(seed), training if isinstance(training, str) else None)
        for key, architecture, seed, training in zip(*columns, strict=True)
    ]
    frame = frame.assign(training=[identity.training if identity else "" for identity in found])
    return frame.loc[frame["training"] != ""]


def _rows(name: str, arms: Mapping[str, Setup], frame: pd.DataFrame, study: Study) -> pd.DataFrame:
    """Return the trials of an arm, or of a network by its key: if it has several recipes, those of its best one."""
    if name in arms:
        setup = arms[name]
        return frame.loc[(frame["architecture"] == setup.net.key) & (frame["training"] == setup.identity.training)]
    key = _key(name, arms, sorted(set(frame["architecture"])))
    rows = frame[frame["architecture"] == key]
    known = rows[(rows["status"] == "complete") & rows["validation_error"].notna()]
    best = at_best_recipe(known, study.confirmation_seeds) if len(known) else rows
    training = str(best["training"].iloc[0])
    return rows.loc[rows["training"] == training]


def _key(name: str, arms: Iterable[str], keys: list[str]) -> str:
    found = [key for key in keys if key.startswith(name)] if name else []
    if len(found) > 1:
        raise InputError(
            f"--arm {name}: {len(found)} networks have a key that starts so: {', '.join(found[:5])}; give more digits"
        )
    if not found:
        raise unknown("network", name, [*arms, *keys], path="--arm")
    return found[0]
