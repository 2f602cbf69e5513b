"""A table of a study file in general; an entry of [space]: a range or a choice, and when it counts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Annotated, Any, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    PlainValidator,
    Tag,
    model_validator,
)

from pipeline.errors import Problem, as_toml, nearest
from pipeline.space import Choice, Hyperparameter, Parent, Range

MAX_POINTS = 1_000_000


class TableError(ValueError):
    """Raised by a validator; `where` of a problem is a key below the value, or empty for the value itself.

    A problem without a text for what was received is told with the value as it stands in the file.
    """

    def __init__(self, *problems: Problem) -> None:
        super().__init__(*problems)
        self.problems = problems


class Table(BaseModel):
    """A table of the study file: no unknown key, no silent conversion, no change after birth.

    The first example of a field is what a message advises to write.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False)


def _parent(when: Any) -> Parent:
    if isinstance(when, dict) and len(when) == 1:
        [(name, value)] = when.items()
        values = value if isinstance(value, list) else [value]
        if values and not any(map(Hyperparameter(None, None).problem, values)):
            return name, tuple(values)
    must = "must name one other hyperparameter and the value, or values, at which this one counts."
    raise TableError(Problem(must, "", 'Write when = { model = "cnn" }, for example.'))


class _Entry(Table):
    when: Annotated[Parent | None, PlainValidator(_parent)] = Field(default=None)

    def parent(self, hyperparameters: Mapping[str, Hyperparameter]) -> Parent | None:
        """The other hyperparameter and the values, as trials are given them, at which this one counts."""
        if self.when is None or self.when[0] not in hyperparameters:
            return self.when
        name, known = self.when[0], hyperparameters[self.when[0]]
        return name, tuple(known.exact(value) if known.admits(value) else value for value in self.when[1])


class ChoiceEntry(_Entry):
    """One of a few values."""

    choice: list[Any] = Field(min_length=1, max_length=1_000, examples=[["first", "second"]])

    def values(self, known: Hyperparameter) -> Choice:
        """The values in the order of the file, as trials are given them."""
        return Choice(tuple(map(known.exact, self.choice)))

    def problems(self, known: Hyperparameter) -> Iterator[Problem]:
        """What the hyperparameter may not be, and what stands there twice."""
        wrong = [problem for problem in map(known.problem, self.choice) if problem]
        yield from wrong
        exact = () if wrong else self.values(known).values
        if len(set(exact)) < len(exact):
            yield Problem("choice must not repeat a value.", "", "Remove what stands there twice.")
        # In result tables a value is what it is written as, and an empty cell is none.
        elif len({str(value) for value in exact}) < len(exact) or "" in exact:
            must = "choice must hold values that differ as text, none of them empty."
            yield Problem(must, "", "Rename a value.")


class FloatEntry(_Entry):
    """Numbers from one end to the other, both included."""

    ends: Sequence[float] = Field(alias="float", min_length=2, max_length=2, examples=[[0.1, 0.5]])
    log: bool = Field(default=False, examples=[True])
    step: float | None = Field(default=None, gt=0, examples=[0.1])

    def values(self, known: Hyperparameter) -> Range:  # noqa: ARG002  a choice asks it
        """The range."""
        return Range(self.ends[0], self.ends[1], isinstance(self, IntEntry), self.log, self.step)

    def problems(self, known: Hyperparameter) -> Iterator[Problem]:
        """What the hyperparameter may not be."""
        if known.kind not in (int if isinstance(self, IntEntry) else float, None):
            must = f"must be searched as {'choice' if known.words else known.kind.__name__}."
            yield Problem(must, "", f"Each value must be {known.bounds()}.")
        else:
            yield from (problem for problem in map(known.problem, self.ends) if problem)

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        low, high = self.ends
        found = []
        if low >= high:
            advice = f"Swap them: [{as_toml(high)}, {as_toml(low)}]." if low > high else "Move it to [fixed]."
            found.append(Problem("the first end must be below the second.", "", advice))
        if self.log and min(low, high) <= 0:
            advice = "Raise the first end above 0, or drop log."
            found.append(Problem("a log scale must begin above 0.", "", advice))
        if self.log and self.step is not None:
            found.append(Problem("step and log must not meet in one entry.", "", "Drop one of them."))
        if not found and self.step is not None:
            found += self._steps()
        if found:
            raise TableError(*found)
        return self

    def _steps(self) -> Iterator[Problem]:
        low, high, step = (Fraction(str(number)) for number in (*self.ends, self.step))
        steps = (high - low) / step
        if steps < 1:
            advice = f"Lower step to {float(high - low):g} at most."
            yield Problem("step must be no larger than the range.", "", advice)
        elif steps >= MAX_POINTS:
            yield Problem(f"step must make at most {MAX_POINTS:,} values.", "", "Raise step, or drop it.")
        # The samplers would lower such an end without a word.
        elif steps % 1:
            below, above = (type(self.ends[0])(low + count * step) for count in (steps // 1, steps // 1 + 1))
            must = "the second end must be a whole number of steps above the first."
            yield Problem(must, "", f"The nearest such ends are {below} and {above}.")


class IntEntry(FloatEntry):
    """Whole numbers from one end to the other, both included."""

    ends: Sequence[int] = Field(alias="int", min_length=2, max_length=2, examples=[[1, 3]])
    step: int | None = Field(default=None, gt=0, examples=[1])


ENTRIES: Mapping[str, Any] = {"float": FloatEntry, "int": IntEntry, "choice": ChoiceEntry}


def _one_kind(table: Any) -> Any:
    if isinstance(table, dict) and len(table.keys() & ENTRIES.keys()) == 1:
        return table
    keys = table if isinstance(table, dict) else ()
    hints = [nearest(key, ENTRIES) for key in keys if key not in (*ENTRIES, "log", "step", "when")]
    values = (
        "[first, second]" if keys or table == {} else as_toml(table if isinstance(table, list) else [table])
    )
    advice = f"Write {{ choice = {values} }}, for example, or move it to [fixed]."
    advice = next((hint for hint in hints if hint.startswith("Did")), advice)
    raise TableError(Problem("must be a table with exactly one of float, int, choice.", "", advice))


Entry = Annotated[
    Annotated[FloatEntry, Tag("float")]
    | Annotated[IntEntry, Tag("int")]
    | Annotated[ChoiceEntry, Tag("choice")],
    Discriminator(lambda table: next(kind for kind in ENTRIES if kind in table)),
    BeforeValidator(_one_kind),
]
