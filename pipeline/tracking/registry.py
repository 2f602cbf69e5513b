"""The model registry: a study's winners by version, and the alias `champion` on the one in use."""

from __future__ import annotations

import json
import tempfile
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.errors import StoreError
from pipeline.files import sha256
from pipeline.tracking.entry import StageFacts
from pipeline.tracking.mlflow_view import experiment, find_parent
from pipeline.tracking.store import MLFLOW_TABLES, answering, connect, is_server, is_there, probe

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import LoggedModel
    from mlflow.entities.model_registry import ModelVersion

    from pipeline.training.program import Model as TrainedModel

ALIAS = "champion"

# Of a model's folder by its flavour, the one file that may be loaded: MLmodel can name code to run.
FILES: Mapping[str, str] = {"keras": "data/model.keras", "sklearn": "model.skops"}


@dataclass(frozen=True)
class Champion:
    """A version of a study's model, in use or not: its tags, and the run that it comes from."""

    version: int
    tags: Mapping[str, str]
    run_id: str = ""

    @classmethod
    def of(cls, found: ModelVersion) -> Champion:
        """What matters of a version."""
        return cls(int(found.version), dict(found.tags), found.run_id or "")

    @property
    def file(self) -> str:
        """Where the model lies in its folder; those of earlier versions are Keras' without saying so."""
        return FILES.get(self.tags.get("flavour", "keras"), FILES["keras"])


def check_registry(uri: str) -> None:
    """Raise a StoreError if the registry can be seen to be impossible; a server may still come back."""
    with answering("MLflow", uri):
        probe(uri, MLFLOW_TABLES)


def register_winner(
    uri: str,
    artifacts: Path,
    facts: StageFacts,
    *,
    model: TrainedModel,
    input_example: np.ndarray,
    fingerprint: str,
    tags: Mapping[str, str],
    description: str,
    metrics: Mapping[str, float],
    requirements: Sequence[str],
) -> Champion:
    """Log a model with the stage's run and register it under the study's name.

    A version with the same fingerprint is returned as it is.

    Args:
        uri: the store.
        artifacts: the folder for artifacts of a database.
        facts: the stage that chose the model; its parent run becomes the model's source.
        model: takes raw inputs.
        input_example: a few of them, (1 to 5, ...), as the library's own object takes them.
        fingerprint: tells this winner from another.
        tags, description: of the version.
        metrics: for the stage's run: what the model was measured to do.
        requirements: pinned packages, such as keras==3.15.1.
    Raises:
        StoreError: MLflow does not answer, or refuses.
    """
    with answering("MLflow", uri), tempfile.TemporaryDirectory() as folder:
        client = connect(uri)
        for known in client.search_model_versions(f"name = '{facts.study}'"):
            if known.tags.get("fingerprint") == fingerprint:
                return Champion.of(known)
        experiment_id = experiment(client, uri, artifacts, facts.study)
        parent = find_parent(client, experiment_id, facts.place)
        run_id = parent.info.run_id if parent else None
        if run_id is not None:
            for name, value in metrics.items():
                client.log_metric(run_id, name, value)
        logged = client.create_logged_model(experiment_id, name="model", source_run_id=run_id)
        _save(model, Path(folder), logged, run_id, input_example, requirements)
        digest = sha256(Path(folder) / FILES[model.flavour])
        client.log_model_artifacts(logged.model_id, folder)
        client.finalize_logged_model(logged.model_id, "READY")
        marks = {**tags, "fingerprint": fingerprint, "model_sha256": digest, "flavour": model.flavour}
        return _registered(client, uri, facts.study, logged, run_id, marks, description)


def champion(uri: str, study: str) -> Champion | None:
    """The version in use, or None.

    Raises:
        StoreError: MLflow does not answer.
    """
    return _found(uri, lambda client: client.get_model_version_by_alias(study, ALIAS))


def version_of(uri: str, study: str, number: int) -> Champion | None:
    """A version by its number, whether it is in use or not, or None.

    Raises:
        StoreError: MLflow does not answer.
    """
    return _found(uri, lambda client: client.get_model_version(study, str(number)))


def latest_version(uri: str, study: str) -> int:
    """The number of the newest version; 0 where there is none.

    Raises:
        StoreError: MLflow does not answer.
    """
    if not is_there(uri):
        return 0
    with answering("MLflow", uri):
        versions = connect(uri, may_make=False).search_model_versions(f"name = '{study}'")
        return max((int(version.version) for version in versions), default=0)


def _found(uri: str, look: Callable[[MlflowClient], ModelVersion]) -> Champion | None:
    if not is_there(uri):
        return None
    with answering("MLflow", uri):
        client = connect(uri, may_make=False)
        from mlflow.exceptions import MlflowException

        try:
            version = look(client)
        except MlflowException as error:
            # No such model is the one, no such alias the other.
            if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                return None
            raise
        return Champion.of(version)


