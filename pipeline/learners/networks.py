"""Keras networks, from prepared inputs to class probabilities: what all families have in common.

A new family is a file in families/ with what `Family` asks for: it is found there by its name.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from importlib import import_module
from math import ceil, prod
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import TYPE_CHECKING, Any, Protocol, Self, cast

from pipeline.errors import StudyError
from pipeline.files import code_sha256, package_code
from pipeline.learners import augmentation, families
from pipeline.learners.inputs import entrance, unfit
from pipeline.learners.measuring import Measuring
from pipeline.space import Configuration, Hyperparameter
from pipeline.study import DataShape, Direction, Study
from pipeline.training import scored
from pipeline.training.program import num_used

if TYPE_CHECKING:
    import keras

    from pipeline.training.program import Model, Program, SeedOf, Shape


class Family(Protocol):
    """What a file in families/ knows of its family, and no other place does.

    Attributes:
        INPUTS: the kinds of data that it takes: images, features, tokens.
        HYPERPARAMETERS: its own, beside SHARED. It may have OPTIONAL too: a configuration has a value for
            those only where the study file names them.
    """

    @property
    def INPUTS(self) -> tuple[str, ...]: ...  # noqa: D102, N802  see above

    @property
    def HYPERPARAMETERS(self) -> Mapping[str, Hyperparameter]: ...  # noqa: D102, N802  see above

    def layers(self, configuration: Configuration, seed_of: SeedOf) -> Iterator[Any]:
        """From scaled images (height, width, channels), or features, to features (num_features,).

        Args:
            seed_of: a name to a seed; every layer that draws has a name of its own.
        """

    def token_layers(self, configuration: Configuration, seed_of: SeedOf, vocabulary: int) -> Iterator[Any]:
        """From tokens (length,), 0 for padding, to features; only of a family that takes tokens."""

    def multiply_adds(self, configuration: Configuration, shape: Shape) -> tuple[int, int]:
        """What these layers cost for one input of a shape, and how many features they give."""

    def is_dense(self, configuration: Configuration) -> bool:
        """Whether there is nothing but dense layers on plain pixels: those have an epoch of their own."""


FOLDER = Path(families.__file__).parent
# What a network's results depend on beside its family's file and what every learner's depend on.
CODE = (
    *("learners/augmentation.py", "learners/inputs.py", "learners/networks.py"),
    *("training/compiled", "training/fit.py"),
    *("training/evaluation.py", "training/framework.py", "training/lean.py", "training/optimizers.py"),
)
# Each the name of its file; the first is the default.
NAMES = tuple(sorted((path.stem for path in FOLDER.glob("[!_]*.py")), key=lambda name: (name != "mlp", name)))
FAMILIES: Mapping[str, Family] = {
    name: cast("Family", import_module(f"{families.__name__}.{name}")) for name in NAMES
}
SHARED: Mapping[str, Hyperparameter] = {
    "batch_size": Hyperparameter(int, 32, 1, 65_536),
    "learning_rate": Hyperparameter(float, 0.001, 0, 10, low_open=True),
    "schedule": Hyperparameter(str, "constant", words=("constant", "cosine", "one_cycle")),
    "dropout": Hyperparameter(float, 0.0, 0, 1, high_open=True),
    "rotation": Hyperparameter(float, 0.0, 0, 0.5),
    "zoom": Hyperparameter(float, 0.0, 0, 0.9),
    "epochs": Hyperparameter(int, 5, 1, 100_000),
}
# A configuration has a value for these only where the study file names them.
OPTIONAL: Mapping[str, Hyperparameter] = {
    # After so many epochs without a better score; 0: never.
    "early_stopping": Hyperparameter(int, 0, 0, 100_000),
    # Train on so many of train's inputs, the same for all trials, the fewer among the more; 0: on all.
    "train_images": Hyperparameter(int, 0, 0, 10**9),
    "optimizer": Hyperparameter(str, "adam", words=("adam", "adamw", "sgd", "rmsprop")),
    "weight_decay": Hyperparameter(float, 0.0, 0, 1),
    "momentum": Hyperparameter(float, 0.0, 0, 1, high_open=True, counts_at=("optimizer", ("sgd",))),
    "nesterov": Hyperparameter(str, "no", words=("no", "yes"), counts_at=("optimizer", ("sgd",))),
    # The share of each label that is spread over all classes, in training alone.
    "label_smoothing": Hyperparameter(float, 0.0, 0, 1, high_open=True),
    # The share of a trial's steps in which the rate rises; 0: it only falls.
    "warmup": Hyperparameter(float, 0.3, 0, 1, high_open=True, counts_at=("schedule", ("one_cycle",))),
}
# What an epoch reports where it is the objective: the classes count alike, however many images each has.
OF_CLASSES: Mapping[str, Direction] = {f"val_{name}": "maximize" for name in scored.OF_CLASSES}
# A family's own stand before these in result tables.
LAST = ("rotation", "zoom", "epochs")
# What one step costs beside its arithmetic, in multiply-adds: starting the operations takes about as long.
STEP_OVERHEAD = 4_000_000
WEIGHTS_SUFFIX = ".weights.h5"


METRICS: Mapping[str, Direction] = MappingProxyType(
    {"loss": "minimize", "accuracy": "maximize", "val_loss": "minimize", "val_accuracy": "maximize"}
)


@dataclass(frozen=True)
class Networks:
    """A learner of one family of networks, or of several that a study searches or compares."""

    names: tuple[str, ...] = NAMES
    optional: tuple[str, ...] = ()
    metrics: Mapping[str, Direction] = field(default_factory=lambda: METRICS)
    # Of tokens, how many there may be; what else data are follows from their shape.
    vocabulary: int = 0

    @classmethod
    def of(cls, names: tuple[str, ...], tables: Mapping[str, Any]) -> Self:
        """The learner of these families, for the study file with these tables, unchecked."""
        return cls(names, named(tables, _optional(names)), metrics_of(tables))

    @cached_property
    def hyperparameters(self) -> Mapping[str, Hyperparameter]:
        """The families' name, what they share and what each has of its own, in the order of result tables."""
        # The last first: what a family adds to another stands where it stands in that family alone.
        families = [FAMILIES[name].HYPERPARAMETERS for name in reversed(self.names)]
        own = {name: one for family in families for name, one in family.items()}
        first = {name: one for name, one in SHARED.items() if name not in LAST}
        model = Hyperparameter(str, NAMES[0], words=NAMES)
        last = {name: SHARED[name] for name in LAST}
        if "augmentation" in self.optional:
            # The word stands for values of these.
            plain = ("augmentation", ("none",))
            last |= {name: replace(last[name], counts_at=plain) for name in ("rotation", "zoom")}
        optional = _optional(self.names)
        return {"model": model, **first, **own, **last, **{name: optional[name] for name in self.optional}}

    def given(self, data: DataShape) -> Self:
        """The learner that builds models of these data."""
        return replace(self, vocabulary=data.vocabulary)

    def as_settings(self) -> dict[str, Any]:
        """What a worker needs to find it again."""
        return {"kind": "networks"}

    def sources(self) -> dict[str, str]:
        """The SHA-256 of what trains networks, and of the families' own files: no other family counts."""
        # A family may take a part of another: what its file has imported.
        taken = {
            one for name in self.names for one in vars(FAMILIES[name]).values() if isinstance(one, ModuleType)
        }
        needed = [name for name in NAMES if name in self.names or FAMILIES[name] in taken]
        own = {f"families/{name}.py": code_sha256(FOLDER / f"{name}.py") for name in needed}
        return {**own, "pipeline": package_code(CODE)}

    def examine(self, study: Study, data: DataShape) -> Iterable[str]:
        """Nothing: whatever the space holds can be built of data that its families take.

        Raises:
            StudyError: a family, or augmentation, is for data of another kind.
        """
        kinds = {name: FAMILIES[name].INPUTS for name in NAMES}
        if wrong := list(unfit(study, data, kinds, self.names, self.hyperparameters)):
            raise StudyError(*wrong)
        return ()

    def read(self, configuration: Configuration) -> Configuration:
        """What the configuration's family has, and what all share, as far as it has an effect."""
        known, own = self.hyperparameters, _family(configuration)[1]
        return {name: value for name, value in own.items() if name not in known or known[name].counts(own)}

    def settled(self, configuration: Configuration) -> Configuration:
        """The configuration as it is."""
        return configuration

    def weights_suffix(self, configuration: Configuration) -> str:  # noqa: ARG002  the seam's name
        """How the name of a file of weights ends."""
        return WEIGHTS_SUFFIX

    def cost(self, configuration: Configuration, data: DataShape) -> int:
        """One epoch, in multiply-adds.

        It need not be exact, only the same everywhere: it orders the epochs of trials in flight.
        """
        family, own = _family(configuration)
        layers, features = family.multiply_adds(own, data.input_shape)
        image = layers + features * data.num_classes
        if augmentation.amounts(configuration):
            image += 100 * prod(data.input_shape)
        num_train = num_used(configuration, data.num_train)
        steps = ceil(num_train / int(configuration["batch_size"]))
        return (3 * num_train + data.num_val) * image + steps * STEP_OVERHEAD

    @cached_property
    def _measuring(self) -> Measuring:
        return Measuring(self.as_settings())

    def num_weights(self, configuration: Configuration, data: DataShape) -> int:
        """How many numbers the configuration's model has; counted in a process of its own."""
        return self._measuring.num_weights(configuration, data)

    def open(self, settings: Mapping[str, Any]) -> tuple[Program, str]:
        """Plain fit or the compiled epoch, and the device that it runs on, in words."""
        from pipeline.training import framework

        return framework.open_program(self, settings)

    def restore(
        self, configuration: Configuration, data: DataShape, weights_path: Path, weights_sha256: str = ""
    ) -> Model:
        """The configuration's model with the weights of a `.weights.h5` file; see `fit.restore`."""
        from pipeline.training import fit

        shape, num_classes = data.input_shape, data.num_classes
        return fit.restore(self.given(data), configuration, shape, num_classes, weights_path, weights_sha256)

    def is_dense(self, configuration: Configuration) -> bool:
        """Whether the configuration is a network of dense layers on plain pixels, and nothing else."""
        family, own = _family(configuration)
        return family.is_dense(own)

    def build(
        self, configuration: Configuration, shape: Shape, num_classes: int, seed_of: SeedOf
    ) -> keras.Model:
        """A model from prepared inputs to class probabilities.

        Args:
            configuration: a value for every hyperparameter.
            shape: (height, width, channels) of an image, uint8, 0-255, scaled to 0-1 inside the model; or
                (num_features,), float32, standardised already; or (length,), int32, of tokens.
            num_classes: how many labels there are.
            seed_of: a name to a seed; every layer that draws has a name of its own.
        """
        import keras

        family, own = _family(configuration)
        inputs, hidden = entrance(shape, self.vocabulary > 0)
        for layer in augmentation.layers(configuration, seed_of):
            hidden = layer(hidden)
        layers = (
            family.token_layers(own, seed_of, self.vocabulary)
            if self.vocabulary
            else family.layers(own, seed_of)
        )
        for layer in layers:
            hidden = layer(hidden)
        outputs = keras.layers.Dense(
            num_classes,
            activation="softmax",
            name="probabilities",
            kernel_initializer=keras.initializers.GlorotUniform(seed=seed_of("probabilities")),
        )(hidden)
        return keras.Model(inputs, outputs, name=str(configuration["model"]))


