"""Whether the effect of an architecture depends on the recipe: interactions between factors of the two kinds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ablations.factor_effects import Effect
from ablations.factors import Factor
from search.trials.setup import trains


def recipe_factors(factors: Mapping[str, Factor]) -> list[str]:
    """Return the names of the factors that change only the recipe or the data."""
    return [name for name, factor in factors.items() if all(map(trains, factor.paths))]


def dependent(factors: Mapping[str, Factor], effects: Sequence[Effect], alpha: float) -> list[str]:
    """Return a sentence for each interaction of network and recipe that is resolved: its adjusted p is at most alpha.

    Then the effect of the network's factor depends on the recipe.
    """
    return [_depends(each, factors) for each in _of_both(factors, effects) if _resolved(each, alpha)]


def not_shown(factors: Mapping[str, Factor], effects: Sequence[Effect], alpha: float) -> list[str]:
    """Return a sentence on the interactions of network and recipe that are not resolved; none without any."""
    both = _of_both(factors, effects)
    rest = [each for each in both if not _resolved(each, alpha)]
    if not rest:
        return []
    other = "other " if len(rest) < len(both) else ""
    number = f"{len(rest)} {other}interaction{'s' * (len(rest) != 1)}"
    return [
        f"{number} of network and recipe {'is' if len(rest) == 1 else 'are'} not resolved: that the effect of the "
        "network depends on the recipe is not shown there, and not excluded."
    ]


def _of_both(factors: Mapping[str, Factor], effects: Sequence[Effect]) -> list[Effect]:
    """The tested interactions of factors of the network with factors of the recipe."""
    of_recipe = set(recipe_factors(factors))
    return [
        each
        for each in effects
        if 0 < len(of_recipe & set(each.factors)) < len(each.factors) and each.p_adjusted is not None
    ]


def _resolved(effect: Effect, alpha: float) -> bool:
    return effect.p_adjusted is not None and effect.p_adjusted <= alpha


def _depends(effect: Effect, factors: Mapping[str, Factor]) -> str:
    of_recipe = set(recipe_factors(factors))
    network = " and ".join(name for name in effect.factors if name not in of_recipe)
    recipe = " and ".join(name for name in effect.factors if name in of_recipe)
    # With aliases, another effect can be the cause.
    aliases = f"; or {', '.join(effect.aliases)}" if effect.aliases else ""
    p = effect.p_adjusted or 0.0
    said = f"p = {p:.2g}" if p >= 0.001 else "p < 0.001"
    return f"The effect of {network} depends on {recipe} ({said}{aliases})."