def promote(uri: str, study: str, version: int) -> None:
    """Make `version` the one in use.

    Raises:
        StoreError: MLflow does not answer, or has no such version.
    """
    with answering("MLflow", uri):
        connect(uri).set_registered_model_alias(study, ALIAS, str(version))


def fetch_model(uri: str, study: str, chosen: Champion, folder: Path) -> Path:
    """Copy a version's one file into `folder`, if it is the file whose SHA-256 the version has.

    Raises:
        StoreError: MLflow does not answer, has no such version, or has another file.
    """
    with answering("MLflow", uri):
        place = connect(uri).get_model_version_download_uri(study, str(chosen.version))
        file = _downloaded(uri, f"{place.rstrip('/')}/{chosen.file}", folder)
    digest, model_sha256 = sha256(file), chosen.tags.get("model_sha256", "")
    if digest != model_sha256:
        file.unlink()
        raise StoreError.of(
            f"the file must be the one that was registered, with SHA-256 {model_sha256}.",
            digest,
            "Do not use it; restore the artifacts, or run the confirm stage again.",
            f"model {study} version {chosen.version}",
        )
    return file


def fetch_card(uri: str, run_id: str, folder: Path) -> Path:
    """Copy the data card that a stage's run keeps into `folder`.

    Raises:
        StoreError: MLflow does not answer, or has no such file.
    """
    with answering("MLflow", uri):
        connect(uri)
        return _downloaded(uri, f"runs:/{run_id}/card.json", folder)


def champion_sha256(uri: str, study: str) -> tuple[Champion, str] | None:
    """The version in use and the SHA-256 of its file as it is; None where none is, or it is not ours.

    Raises:
        StoreError: MLflow does not answer, or the file cannot be read.
    """
    found = champion(uri, study)
    if found is None or "model_sha256" not in found.tags:
        return None
    with answering("MLflow", uri), tempfile.TemporaryDirectory() as folder:
        place = connect(uri, may_make=False).get_model_version_download_uri(study, str(found.version))
        return found, sha256(_downloaded(uri, f"{place.rstrip('/')}/{found.file}", Path(folder)))


def _downloaded(uri: str, source: str, folder: Path) -> Path:
    from mlflow.artifacts import download_artifacts

    folder.mkdir(parents=True, exist_ok=True)
    return Path(download_artifacts(artifact_uri=source, dst_path=str(folder), tracking_uri=uri))


def _save(
    model: TrainedModel,
    folder: Path,
    logged: LoggedModel,
    run_id: str | None,
    input_example: np.ndarray,
    requirements: Sequence[str],
) -> None:
    with warnings.catch_warnings():
        # MLflow's model flavours, when they are loaded, warn of type hints of their own.
        warnings.filterwarnings("ignore", ".*Any type hint is inferred", UserWarning)
        import mlflow.pyfunc  # noqa: F401  the flavours need it
    from mlflow.models import Model, infer_signature

    save = {"keras": _save_keras, "sklearn": _save_sklearn}[model.flavour]
    save(
        model.native,
        str(folder),
        mlflow_model=Model(
            artifact_path=logged.artifact_location,
            model_uuid=logged.model_id,
            model_id=logged.model_id,
            run_id=run_id,
        ),
        signature=infer_signature(input_example, model.predict(input_example)),
        input_example=input_example,
        # Inferring them would load the model in a new process: 19 s.
        pip_requirements=list(requirements),
    )


def _save_keras(native: Any, folder: str, **about: Any) -> None:
    import mlflow.keras

    mlflow.keras.save_model(native, folder, **about)


def _save_sklearn(native: Any, folder: str, **about: Any) -> None:
    import mlflow.sklearn

    from pipeline.training.estimator import TRUSTED

    mlflow.sklearn.save_model(
        native,
        folder,
        serialization_format="skops",
        skops_trusted_types=list(TRUSTED),
        pyfunc_predict_fn="predict_proba" if hasattr(native, "predict_proba") else "predict",
        **about,
    )


def _registered(
    client: MlflowClient,
    uri: str,
    study: str,
    logged: LoggedModel,
    run_id: str | None,
    tags: Mapping[str, str],
    description: str,
) -> Champion:
    from mlflow.entities import LoggedModelOutput
    from mlflow.exceptions import MlflowException

    with suppress(MlflowException):
        client.create_registered_model(study)
    # A server wants the model's id; for a database, MLflow would look it up in the process's default store.
    model_id = logged.model_id if is_server(uri) else None
    source = f"models:/{model_id}" if model_id else logged.artifact_location
    version = client.create_model_version(
        study, source, run_id=run_id, tags=dict(tags), description=description, model_id=model_id
    )
    versions = [{"name": study, "version": version.version}]
    client.set_logged_model_tags(logged.model_id, {"mlflow.modelVersions": json.dumps(versions)})
    if run_id is not None:
        client.log_outputs(run_id, [LoggedModelOutput(logged.model_id, 0)])
    return Champion.of(version)
