"""The user's own model: a file of the project's, whose hyperparameters are those of the study file.

def build(config, input_shape, num_classes):   # -> keras.Model: raw inputs in, class probabilities out
def train(model, config, data):                # optional: a generator of one dict of metrics for each epoch,
                                               # any of which the study file may have for its objective
def cost(config, input_shape, num_classes):    # optional: multiply-adds of an epoch for each example
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Self

from pipeline.errors import Problem, StudyError
from pipeline.files import package_code
from pipeline.learners import networks, own_code
from pipeline.learners.measuring import Measuring
from pipeline.learners.networks import (
    METRICS,
    OPTIONAL,
    SHARED,
    STEP_OVERHEAD,
    WEIGHTS_SUFFIX,
    metrics_of,
    named,
)
from pipeline.space import Configuration, Hyperparameter, Value
from pipeline.study import DataShape, Direction, Study
from pipeline.training.program import num_used

if TYPE_CHECKING:
    import keras

    from pipeline.training.program import Model, Program, SeedOf, Shape

# What training itself asks of every configuration; all others are the user's.
TRAINING = ("batch_size", "learning_rate", "schedule", "epochs")
# What is done to a trial whatever trains it.
OF_TRIALS = ("early_stopping", "train_images")
CODE = tuple(
    f"learners/{name}.py"
    for name in ("examining", "hypermodel", "measuring", "own", "own_code", "own_program")
)
KINDS: Mapping[str, type[int] | type[float]] = {"int": int, "float": float}


@dataclass(frozen=True)
class OwnModel:
    """A learner that trains what a function of the user's builds."""

    path: Path
    root: Path
    function: str
    hyperparameters: Mapping[str, Hyperparameter] = field(default_factory=dict)
    metrics: Mapping[str, Direction] = field(default_factory=lambda: METRICS)
    measuring: Measuring | None = field(default=None, compare=False)

    kind = "own"

    @classmethod
    def of(cls, word: str, root: Path, folder: Path, tables: Mapping[str, Any]) -> Self:
        """The learner that `model = "model.py:build"` names in the study file of a folder.

        Raises:
            StudyError: there is no such file or function.
        """
        path, function = own_code.find(word, root, folder)
        settings = own_code.settings_of(path, root, function)
        metrics = metrics_of(tables)
        if "train" in own_code.functions_of(path):
            metrics = {**METRICS, **_objective(tables), **METRICS}
        # Trials end early whoever reads of it.
        of_training = named(tables)
        if of_training:
            read = own_code.texts(path, root) - {"early_stopping"}
            of_training = tuple(name for name in of_training if name not in read)
        known = declared(tables, of_training)
        return cls(path, root.resolve(), function, known, metrics, Measuring(settings))

    @classmethod
    def unread(cls, root: Path, tables: Mapping[str, Any]) -> Self:
        """A learner of everything that the tables name, where the model's file cannot be read."""
        metrics = {**METRICS, **_objective(tables), **METRICS}
        return cls(root, root, "", declared(tables, named(tables)), metrics)

    @classmethod
    def again(cls, settings: Mapping[str, Any]) -> Self:
        """The learner that `as_settings` described, in a worker."""
        return cls(Path(settings["path"]), Path(settings["root"]), settings["function"])

    def given(self, data: DataShape) -> Self:  # noqa: ARG002  the families' name
        """Itself: what it builds follows from the shape alone."""
        return self

    def as_settings(self) -> dict[str, Any]:
        """What a worker needs to open it, as a JSON value."""
        return own_code.settings_of(self.path, self.root, self.function)

    def sources(self) -> dict[str, str]:
        """The SHA-256 of the model's file, of those of the project that it imports, and of what trains it."""
        return {**own_code.sources(self.path, self.root), "pipeline": package_code((*networks.CODE, *CODE))}

    def read(self, configuration: Configuration) -> Configuration:
        """All of it: `examine` has seen to that."""
        return configuration

    def settled(self, configuration: Configuration) -> Configuration:
        """The configuration as it is."""
        return configuration

    def weights_suffix(self, configuration: Configuration) -> str:  # noqa: ARG002  the seam's name
        """How the name of a file of weights ends."""
        return WEIGHTS_SUFFIX

    def cost(self, configuration: Configuration, data: DataShape) -> int:
        """One epoch, in multiply-adds: weights times output positions of the model that is built.

        A model that cannot be built costs its steps alone: its trial will say why.
        """
        assert self.measuring is not None  # noqa: S101  the coordinator's learner has one
        one = self.measuring.multiply_adds(configuration, data)
        num_train = num_used(configuration, data.num_train)
        steps = ceil(num_train / int(configuration["batch_size"]))
        return (3 * num_train + data.num_val) * one + steps * STEP_OVERHEAD

    def num_weights(self, configuration: Configuration, data: DataShape) -> int:
        """How many numbers the configuration's model has; 0 where it cannot be built."""
        assert self.measuring is not None  # noqa: S101  the coordinator's learner has one
        return self.measuring.num_weights(configuration, data)

    def open(self, settings: Mapping[str, Any]) -> tuple[Program, str]:
        """Plain fit, the compiled epoch or the user's own loop, and the device that it runs on, in words."""
        from pipeline.learners.own_program import open_program

        return open_program(self, settings)

    def restore(
        self, configuration: Configuration, data: DataShape, weights_path: Path, weights_sha256: str = ""
    ) -> Model:
        """The configuration's model with the weights of a `.weights.h5` file; see `fit.restore`."""
        from pipeline.training import fit

        shape, num_classes = data.input_shape, data.num_classes
        return fit.restore(self, configuration, shape, num_classes, weights_path, weights_sha256)

    def build(
        self, configuration: Configuration, shape: Shape, num_classes: int, seed_of: SeedOf
    ) -> keras.Model:
        """The user's model, what has no seed seeded from the trial.

        Raises:
            TypeError, ValueError: it is no model of such inputs and classes; or what the user's code raises.
        """
        module, config = own_code.load(self.path, self.root), own_code.Config(configuration)
        return self.built(module, config, shape, num_classes, seed_of("model"))

    def built(
        self, module: ModuleType, config: own_code.Config, shape: Shape, num_classes: int, seed: int
    ) -> keras.Model:
        """What the user's function makes of a configuration, checked."""
        own_code.seed_all(seed)
        build = getattr(module, self.function)
        return _checked(own_code.called(build, config, shape, num_classes), shape, num_classes, build)

    def is_dense(self, configuration: Configuration) -> bool:  # noqa: ARG002  the seam's name
        """Never: what the user's code makes is trained layer by layer."""
        return False

    def examine(self, study: Study, data: DataShape) -> Iterator[str]:
        """What is built at the centre and the corners of the space, in words.

        Raises:
            StudyError: it cannot be trained, or hyperparameters are declared and never read, or the reverse.
        """
        assert self.measuring is not None  # noqa: S101  the coordinator's learner has one
        corners = [{**arm.fixed, **point} for arm in study.arms for point in study.space_of(arm).corners()]
        configurations = [one for index, one in enumerate(corners) if one not in corners[:index]]
        names = [name for name in self.hyperparameters if name not in (*TRAINING, *OPTIONAL)]
        full = [{**study.defaults, **one} for one in [study.baseline.configuration, *configurations]]
        found = self.measuring.examine(full, data, study.objective.metric)
        if found["is_compiled"]:
            # It keeps its own optimizer and loss.
            names += [name for name in self.hyperparameters if name in OPTIONAL and name not in OF_TRIALS]
        unread = [name for name in names if name not in found["read"]]
        problems = [_disagreement("read and not declared", found["undeclared"], "Add it to the study file.")]
        problems += [_disagreement("declared and never read", unread, "Read it, or remove it.")]
        if wrong := [problem for problem in problems if problem]:
            raise StudyError(*wrong).at(self.path.name)
        yield from found["lines"]


