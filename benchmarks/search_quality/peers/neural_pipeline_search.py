"""NePS's searches of several objectives, by its ask-and-tell interface.

PriMO has no priors here. ifBO, which has one objective, is not among them.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import partial
from typing import Any

from search_quality.method import Request

EPOCHS = "epochs"


class Neps:
    """An optimiser of NePS. It promotes a trial by requesting the same assignment with more epochs."""

    every_epoch = False

    def __init__(
        self, make: Callable[[Any], Any], fidelity: bool, axes: dict[str, list[str]], epochs: int, seed: int
    ) -> None:
        import neps
        import numpy as np
        import torch
        from neps.space import SearchSpace

        torch.set_num_threads(1)
        # It draws from the global generators.
        random.seed(seed)
        np.random.seed(seed)
        torch.manual_seed(seed)
        space: dict[str, Any] = {path: neps.HPOCategorical(values) for path, values in axes.items()}
        if fidelity:
            space[EPOCHS] = neps.HPOInteger(1, epochs, is_fidelity=True)
        self._optimiser = neps.AskAndTell(make(SearchSpace(space)))
        self._epochs = epochs

    def ask(self) -> Request:
        trial = self._optimiser.ask()
        assignment = {path: value for path, value in trial.config.items() if path != EPOCHS}
        return Request(trial.id, assignment, int(trial.config.get(EPOCHS, self._epochs)))

    def tell(self, request: Request, epoch: int, values: tuple[float, float]) -> bool:
        self._optimiser.tell(request.trial, {"objective_to_minimize": list(values)})
        return True


def algorithm(name: str, space: Any, **settings: Any) -> Any:
    """Return one of the predefined optimisers."""
    from neps import algorithms

    return getattr(algorithms, name)(space, **settings)


PEERS = {
    "neps bo": partial(Neps, partial(algorithm, "bayesian_optimization"), False),
    "neps mo-asha": partial(Neps, partial(algorithm, "moasha"), True),
    "neps mo-hyperband": partial(Neps, partial(algorithm, "mo_hyperband"), True),
    "neps primo": partial(Neps, partial(algorithm, "primo", prior_centers={}), True),
}
