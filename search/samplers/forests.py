"""Trees of scikit-learn's forests, asked themselves: its own `predict` checks the same rows once for each tree."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from search.fronts.dominance import Floats

if TYPE_CHECKING:
    from sklearn.ensemble import BaseEnsemble


def answers(forest: BaseEnsemble, features: Floats) -> Floats:
    """What each tree says of rows of features, (k, f) to (trees, k, goals); the forest's own answer is their mean."""
    rows = features.astype(np.float32)
    return np.array([tree.tree_.predict(rows).reshape(len(rows), -1) for tree in forest.estimators_])
