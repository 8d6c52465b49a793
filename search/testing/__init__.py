"""Contract checks for authors of a search's parts: a sampler's strategy, or a stopping rule.

    from search.testing import check_strategy

    def test_my_strategy() -> None:
        check_strategy(lambda space, objectives, seed: MyStrategy(space, seed))

A check raises an `AssertionError` with the broken law, what was found and what was expected. The laws are functions in
tables (`STRATEGY_LAWS`, `STOPPING_LAWS`), so that a test can be parametrised over them. No test runner is needed.
"""

from __future__ import annotations

from search.testing.stopping import STOPPING_LAWS, check_stopping
from search.testing.strategies import STRATEGY_LAWS, check_strategy

__all__ = ["STOPPING_LAWS", "STRATEGY_LAWS", "check_stopping", "check_strategy"]
