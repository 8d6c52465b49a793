"""The optimisers of recipes, and their state when several networks train as one.

Of `torch.optim` where it has them, or else of `timm.optim`, which is imported when a recipe asks for it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from resnet_space.fused import copy_all, divided, join
from search.trials.recipe import Recipe

Origins = Sequence[tuple[nn.Parameter, Sequence[tuple[torch.optim.Optimizer, nn.Parameter]]]]
"""Each parameter of a fused network, with the parameters that it is made of and their optimisers."""

SHARED = ("step", "mu_product")
"""Numbers in an optimiser's state that depend on the number of steps alone: fused networks share them."""

OF_THE_DEVICE = ("fused", "foreach", "capturable")
"""Settings of an optimiser that select its implementation, and not its formula."""


def make_optimizer(model: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """Return the recipe's optimiser of a network; every step sets its learning rate again."""
    kind = recipe.optimizer
    settings = {
        "lr": recipe.lr,
        "weight_decay": recipe.weight_decay,
        **{name: getattr(recipe, name) for name in kind.takes},
        **kind.model_dump(exclude={"kind"}),
    }
    parameters = decay_groups(model, recipe)
    if not kind.torch_class:
        from timm.optim import create_optimizer_v2  # type: ignore[attr-defined]  # not in its `__all__`

        return create_optimizer_v2(parameters, opt=kind.kind, **settings)
    cls = getattr(torch.optim, kind.torch_class)
    if kind.fused:
        settings["fused"] = True
        if kind.moments > 1 and next(model.parameters()).is_cuda:
            # Required for a CUDA graph. SGD has no such setting, since it counts no steps.
            settings["capturable"] = True
    made: torch.optim.Optimizer = cls(parameters, **settings)
    return made


def decay_groups(model: nn.Module, recipe: Recipe) -> Any:
    """Return a network's parameters, or two groups of them; the second, without decay, has at most one dimension."""
    parameters = list(model.parameters())
    if recipe.decay_norms_and_biases:
        return parameters
    return [
        {"params": [each for each in parameters if each.dim() > 1]},
        {"params": [each for each in parameters if each.dim() <= 1], "weight_decay": 0.0},
    ]


def join_state(whole: torch.optim.Optimizer, origins: Origins) -> None:
    """Set the state of a fused network's optimiser to that of its original networks, which are all at the same step."""
    for parameter, own in origins:
        states: list[Mapping[str, Any]] = [optimizer.state[original] for optimizer, original in own]
        for name, first in states[0].items():
            if first is not None and all(state.get(name) is not None for state in states):
                values = [state[name] for state in states]
                whole.state[parameter][name] = first.clone() if name in SHARED else join(values)


def divide_state(whole: torch.optim.Optimizer, origins: Origins) -> None:
    """Copy the state of a fused network's optimiser to the optimisers of its original networks."""
    pairs: list[tuple[Tensor, Tensor]] = []
    for parameter, own in origins:
        for name, value in whole.state[parameter].items():
            if value is None:
                continue
            originals = [original for _, original in own]
            parts = [value] * len(own) if name in SHARED else divided(value, originals)
            for (optimizer, original), part in zip(own, parts, strict=True):
                state = optimizer.state[original]
                if state.get(name) is None:
                    state[name] = torch.empty_like(part if name in SHARED else original, dtype=part.dtype)
                pairs.append((state[name], part))
    copy_all(pairs)


def copy_settings(of: torch.optim.Optimizer, to: torch.optim.Optimizer) -> None:
    """Copy what an optimiser keeps for all parameters: the learning rate, and with some kinds a count of steps."""
    for own, common in zip(to.param_groups, of.param_groups, strict=True):
        for name, value in common.items():
            if name != "params":
                # A count can be a tensor that the next step changes.
                own[name] = value.clone() if isinstance(value, Tensor) else value
