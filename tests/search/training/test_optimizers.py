"""Each optimiser takes the steps of timm's, or of torch's, and one network's state survives in a fused one."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
import torch
from steps_by_hand import Batch, random_batches, textbook
from torch import nn

from resnet_space.errors import InputError
from search.training.members import Group, Member, beginning
from search.training.optimizers import decay_groups
from search.training.step import make_stepper, why_not_recorded
from search.trials.optimizers import OPTIMIZERS
from search.trials.recipe import Recipe
from search.trials.trial import TrialSpec

Trial = Callable[..., TrialSpec]

RATE = 0.003
DECAYS = [True, False]


@pytest.fixture(autouse=True)
def double() -> Iterator[None]:
    """In float32, rounding can move the input of a ReLU across its kink, and the steps that follow differ."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(before)


def ours(spec: TrialSpec, batches: Sequence[Batch]) -> nn.Module:
    group = Group([Member.of(spec, None, "cpu")])
    group.model.train()
    take = make_stepper(group, "cpu")
    for x, y in batches:
        take([x], [y], RATE)
    return group.model


def timms(spec: TrialSpec, batches: Sequence[Batch]) -> nn.Module:
    """A textbook loop with the optimiser that timm makes of the same arguments."""
    from timm.optim import create_optimizer_v2

    model, recipe = beginning(spec, "cpu")[0], spec.recipe
    settings = {"nesterov": recipe.nesterov} if "nesterov" in recipe.optimizer.takes else {}
    settings |= recipe.optimizer.model_dump(exclude={"kind"})
    parameters = model if not recipe.decay_norms_and_biases else model.parameters()
    optimizer = create_optimizer_v2(
        parameters,
        opt=recipe.optimizer.kind,
        lr=RATE,
        weight_decay=recipe.weight_decay,
        momentum=recipe.momentum,
        **settings,
    )
    textbook(model, optimizer, batches)
    return model


@pytest.mark.parametrize("steps", [1, 10])
@pytest.mark.parametrize("decay", DECAYS, ids=["decay everywhere", "no decay of norms and biases"])
@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_the_weights_after_some_steps_are_those_of_timms_optimiser(
    kind: str, decay: bool, steps: int, trial: Trial
) -> None:
    spec = trial(optimizer=kind, weight_decay=0.05, decay_norms_and_biases=decay)
    batches = random_batches(steps)
    found, wanted = ours(spec, batches), timms(spec, batches)
    for (name, mine), theirs in zip(found.named_parameters(), wanted.parameters(), strict=True):
        torch.testing.assert_close(mine, theirs, atol=1e-6, rtol=0, msg=lambda text, name=name: f"{name}: {text}")


@pytest.mark.parametrize(
    "fields",
    [
        {"optimizer": {"kind": "adamw", "betas": [0.8, 0.95], "eps": 1e-3}},
        {"optimizer": {"kind": "rmsprop", "alpha": 0.5}, "momentum": 0.5},
        {"optimizer": {"kind": "muon", "ns_steps": 3}, "nesterov": True, "momentum": 0.95},
        {"optimizer": {"kind": "lamb", "max_grad_norm": None}},
        {"nesterov": True, "momentum": 0.7},
    ],
    ids=str,
)
def test_the_fields_of_an_optimiser_are_those_of_timms(fields: dict[str, Any], trial: Trial) -> None:
    batches = random_batches(3)
    found, wanted = ours(trial(**fields), batches), timms(trial(**fields), batches)
    plain = ours(trial(optimizer=fields["optimizer"]["kind"]) if "optimizer" in fields else trial(), batches)
    weights = [[*model.parameters()] for model in (found, wanted, plain)]
    for mine, theirs in zip(*weights[:2], strict=True):
        torch.testing.assert_close(mine, theirs, atol=1e-6, rtol=0)
    assert any((mine - other).abs().max() > 1e-5 for mine, other in zip(weights[0], weights[2], strict=True))


