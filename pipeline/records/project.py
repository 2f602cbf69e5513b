"""Where everything lies: the only place that knows the names of files."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from pipeline.errors import DataError, StoreError, StudyError
from pipeline.learners import Found
from pipeline.records.rows import read_rows, values_of
from pipeline.space import Value
from pipeline.study import Arm, Study, check_name, load


@dataclass(frozen=True)
class Project:
    """A project's folder and what lies where in it."""

    root: Path

    @classmethod
    def here(cls) -> Project:
        """The project in the folder that the process was started in.

        Raises:
            StudyError: the folder is no project.
        """
        try:
            root = Path.cwd()
        except OSError as error:
            must, advice = "must be run in a folder that is there.", "Change to the project's folder."
            raise StudyError.of(must, error.strerror, advice, "study") from error
        if not (root / "studies").is_dir():
            raise StudyError.of(
                "must be run in the folder that holds studies/.",
                str(root),
                "Change to the project's folder, or make one here: study init",
                "study",
            )
        return cls(root)

    @property
    def mlruns(self) -> Path:
        """Stores and searches in flight; its content is not in git."""
        return self.root / "mlruns"

    @property
    def artifacts(self) -> Path:
        """Where MLflow keeps the files of runs, unless a server does."""
        return self.mlruns / "artifacts"

    @property
    def compiled(self) -> Path:
        """Where JAX keeps compiled programs: they may be removed at any time."""
        return self.mlruns / "compiled"

    @property
    def tracking_uri(self) -> str:
        """Where runs are recorded: MLFLOW_TRACKING_URI, or a database of the project's own."""
        return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{self.mlruns / 'mlflow.db'}"

    @property
    def optuna_url(self) -> str:
        """Where Optuna's programs find the trials: STUDY_OPTUNA_STORAGE, or a file of the project's own."""
        return os.environ.get("STUDY_OPTUNA_STORAGE") or f"sqlite:///{self.mlruns / 'optuna.db'}"

    def folder(self, name: str) -> Path:
        """The study's folder, with its file and its results."""
        return _own(self.root / "studies" / check_name(name))

    def data(self, name: str) -> Path:
        """The study's arrays."""
        return _own(self.root / "data" / check_name(name))

    def work(self, name: str) -> Path:
        """The study's searches in flight and their records."""
        return self.mlruns / "searches" / check_name(name)

    def openings(self, name: str) -> Path:
        """What says when the study's test split was opened; see `pipeline.records.openings`."""
        return self.work(name) / "test-openings.jsonl"

    def lock(self, name: str) -> Path:
        """What a process holds that runs the study."""
        return self.work(name) / "running"

    def study(self, name: str) -> Study:
        """The study, read and checked.

        Raises:
            StudyError: the file has problems.
        """
        study = self._loaded(name)
        if study.search.start_from is None:
            return study
        old = self._loaded(study.search.start_from)
        return replace(study, earlier=earlier(study, old, self.folder(old.name) / "trials.csv"))

    def _loaded(self, name: str) -> Study:
        folder = self.folder(name)
        return load(folder / "study.toml", Found(self.root, folder))

    def listed(self) -> list[str]:
        """The studies that params.yaml lists.

        Raises:
            StudyError: it is no list of studies that are there.
        """
        path = self.root / "params.yaml"
        advice = "Write a line `studies:`, and below it a line `  - NAME` for each study."
        try:
            found = YAML(typ="safe", pure=True).load(path.read_bytes())
        except OSError as error:
            raise StudyError.of("must be readable.", error.strerror, advice, str(path)) from error
        # What YAML's reader stumbles on is the text; a null byte or deep nesting it says otherwise.
        except (YAMLError, ValueError, RecursionError) as error:
            raise StudyError.of("must be YAML.", error, advice, str(path)) from error
        names = found.get("studies") if isinstance(found, dict) else None
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            received = "no list of names under `studies`" if isinstance(found, dict) else "no key `studies`"
            raise StudyError.of("must hold a list of studies.", received, advice, str(path))
        for name in names:
            if not (self.folder(name) / "study.toml").is_file():
                advice = f"Run: study new {name}. Or remove that line."
                raise StudyError.of("must list studies that are there.", name, advice, str(path))
        return names

    def refuse_read_only(self, name: str) -> None:
        """Pass over a study whose results can be written, before hours are spent on them.

        Raises:
            StoreError: its folder takes no files.
        """
        folder = self.folder(name)
        if not os.access(folder, os.W_OK):
            raise StoreError.of(
                "the study's folder must be writable.",
                "a folder that takes no files",
                "Mend its permissions, then run again.",
                str(folder),
            )

    def made(self, name: str, path: Path, stage: str) -> Path:
        """`path`, if an earlier stage has made it.

        Raises:
            DataError: it is not there; the message names the command that makes it.
        """
        if not path.exists():
            raise DataError.of(
                f"must be made by the stage {stage} first.",
                "nothing there",
                f"Run: study {stage} {name}",
                str(path.relative_to(self.root)),
            )
        return path


def _own(path: Path) -> Path:
    """`path`, if it is no link: what leads elsewhere is no output that DVC would watch.

    Raises:
        StoreError: it is one.
    """
    if path.is_symlink():
        raise StoreError.of(
            "must be a folder of the project's own.",
            f"a link to {path.readlink()}",
            "Put the folder itself there.",
            str(path),
        )
    return path


Told = tuple[dict[str, Value], float]


def earlier(study: Study, old: Study, path: Path) -> dict[str, list[Told]]:
    """By arm of the new study, values and score of each complete trial of the old one that it might make.

    Args:
        path: the old study's trials.csv.

    Raises:
        StudyError: the old scores say nothing of the new study's, or there are none.
    """
    where = f"studies/{study.name}/study.toml: [search] start_from"
    for part in ("dataset", "split", "objective", "trainer"):
        if getattr(study, part) != getattr(old, part):
            must = f"must name a study with the same {part}."
            raise StudyError.of(must, old.name, "Its scores do not compare: drop start_from.", where)
    if study.learner.as_settings() != old.learner.as_settings():
        raise StudyError.of("must name a study of the same model file.", old.name, "Drop start_from.", where)
    if not path.is_file():
        raise StudyError.of(
            "must name a study that has been searched.", old.name, f"Run: study search {old.name}", where
        )
    fixed = {arm.name: arm.fixed for arm in old.arms}
    made = []
    for row in read_rows(path):
        if row["state"] == "complete" and row["arm"] in fixed:
            values = {**old.defaults, **fixed[row["arm"]], **values_of(row, old.space)}
            made.append((values, float(row["score"])))
    return {
        arm.name: [(told, score) for values, score in made if (told := _told(values, study, arm)) is not None]
        for arm in study.arms
    }


def _told(values: Mapping[str, Value], study: Study, arm: Arm) -> dict[str, Value] | None:
    """The values that the arm's search would give a trial for this configuration; None: it never would."""
    space = study.space_of(arm)
    names = space.names
    if any(values.get(name) != value for name, value in arm.fixed.items() if name not in names):
        return None
    found = space.active({name: values[name] for name in names if name in values})
    is_inside = all(entry.values.holds(found[entry.name]) for entry in space if entry.name in found)
    # One that counts must be there; what the old study did not have, nobody knows.
    is_whole = all(name in values for name in names if name in found or name not in values)
    return found if is_inside and is_whole else None