def _optional(names: tuple[str, ...]) -> dict[str, Hyperparameter]:
    """What these families may have beside what they always have."""
    own = {key: one for name in names for key, one in _optional_of(FAMILIES[name]).items()}
    return {**OPTIONAL, **augmentation.OPTIONAL, **own}


def _optional_of(family: Family) -> Mapping[str, Hyperparameter]:
    found: Mapping[str, Hyperparameter] = getattr(family, "OPTIONAL", {})
    return found


def named(tables: Mapping[str, Any], optional: Iterable[str] = OPTIONAL) -> tuple[str, ...]:
    """Which of the optional hyperparameters a study file names."""
    found = [tables.get(key) for key in ("baseline", "fixed", "space", "compare")]
    return tuple(name for name in optional if any(isinstance(one, dict) and name in one for one in found))


def metrics_of(tables: Mapping[str, Any]) -> Mapping[str, Direction]:
    """What an epoch reports to a study file with these tables: the usual, and its objective."""
    objective = tables.get("objective")
    wanted = objective.values() if isinstance(objective, dict) else ()
    return {**METRICS, **{name: way for name, way in OF_CLASSES.items() if name in wanted}}


def _family(configuration: Configuration) -> tuple[Family, Configuration]:
    """The configuration's family, and what the configuration says to it: nothing that is another family's."""
    family = FAMILIES[str(configuration["model"])]
    others = {name for one in FAMILIES.values() for name in (*one.HYPERPARAMETERS, *_optional_of(one))} - {
        *family.HYPERPARAMETERS,
        *_optional_of(family),
    }
    return family, {name: value for name, value in configuration.items() if name not in others}


NETWORKS = Networks()