def test_norms_biases_and_scalars_have_a_group_without_decay(trial: Trial) -> None:
    net = trial().architecture.replace(shortcut="rezero")
    for recipe in (Recipe(epochs=1), Recipe(epochs=1, decay_norms_and_biases=False)):
        model, optimizer = beginning(trial(net=net, **recipe.model_dump(exclude_none=True)), "cpu")
        rates = {
            id(parameter): group["weight_decay"] for group in optimizer.param_groups for parameter in group["params"]
        }
        dims = {name: (parameter.dim(), rates[id(parameter)]) for name, parameter in model.named_parameters()}
        for name, (dim, decay) in dims.items():
            assert decay == (1e-4 if dim > 1 or recipe.decay_norms_and_biases else 0), name
        assert {dim for dim, _ in dims.values()} == {0, 1, 2, 4}


def test_the_default_is_one_group_in_the_order_of_the_network(trial: Trial) -> None:
    model, optimizer = beginning(trial(), "cpu")
    assert [*decay_groups(model, Recipe(epochs=1))] == [*model.parameters()]
    [group] = optimizer.param_groups
    assert (type(optimizer), group["fused"]) == (torch.optim.SGD, True)


def test_the_state_of_an_optimiser_has_as_many_large_tensors_as_its_kind_says(trial: Trial) -> None:
    for kind, cls in OPTIMIZERS.items():
        model, optimizer = beginning(trial(optimizer=kind), "cpu")
        textbook(model, optimizer, random_batches(1))
        numbers = [
            sum(
                value.shape == parameter.shape
                for value in optimizer.state[parameter].values()
                if torch.is_tensor(value)
            )
            for parameter in model.parameters()
            if parameter.dim() > 1
        ]
        assert max(numbers) == cls().moments, kind


def test_only_torchs_fused_optimisers_are_recorded_as_a_cuda_graph(trial: Trial) -> None:
    found = {
        kind: why_not_recorded(Group([Member.of(trial(optimizer=kind), None, "cpu")]), "cuda") for kind in OPTIMIZERS
    }
    assert {kind for kind, why in found.items() if not why} == {"sgd", "adam", "adamw"}
    assert found["lamb"] == "the optimiser lamb can read numbers on the CPU"


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"optimizer": "adamv"}, "unknown optimizer 'adamv'; did you mean 'adam'"),
        ({"optimizer": {"kind": "adamw", "beta": 0.9}}, "unknown field 'beta'; did you mean 'betas'"),
        ({"optimizer": {"kind": "adamw", "alpha": 0.9}}, "adamw has no 'alpha'; it belongs to: rmsprop, rmsproptf"),
        ({"optimizer": {"kind": "sgd", "momentum": 0.9}}, "'momentum' is a field of the recipe: recipe.momentum"),
        ({"optimizer": {"kind": "adamw", "betas": [0.9]}}, "betas"),
        ({"optimizer": {"kind": "adamw", "betas": [0.9, 1.0]}}, "betas.1: must be less than 1"),
        ({"optimizer": "adamw", "momentum": 0.5}, "momentum: adamw has none; it belongs to: sgd, rmsprop"),
        (
            {"optimizer": "rmsprop", "nesterov": True},
            "nesterov: rmsprop has none; it belongs to: sgd, sgdw, lars, muon",
        ),
        ({"optimizer": {"betas": [0.9, 0.99]}}, "needs a 'kind'"),
    ],
)
def test_a_wrong_argument_is_named(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Recipe.of({"epochs": 1, **fields})


def test_a_copy_of_the_optimisers_state_is_not_shared(trial: Trial) -> None:
    specs = [trial(seed=seed, optimizer="adamw") for seed in (0, 1)]
    group = Group([Member.of(spec, None, "cpu") for spec in specs])
    group.model.train()
    take = make_stepper(group, "cpu")
    [(x, y)] = random_batches(1)
    take([x, x], [y, y], RATE)
    group.ahead = True
    group.hand_back()
    before = copy.deepcopy(group.members[0].optimizer.state_dict())
    take([x, x], [y, y], RATE)
    after = group.members[0].optimizer.state_dict()
    for place, state in before["state"].items():
        assert all(torch.equal(value, after["state"][place][name]) for name, value in state.items())
