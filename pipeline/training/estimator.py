"""scikit-learn behind the seam `Program`: a fit is the one epoch of a trial, on one thread."""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import skops.io
from numpy.typing import NDArray
from scipy.special import softmax
from sklearn.exceptions import ConvergenceWarning
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import MinMaxScaler
from threadpoolctl import threadpool_limits

from pipeline import seeds
from pipeline.space import Configuration
from pipeline.training import evaluation
from pipeline.training.program import Model, Shape, used
from pipeline.trial import Metrics, Trial

Split = tuple[NDArray[Any], NDArray[np.int64]]
# An estimator that is not fitted yet, of a configuration and a seed.
Estimator = Callable[[Configuration, int], Any]
# What skops would not load by itself, of scikit-learn's own: their state is arrays alone.
TRUSTED = ("sklearn.tree._tree.Tree", "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor")
# So many inputs are answered at a time: an estimator may need all their distances to those of train.
BATCH_SIZE = 1_000


@dataclass(frozen=True)
class EstimatorModel:
    """A fitted estimator behind the scaling of its inputs, from raw rows to class probabilities.

    Attributes:
        native: a Pipeline that takes (num_inputs, num_features) rows, the values of each input in C order.
    """

    native: Pipeline
    num_classes: int
    flavour = "sklearn"

    def predict(self, inputs: NDArray[Any]) -> NDArray[np.float64]:
        """Class probabilities (num_inputs, num_classes) of raw inputs (num_inputs, ...).

        Of a support vector machine the softmax of its decision values: their order is right, they are no
        frequencies.
        """
        with threadpool_limits(1):
            starts = range(0, len(inputs), BATCH_SIZE)
            parts = [self._answers(rows(inputs[start : start + BATCH_SIZE])) for start in starts]
        return np.concatenate(parts)

    def _answers(self, given: NDArray[np.float32]) -> NDArray[np.float64]:
        if hasattr(self.native, "predict_proba"):
            found = self.native.predict_proba(given)
        else:
            decided = self.native.decision_function(given)
            # Of two classes there is one value, which speaks for the second.
            both = decided if decided.ndim == 2 else np.stack([np.zeros_like(decided), decided], axis=1)
            found = softmax(both, axis=1)
        answers = np.zeros((len(given), self.num_classes))
        # A class that no row of train has gets no probability.
        answers[:, self.native.classes_] = found
        return answers

    def described(self) -> str:
        """Its estimator and its settings, as JSON text."""
        fitted = self.native[-1]
        settings = {"estimator": type(fitted).__name__, **fitted.get_params()}
        return json.dumps(settings, indent=2, sort_keys=True)

    def sha256(self) -> str:
        """One digest of all that was learnt."""
        found = hashlib.sha256()
        for part in _parts(self.native):
            found.update(part)
        return found.hexdigest()


