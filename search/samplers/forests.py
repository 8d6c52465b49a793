"""Predictions of the trees in a scikit-learn forest, without the input checks that each tree's `predict` repeats."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from search.fronts.dominance import Floats

if TYPE_CHECKING:
    from sklearn.ensemble import BaseEnsemble


def answers(forest: BaseEnsemble, features: Floats) -> Floats:
    """Return each tree's predictions for rows of features: (k, f) to (trees, k, goals).

    The forest's own prediction is their mean.
    """
    rows = features.astype(np.float32)
    return np.array([tree.tree_.predict(rows).reshape(len(rows), -1) for tree in forest.estimators_])
