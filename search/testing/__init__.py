"""The contracts of a search's parts, for whoever writes one: a strategy of a sampler, or a rule that stops trials.

    from search.testing import check_strategy

    def test_my_strategy() -> None:
        check_strategy(lambda space, objectives, seed: MyStrategy(space, seed))

A check raises an `AssertionError` that names the law that is broken, what was found and what was expected. The laws are
in tables of functions (`STRATEGY_LAWS`, `STOPPING_LAWS`), so that a test may be parametrised over them. No test runner
is needed.
"""

from __future__ import annotations

from search.testing.stopping import STOPPING_LAWS, check_stopping
from search.testing.strategies import STRATEGY_LAWS, check_strategy

__all__ = ["STOPPING_LAWS", "STRATEGY_LAWS", "check_stopping", "check_strategy"]
