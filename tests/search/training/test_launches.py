"""Operations for all layers at once have the same results as torch layer by layer, to the bit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Any

import pytest
import torch
from nets import FUSABLE
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from resnet_space import Architecture
from search.kernels.workarounds import describe
from search.training import step as step_module
from search.training.members import Group, Member
from search.training.step import step
from search.trials.recipe import Recipe
from search.trials.trial import TrialSpec

Trial = Callable[..., TrialSpec]

STEPS = 3
BATCH = 6
ALONE: dict[str, dict[str, Any]] = {
    "branches that batches skip": {"unit.survival": 0.5},
    "dropout": {"unit.shortcut": {"kind": "dropout", "p": 0.5}},
}


@pytest.fixture(autouse=True)
def _bf16_on_a_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let trials that ask for bf16 compute in it, as on a GPU."""

    def autocast(recipe: Recipe, _: str) -> torch.autocast:
        return torch.autocast("cpu", dtype=torch.bfloat16, enabled=recipe.autocast == "bf16")

    monkeypatch.setattr(step_module, "autocast", autocast)


def group(specs: Sequence[TrialSpec], **settings: Any) -> Group:
    made = Group([Member.of(spec, None, "cpu", **settings) for spec in specs])
    made.model.train()
    return made


def layer_by_layer(specs: Sequence[TrialSpec], **settings: Any) -> Group:
    made = group(specs, **settings)
    made.for_all.forward = lambda _: nullcontext()  # type: ignore[assignment,method-assign]
    return made


def trained(some: Group) -> list[Tensor]:
    """Return losses, and the state of network and optimiser after a few steps."""
    shape, random = some.members[0].spec.architecture.input_shape, torch.Generator().manual_seed(0)
    torch.manual_seed(0)
    found = []
    for _ in range(STEPS):
        xs = [torch.randn(BATCH, *shape, generator=random) for _ in some.members]
        ys = [torch.randint(10, (BATCH,), generator=random) for _ in some.members]
        found.append(step(some, xs, ys, "cpu")[0])
    momenta = [state["momentum_buffer"] for state in some.optimizer.state.values()]
    return [*found, *some.model.state_dict().values(), *momenta]


def same_bits(some: Group, other: Group) -> bool:
    assert some.model.state_dict().keys() == other.model.state_dict().keys()
    return all(map(torch.equal, trained(some), trained(other)))


@pytest.mark.parametrize("autocast", ["none", "bf16"])
@pytest.mark.parametrize("changes", [*FUSABLE.values(), *ALONE.values()], ids=[*FUSABLE, *ALONE])
def test_steps_have_the_same_bits_as_layer_by_layer(
    changes: dict[str, Any], autocast: str, tiny_net: Architecture, trial: Trial
) -> None:
    spec = trial(net=tiny_net.assign(changes), autocast=autocast)
    assert same_bits(group([spec]), layer_by_layer([spec]))


@pytest.mark.parametrize("autocast", ["none", "bf16"])
@pytest.mark.parametrize("changes", FUSABLE.values(), ids=FUSABLE)
def test_steps_of_fused_networks_have_the_same_bits_too(
    changes: dict[str, Any], autocast: str, tiny_net: Architecture, trial: Trial
) -> None:
    specs = [trial(net=tiny_net.assign(changes), autocast=autocast, seed=seed) for seed in range(2)]
    assert same_bits(group(specs), layer_by_layer(specs))


def test_steps_that_recompute_activations_have_the_same_bits_too(trial: Trial) -> None:
    spec = trial(autocast="bf16")
    assert same_bits(group([spec], recompute=True), layer_by_layer([spec], recompute=True))


def test_a_layer_that_computes_in_float64_uses_uncast_weights(tiny_net: Architecture, trial: Trial) -> None:
    spec = trial(net=tiny_net, autocast="bf16")
    wide = {describe(layer): "in float64" for layer in group([spec]).model.modules() if isinstance(layer, nn.Conv2d)}
    assert same_bits(group([spec], detours=wide), layer_by_layer([spec], detours=wide))


class Calls(TorchDispatchMode):
    """Counts the operations that torch's kernels are called for."""

    def __init__(self) -> None:
        super().__init__()
        self.of: Counter[Any] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.of[func.overloadpacket] += 1
        return func(*args, **(kwargs or {}))


def calls(some: Group) -> Counter[Any]:
    """The counts of one step."""
    seeds = len(some.members)
    with Calls() as found:
        step(some, [torch.randn(BATCH, 1, 8, 8)] * seeds, [torch.zeros(BATCH, dtype=torch.long)] * seeds, "cpu")
    return found.of


@pytest.mark.parametrize("seeds", [1, 2])
@pytest.mark.parametrize("units", [1, 3])
def test_counts_and_casts_take_the_same_number_of_launches_at_any_depth(
    units: int, seeds: int, tiny_net: Architecture, trial: Trial
) -> None:
    net = tiny_net.assign({"stages.*.units": units})
    specs = [trial(net=net, autocast="bf16", seed=seed) for seed in range(seeds)]
    found, before = calls(group(specs)), calls(layer_by_layer(specs))
    assert found[torch.ops.aten._foreach_add_] == 1
    assert found[torch.ops.aten._foreach_copy_] == 2, "there and back"
    assert found[torch.ops.aten.add_] == 0
    # What is left are images, and each network's logits there and back.
    assert found[torch.ops.aten._to_copy] == 1 + 2 * seeds
    assert found[torch.ops.aten.clone] == before[torch.ops.aten.clone], "gradients are handed on, and not copied"


def test_a_forward_pass_that_fails_restores_the_networks_weights_and_counts(trial: Trial) -> None:
    some = group([trial(autocast="bf16")])
    before = {name: tensor.clone() for name, tensor in some.model.state_dict().items()}
    with pytest.raises(RuntimeError), torch.autocast("cpu", dtype=torch.bfloat16):
        some.logits([torch.randn(BATCH, 5, 8, 8)])
    found = some.model.state_dict()
    assert found.keys() == before.keys()
    assert all(map(torch.equal, found.values(), before.values()))
    assert [*map(id, some.model.parameters())] == [*map(id, some.weights)]
