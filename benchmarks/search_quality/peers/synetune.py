"""Syne Tune's searches of several objectives, by its schedulers' own interface.

Its linear scalarisation of several surrogates is not among them: in version 0.16 that module imports others that the
package no longer has.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Any

from search_quality.method import Request

METRICS = ["error", "cost"]
POPULATION = 20
"""Networks in the population: with the default of 100, most of a search of 120 would be random."""


class SyneTune:
    """A scheduler of Syne Tune, run as its tuner runs it."""

    def __init__(
        self, make: Callable[..., Any], every_epoch: bool, axes: dict[str, list[str]], epochs: int, seed: int
    ) -> None:
        import numpy as np
        from syne_tune.config_space import choice

        # Some of its random draws use numpy's global generator.
        np.random.seed(seed)
        self._scheduler = make({path: choice(values) for path, values in axes.items()}, epochs, seed)
        self._epochs, self.every_epoch = epochs, every_epoch
        self._trials: dict[str, Any] = {}

    def ask(self) -> Request:
        from syne_tune.backend.trial_status import Trial

        number = len(self._trials)
        trial = Trial(trial_id=number, config=self._scheduler.suggest().config, creation_time=datetime.now())
        self._scheduler.on_trial_add(trial)
        self._trials[str(number)] = trial
        return Request(str(number), dict(trial.config), self._epochs)

    def tell(self, request: Request, epoch: int, values: tuple[float, float]) -> bool:
        trial = self._trials[request.trial]
        result = dict(zip(METRICS, values, strict=True)) | {"epoch": epoch}
        decision = self._scheduler.on_trial_result(trial, result)
        if epoch == self._epochs:
            self._scheduler.on_trial_complete(trial, result)
        return bool(decision == "CONTINUE")


def mo_asha(space: dict[str, Any], epochs: int, seed: int) -> Any:
    """MO-ASHA, with rungs at 1, 3, 9, ... epochs. Schmucker et al. 2021, 2106.12639."""
    from syne_tune.optimizer.schedulers.multiobjective.moasha import MOASHA

    return MOASHA(space, METRICS, time_attr="epoch", max_t=epochs, grace_period=1, reduction_factor=3, random_seed=seed)


def mo_rea(space: dict[str, Any], epochs: int, seed: int) -> Any:
    """Regularised evolution, with parents chosen by non-dominated sorting."""
    from syne_tune.optimizer.schedulers.multiobjective import MultiObjectiveRegularizedEvolution
    from syne_tune.optimizer.schedulers.single_fidelity_scheduler import SingleFidelityScheduler

    searcher = MultiObjectiveRegularizedEvolution(space, population_size=POPULATION, random_seed=seed)
    return SingleFidelityScheduler(space, METRICS, searcher=searcher, random_seed=seed)


def ehvi(space: dict[str, Any], epochs: int, seed: int) -> Any:
    """Expected hypervolume improvement by BoTorch. Daulton et al. 2020."""
    import torch
    from syne_tune.optimizer.baselines import EHVI

    torch.set_num_threads(1)
    return EHVI(space, METRICS, random_seed=seed)


PEERS = {
    "syne-tune mo-asha": partial(SyneTune, mo_asha, True),
    "syne-tune mo-rea": partial(SyneTune, mo_rea, False),
    "syne-tune ehvi": partial(SyneTune, ehvi, False),
}