class Fitting:
    """Trains trials one after the other.

    Args:
        train: inputs (num_inputs, ...), raw; labels (num_inputs,), int64.
        val: likewise.
    """

    slots = 1

    def __init__(self, estimator: Estimator, train: Split, val: Split, num_classes: int, seed: int) -> None:
        self._estimator = estimator
        self._val, self._labels = val, np.asarray(train[1])
        self._num_classes, self._seed = num_classes, seed
        self._scaler = scaler(train[0].shape[1:], train[0].dtype)
        # Once for all trials of the process.
        self._inputs = self._scaler.transform(rows(train[0]))
        self._trials: dict[int, Trial] = {}
        self._models: dict[int, EstimatorModel] = {}

    def start(self, trial: Trial) -> None:
        """Take a trial; its estimator is made when it is fitted."""
        self._trials[trial.number] = trial

    def epochs(self, numbers: Sequence[int]) -> dict[int, Metrics]:
        """Fit the first; val_loss and val_accuracy after it, by number."""
        trial = self._trials[numbers[0]]
        seed = seeds.stream(self._seed, *trial.seed_path, "estimator")
        with threadpool_limits(1), warnings.catch_warnings():
            # The bound on iterations is the study's own.
            warnings.simplefilter("ignore", ConvergenceWarning)
            fitted = self._estimator(trial.configuration, seed).fit(*self._train(trial))
        whole = Pipeline([("scaled", self._scaler), ("estimator", fitted)])
        model = self._models[trial.number] = EstimatorModel(whole, self._num_classes)
        inputs, labels = self._val
        answers = model.predict(inputs)
        right = float((answers.argmax(axis=1) == labels).mean())
        return {trial.number: {"val_loss": evaluation.mean_loss(answers, labels), "val_accuracy": right}}

    def _train(self, trial: Trial) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        chosen = used(self._seed, trial.configuration, len(self._labels))
        if chosen is None:
            return self._inputs, self._labels
        return self._inputs[chosen], self._labels[chosen]

    def predict(self, number: int, inputs: NDArray[Any]) -> NDArray[np.float64]:
        """Class probabilities (num_inputs, num_classes) by the trial's fitted estimator."""
        return self._models[number].predict(inputs)

    def digest(self, number: int) -> str:
        """The SHA-256 of what the trial has learnt."""
        return self._models[number].sha256()

    def save(self, number: int, path: Path) -> None:
        """Write the trial's fitted estimator as a skops file: no pickle."""
        skops.io.dump(self._models[number].native, path)

    def drop(self, number: int) -> None:
        """Forget the trial."""
        self._trials.pop(number, None)
        self._models.pop(number, None)


def restore(path: Path, num_classes: int, weights_sha256: str = "") -> Model:
    """The model of a skops file that `Fitting.save` has written.

    Raises:
        StoreError: see `evaluation.restored`.
    """

    def load() -> tuple[Model, str]:
        model = EstimatorModel(skops.io.load(path, trusted=TRUSTED), num_classes)
        return model, model.sha256()

    return evaluation.restored(load, path, weights_sha256)


def rows(inputs: NDArray[Any]) -> NDArray[np.float32]:
    """(num_inputs, num_features), the values of each input in C order, as an estimator takes them."""
    return np.asarray(inputs, np.float32).reshape(len(inputs), -1)


def scaler(shape: Shape, dtype: Any) -> MinMaxScaler:
    """Bytes from 0-255 to 0-1; what is prepared as floats stays as it is."""
    ends = (0, 255) if dtype == np.uint8 else (0, 1)
    width = int(np.prod(shape))
    return MinMaxScaler(copy=False).fit(np.stack([np.full(width, end, np.float32) for end in ends]))


def _parts(value: Any) -> Iterator[bytes]:
    """All that a fitted estimator consists of, in a fixed order, piece by piece.

    Not the file that holds it: skops writes addresses of memory and times into it, and the padding of
    structured arrays is whatever lay there.
    """
    if isinstance(value, np.ndarray) and value.dtype.names:
        for name in value.dtype.names:
            yield from _parts(value[name])
    elif isinstance(value, np.ndarray) and value.dtype != object:
        yield f"{value.dtype} {value.shape} ".encode()
        yield np.ascontiguousarray(value).tobytes()
    elif isinstance(value, Mapping):
        for name in sorted(value, key=str):
            yield f"{name}: ".encode()
            yield from _parts(value[name])
    elif isinstance(value, (list, tuple, np.ndarray)):
        yield f"{len(value)} of ".encode()
        for one in value:
            yield from _parts(one)
    # A generator's state is where its last draw has left it: part of no answer.
    elif isinstance(value, (np.random.Generator, np.random.RandomState)):
        yield b"generator"
    elif value is None or isinstance(value, (bool, int, float, str, bytes, np.generic)):
        yield repr(value).encode()
    elif isinstance(value, (type, np.dtype)):
        yield str(value).encode()
    else:
        yield type(value).__qualname__.encode()
        yield from _parts(value.__getstate__())
