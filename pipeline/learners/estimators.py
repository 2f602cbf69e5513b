"""Models of scikit-learn: each is a line of FAMILIES, with its hyperparameters, its estimator and its cost.

Hyperparameters have scikit-learn's names and defaults, but for three: `shrinkage` is the learning rate of
boosting, a `max_depth` of 0 has no bound, and a `gamma` or `max_features` of 0 is scikit-learn's own choice.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import ceil, log2, sqrt
from typing import Any, NamedTuple

from pipeline.space import Configuration, Hyperparameter


class Sizes(NamedTuple):
    """How much there is to learn from."""

    num_train: int
    num_val: int
    num_features: int
    num_classes: int


@dataclass(frozen=True)
class Family:
    """A kind of estimator.

    Attributes:
        hyperparameters: its own.
        estimator: a configuration and a seed to an estimator that is not fitted yet.
        multiply_adds: about what fitting it and answering val costs: a pure function of its arguments.
    """

    hyperparameters: Mapping[str, Hyperparameter]
    estimator: Callable[[Configuration, int], Any]
    multiply_adds: Callable[[Configuration, Sizes], int]


REGULARIZATION = Hyperparameter(float, 1.0, 0, 1e9, low_open=True)
MAX_ITER = Hyperparameter(int, 100, 1, 100_000)
TREE: Mapping[str, Hyperparameter] = {
    "criterion": Hyperparameter(str, "gini", words=("gini", "entropy")),
    "max_depth": Hyperparameter(int, 0, 0, 10_000),
    "min_samples_leaf": Hyperparameter(int, 1, 1, 1_000_000),
}


def _logistic_regression(configuration: Configuration, seed: int) -> Any:  # noqa: ARG001  it draws nothing
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=configuration["C"], max_iter=int(configuration["max_iter"]))


def _tree_settings(configuration: Configuration) -> dict[str, Any]:
    return {
        "criterion": configuration["criterion"],
        "max_depth": int(configuration["max_depth"]) or None,
        "min_samples_leaf": int(configuration["min_samples_leaf"]),
    }


def _decision_tree(configuration: Configuration, seed: int) -> Any:
    from sklearn.tree import DecisionTreeClassifier

    return DecisionTreeClassifier(random_state=seed, **_tree_settings(configuration))


def _random_forest(configuration: Configuration, seed: int) -> Any:
    from sklearn.ensemble import RandomForestClassifier

    return RandomForestClassifier(
        int(configuration["n_estimators"]),
        max_features=float(configuration["max_features"]) or "sqrt",
        random_state=seed,
        n_jobs=1,
        **_tree_settings(configuration),
    )


def _gradient_boosting(configuration: Configuration, seed: int) -> Any:
    from sklearn.ensemble import HistGradientBoostingClassifier

    return HistGradientBoostingClassifier(
        learning_rate=configuration["shrinkage"],
        max_iter=int(configuration["max_iter"]),
        max_leaf_nodes=int(configuration["max_leaf_nodes"]),
        l2_regularization=configuration["l2_regularization"],
        # It would hold back a part of train where train is large.
        early_stopping=False,
        random_state=seed,
    )


def _svm(configuration: Configuration, seed: int) -> Any:  # noqa: ARG001  it draws nothing
    from sklearn.svm import SVC

    return SVC(
        C=configuration["C"],
        kernel=configuration["kernel"],
        gamma=float(configuration["gamma"]) or "scale",
        # Megabytes; a larger one saves kernel values from being computed again, and changes none.
        cache_size=500,
    )


def _nearest_neighbors(configuration: Configuration, seed: int) -> Any:  # noqa: ARG001  it draws nothing
    from sklearn.neighbors import KNeighborsClassifier

    return KNeighborsClassifier(
        int(configuration["n_neighbors"]),
        weights=configuration["weights"],
        # In hundreds of dimensions a tree of points saves nothing.
        algorithm="brute",
        n_jobs=1,
    )


def _of_trees(sizes: Sizes, num_features: int) -> int:
    """A whole tree: each of its levels looks at every row once."""
    return sizes.num_train * num_features * ceil(log2(sizes.num_train + 1))


def _of_forest(configuration: Configuration, sizes: Sizes) -> int:
    share = float(configuration["max_features"])
    num_features = ceil(share * sizes.num_features) if share else ceil(sqrt(sizes.num_features))
    return int(configuration["n_estimators"]) * _of_trees(sizes, num_features)


def _of_iterations(configuration: Configuration, sizes: Sizes) -> int:
    """Forward and back for every row, feature and class in each iteration."""
    once = sizes.num_train * sizes.num_features * sizes.num_classes
    return 2 * int(configuration["max_iter"]) * once


def _of_pairs(num_rows: int) -> Callable[[Configuration, Sizes], int]:
    """Every row of train with every row of val and, `num_rows` times, with every other."""
    return lambda _, sizes: (
        sizes.num_train * sizes.num_features * (num_rows * sizes.num_train + sizes.num_val)
    )


FAMILIES: Mapping[str, Family] = {
    "logistic_regression": Family(
        {"C": REGULARIZATION, "max_iter": MAX_ITER}, _logistic_regression, _of_iterations
    ),
    "decision_tree": Family(TREE, _decision_tree, lambda _, sizes: _of_trees(sizes, sizes.num_features)),
    "random_forest": Family(
        {
            "n_estimators": Hyperparameter(int, 100, 1, 100_000),
            "max_features": Hyperparameter(float, 0.0, 0, 1),
            **TREE,
        },
        _random_forest,
        _of_forest,
    ),
    "gradient_boosting": Family(
        {
            "shrinkage": Hyperparameter(float, 0.1, 0, 1, low_open=True),
            "max_iter": MAX_ITER,
            "max_leaf_nodes": Hyperparameter(int, 31, 2, 1_000_000),
            "l2_regularization": Hyperparameter(float, 0.0, 0, 1e9),
        },
        _gradient_boosting,
        _of_iterations,
    ),
    "svm": Family(
        {
            "C": REGULARIZATION,
            "kernel": Hyperparameter(str, "rbf", words=("rbf", "linear", "poly")),
            "gamma": Hyperparameter(float, 0.0, 0, 1e6),
        },
        _svm,
        _of_pairs(1),
    ),
    "nearest_neighbors": Family(
        {
            "n_neighbors": Hyperparameter(int, 5, 1, 100_000),
            "weights": Hyperparameter(str, "uniform", words=("uniform", "distance")),
        },
        _nearest_neighbors,
        _of_pairs(0),
    ),
}