def _disagreement(must: str, names: list[str], advice: str) -> Problem | None:
    if not names:
        return None
    return Problem(f"no hyperparameter may be {must}.", ", ".join(names), advice)


def _checked(made: Any, shape: Shape, num_classes: int, build: Callable[..., Any]) -> keras.Model:
    import keras

    where = own_code.place(build)
    if not isinstance(made, keras.Model):
        raise TypeError(f"{where}: a keras.Model must be returned, not {type(made).__name__}")
    if isinstance(made, keras.Sequential) and not made.built:
        made.build((None, *shape))
    if not getattr(made, "inputs", None):
        # One of a class of the user's Keras can neither describe nor load without the class.
        must = f"{where}: the model must be functional or Sequential, not a class of its own"
        raise TypeError(f"{must} ({type(made).__name__}): return keras.Model(inputs, outputs)")
    output = tuple(made.output_shape)
    if output != (None, num_classes):
        raise ValueError(f"{where}: the model must give (None, {num_classes}) probabilities, not {output}")
    return made


def declared(tables: Mapping[str, Any], of_training: Sequence[str] = ()) -> dict[str, Hyperparameter]:
    """The hyperparameters that the tables of a study file name, and those of training.

    Args:
        of_training: which of `OPTIONAL` are training's; one that the model's file reads is the model's.
    """
    found = {name: SHARED[name] for name in TRAINING}
    found |= {name: OPTIONAL[name] for name in of_training}
    space, fixed, baseline = (_table(tables, key) for key in ("space", "fixed", "baseline"))
    for name in dict.fromkeys([*space, *baseline, *fixed, *_table(tables, "compare")]):
        if name not in found and name not in ("engine", "sampler", "pruner"):
            entry = space.get(name)
            written = _kind(entry) if isinstance(entry, dict) else None
            found[name] = Hyperparameter(written, _default(name, baseline, fixed))
    return found


def _objective(tables: Mapping[str, Any]) -> dict[str, Direction]:
    """What a loop of the user's own reports beside the usual, as far as the study file says it."""
    ways: tuple[Direction, Direction] = ("maximize", "minimize")
    named = {way: _table(tables, "objective").get(way) for way in ways}
    return {metric: way for way, metric in named.items() if isinstance(metric, str)}


def _kind(entry: Mapping[str, Any]) -> type[int] | type[float] | None:
    """The kind of numbers that an entry of [space] holds; a choice may hold text."""
    choice = entry.get("choice")
    if isinstance(choice, list) and all(type(value) in (int, float) for value in choice):
        return float if any(isinstance(value, float) for value in choice) else None
    return next((KINDS[kind] for kind in KINDS if kind in entry), None)


def _default(name: str, *tables: Mapping[str, Any]) -> Value | None:
    given = next((table[name] for table in tables if name in table), None)
    return given if isinstance(given, (int, float, str)) and not isinstance(given, bool) else None


def _table(tables: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    table = tables.get(key)
    return table if isinstance(table, dict) else {}
