"""Every training is an MLflow run; a training never depends on it.

The store is $MLFLOW_TRACKING_URI, or `mlflow.db` and `mlartifacts/` in the project's folder. Runs are opened by their id, never
as MLflow's global active run, which other libraries open and close as they like.
"""

import logging
import os
import platform
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cache
from importlib.metadata import version
from pathlib import Path
from shutil import copy, copytree
from typing import TYPE_CHECKING, Any

import numpy as np
import psutil
import yaml

from tasks.common.cli import QUIET
from tasks.common.files import MACHINE, write_text
from tasks.common.flat import flat
from tasks.learning import champion, relocated
from tasks.params.experiment import Winner
from tasks.profile import Profile

if TYPE_CHECKING:
    from mlflow import MlflowClient

logger = logging.getLogger(__name__)

CODE = Path(__file__).resolve().parents[2]
# What a saved model needs to load again.
PACKAGES = (
    "constriction", "mlflow", "numpy", "opencv-python-headless", "pandas", "pillow", "psutil", "pyarrow", "pydantic", "pyyaml", "safetensors", "scipy", "torch",
    "torchvision", "typer", "ultralytics-opencv-headless",
)  # fmt: skip
# MLflow's own patience with a server that does not answer is minutes for each call. Its log and its bars would break into ours.
SETTINGS = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "4",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
}
MODEL = "model"
# MLflow's page then opens on metrics and charts, and not on what is for language models.
KIND = {"mlflow.experimentKind": "custom_model_development"}
NOTE = "mlflow.note.content"
# The tag that says which process writes a run.
PROCESS = "process"
SQLITE = "sqlite:///"
METRICS_A_BATCH = 1000
# Seconds for which metrics are gathered: a database takes longer to write one epoch's than an epoch of a small network takes.
GATHERED = 1.0
PARAMETERS_A_BATCH = 100


def uri(root: Path) -> str:
    """Where runs are kept: $MLFLOW_TRACKING_URI, or a database in the project's folder."""
    return os.environ.get("MLFLOW_TRACKING_URI") or _own(root)


def _own(root: Path) -> str:
    """The database in the project's folder."""
    return f"{SQLITE}{(root / 'mlflow.db').as_posix()}"


def artifacts(root: Path) -> Path:
    """Where the files of runs are kept, for stores that are not servers."""
    return root / relocated.FOLDER


def connect(root: Path) -> "MlflowClient":
    """A client of the store, whose database is made if there is none, and is put right where the project was moved. Raises what MLflow raises."""
    for name, value in (QUIET | SETTINGS).items():
        os.environ.setdefault(name, value)
    # MLflow takes seconds to import.
    from mlflow import MlflowClient

    with _alone(uri(root)):
        if uri(root) == _own(root):
            relocated.relocate(Path(_own(root).removeprefix(SQLITE)), root)
        return MlflowClient(uri(root))


def _alone(store: str) -> AbstractContextManager[Any]:
    """Processes that make one SQLite database at once destroy it: one at a time."""
    if not store.startswith(SQLITE):
        return nullcontext()
    from filelock import FileLock

    database = Path(store.removeprefix(SQLITE))
    database.parent.mkdir(parents=True, exist_ok=True)
    return FileLock(f"{database}.lock", timeout=120)


class Run:
    """A run that is written to as long as the store answers; after its first failure every call does nothing."""

    def __init__(self, profile: Profile) -> None:
        self.id: str | None = None
        self._root = profile.root
        self._experiment = ""  # MLflow's id of the experiment
        self._client: MlflowClient | None = None
        self._finished_before = False
        self._failed = False
        self._model: str | None = None  # the id of what `log_model` kept
        self._gathered: list[tuple[str, float, int, int]] = []  # name, value, time in milliseconds, step
        self._written = 0.0

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Note `metrics`, and write what was noted within the last second in one batch; the end of the run writes the rest."""
        now = time.time()
        self._gathered += [(name, float(value), int(now * 1000), step or 0) for name, value in metrics.items()]
        if now - self._written >= GATHERED:
            self._write_gathered()

    def _write_gathered(self) -> None:
        gathered, self._gathered, self._written = self._gathered, [], time.time()

        def write(client: "MlflowClient") -> None:
            from mlflow.entities import Metric

            values = [Metric(*noted) for noted in gathered]
            for start in range(0, len(values), METRICS_A_BATCH):
                client.log_batch(self._id, metrics=values[start : start + METRICS_A_BATCH])

        if gathered:
            self._attempt(write)

    def tag(self, tags: Mapping[str, str]) -> None:
        """Set tags of the run."""

        def write(client: "MlflowClient") -> None:
            from mlflow.entities import RunTag

            client.log_batch(self._id, tags=[RunTag(key, value) for key, value in _text(tags).items()])

        self._attempt(write)

    def log_artifact(self, path: Path, folder: str = "") -> None:
        """Keep a copy of a file, or of a folder's content, under `folder` of the run."""

        def write(client: "MlflowClient") -> None:
            keep = client.log_artifacts if path.is_dir() else client.log_artifact
            keep(self._id, str(path), folder or None)

        self._attempt(write)

    def log_model(self, weights: Path, example: np.ndarray) -> None:
        """Keep the network of a weights file as `runs:/<id>/model`, which `mlflow.pyfunc.load_model` loads without this project.

        `example`: images, uint8 (N, H, W, C), for the signature; models that take no images have their kind's own. Nothing is pickled: the model is its weights and our code.
        """

        def write(client: "MlflowClient") -> None:
            from mlflow import pyfunc
            from mlflow.entities import LoggedModelOutput
            from mlflow.models import Model, infer_signature

            from tasks.learning import served_model

            served = served_model.ServedModel(weights)
            given = served.example(example)
            model = client.create_logged_model(self._experiment, MODEL, self._id, model_type=served.configuration.task)
            with tempfile.TemporaryDirectory() as temporary:
                saved = Path(temporary)
                copy(weights, saved / "weights.safetensors")
                _copy_code(saved / "code")
                # Written here and not by `pyfunc.save_model`, which reads the records of all installed packages: seconds a training.
                write_text(saved / "requirements.txt", "".join(f"{package}=={_public(package)}\n" for package in PACKAGES))
                environment = {"python": platform.python_version(), "dependencies": ["-r requirements.txt"]}
                write_text(saved / "python_env.yaml", yaml.safe_dump(environment))
                described = Model(
                    artifact_path=model.artifact_location,
                    run_id=self._id,
                    model_id=model.model_id,
                    model_uuid=model.model_id,
                    signature=infer_signature(given, served.predict(given)),
                    metadata=served.configuration.model_dump(mode="json"),
                )
                pyfunc.add_to_model(
                    described,
                    loader_module=served_model.__name__,
                    data="weights.safetensors",
                    code="code",
                    python_env="python_env.yaml",
                )
                described.save(saved / "MLmodel")
                client.log_model_artifacts(model.model_id, str(saved))
            client.finalize_logged_model(model.model_id, "READY")
            client.log_outputs(self._id, [LoggedModelOutput(model.model_id, step=0)])
            self._model = model.model_id

        self._attempt(write)

    def register(self, name: str, alias: str) -> None:
        """Make the network that was logged last a version of the registered model `name`.

        `alias` points to it from now on where nothing better on the same data has it (`tasks.learning.champion`). Where it stays with
        another version, the new one's description says why.
        """

        def write(client: "MlflowClient") -> None:
            if not client.search_registered_models(f"name = '{name}'"):
                client.create_registered_model(name)
            holder = client.get_registered_model(name).aliases.get(alias)
            held = _find(client, str(client.get_model_version(name, holder).run_id)) if holder else None
            why = champion.why_not(client, client.get_run(self._id), held) if held else ""
            # A store that is no server looks `models:/<id>` up in MLflow's global store, which may be another one.
            server = uri(self._root).startswith("http")
            source = f"models:/{self._model}" if server else client.get_logged_model(str(self._model)).artifact_location
            description = f"{alias} stays version {holder}: {why}" if why else None
            made = client.create_model_version(name, source, self._id, description=description, model_id=self._model)
            if why:
                logger.warning(
                    "%s: version %s of MLflow's model stays its %s, not version %s: %s", name, holder, alias, made.version, why
                )
            else:
                client.set_registered_model_alias(name, alias, made.version)

        self._write_gathered()  # by which the holder is compared
        if self._model:
            self._attempt(write)

    def end(self, status: str) -> None:
        """End a run that `start` opened: FINISHED, FAILED or KILLED."""
        self._close(status)

    @property
    def _id(self) -> str:
        assert self.id is not None
        return self.id

    def _open(
        self, experiment: str, name: str, parameters: Mapping[str, Any], tags: Mapping[str, Any], run_id: str | None
    ) -> None:
        def write(client: "MlflowClient") -> None:
            from mlflow.entities import Param, RunTag

            known = [RunTag(key, value) for key, value in _text(tags).items()]
            if run_id is not None and (run := _find(client, run_id)) is not None:
                self.id, self._experiment = run_id, run.info.experiment_id
                self._finished_before = run.info.status == "FINISHED"
                if not self._finished_before:
                    client.update_run(run_id, status="RUNNING")
                    client.set_tag(run_id, PROCESS, _process())
                client.log_batch(run_id, tags=known)
                return
            self._experiment = _experiment(client, self._root, experiment)
            self.id = client.create_run(self._experiment, run_name=name, tags={PROCESS: _process()}).info.run_id
            values = [Param(key, value) for key, value in _text(parameters).items()]
            client.log_batch(self.id, tags=known)
            for start in range(0, len(values), PARAMETERS_A_BATCH):
                client.log_batch(self.id, params=values[start : start + PARAMETERS_A_BATCH])
            client.log_text(self.id, _environment(), "environment/requirements.txt")

        self._attempt(write)

    def _close(self, status: str) -> None:
        self._write_gathered()
        # A run that had ended well is only added to: its time is the training's, not that of what was added later.
        if not self._finished_before:
            self._attempt(lambda client: client.set_terminated(self._id, status))

    def _attempt(self, write: Callable[["MlflowClient"], None]) -> None:
        if self._failed:
            return
        # urllib3 warns of every retry on its own; ours is the one warning.
        retries = logging.getLogger("urllib3.connectionpool")
        level = retries.level
        retries.setLevel(logging.ERROR)
        try:
            with warnings.catch_warnings():
                # What MLflow thinks of its own code.
                warnings.filterwarnings("ignore", module="mlflow")
                if self._client is None:
                    self._client = connect(self._root)
                write(self._client)
        except Exception as error:
            self._failed = True
            reason = (str(error) or type(error).__name__).splitlines()[0]
            logger.warning("MLflow at %s failed, the work goes on without it: %s", uri(self._root), reason)
        finally:
            retries.setLevel(level)


@contextmanager
def run(
    profile: Profile,
    experiment: str,
    name: str,
    parameters: Mapping[str, Any],
    tags: Mapping[str, Any],
    run_id: str | None = None,
) -> Iterator[Run]:
    """A run of the MLflow experiment `comparison`, FINISHED at the end of the block, FAILED by an exception, KILLED by a signal (Ctrl-C, or what Prefect raises
    where a run's process is asked to end).

    Nested `parameters` and `tags` become `a.b.c`. `run_id` goes on with a run if the store has it, otherwise a new one is made.
    Where MLflow fails, at the start or later, one warning is logged, and the block goes on without it.
    """
    tracked = start(profile, experiment, name, parameters, tags, run_id)
    try:
        yield tracked
    except (Exception, SystemExit):
        tracked._close("FAILED")
        raise
    except BaseException:
        tracked._close("KILLED")
        raise
    tracked._close("FINISHED")


def start(
    profile: Profile,
    experiment: str,
    name: str,
    parameters: Mapping[str, Any],
    tags: Mapping[str, Any],
    run_id: str | None = None,
) -> Run:
    """What `run` opens, for one of several at a time: `Run.end` ends it."""
    tracked = Run(profile)
    tracked._open(comparison(profile, experiment), name, parameters, {NOTE: note(profile, experiment), **tags}, run_id)
    return tracked


def comparison(profile: Profile, name: str) -> str:
    """The MLflow experiment that a run belongs to: one for all that learn from one prepared data set of a profile, so that they compare.

    What is no experiment of params.yaml, as a sweep with its trials, a study or annotations, has one of its own.
    """
    data = _data(profile, name)
    return f"{profile.name}/{data}" if data else name


def note(profile: Profile, name: str) -> str:
    """What MLflow shows above a run: what it is of, and how it is made again."""
    if not (data := _data(profile, name)):
        return f"`{name}` of the profile {profile.name}."
    folder = "" if profile.name == "sample" else f"cd {profile.name} && "
    return f"`{name}` of the profile {profile.name}, which learns from {data}. Again: `{folder}dvc repro evaluate@{name}`"


def _data(profile: Profile, name: str) -> str:
    block = profile.params.experiments.get(name)
    if isinstance(block, Winner):
        return profile.params.sweeps[block.sweep].data
    return block.data if block else ""


def end_left(root: Path) -> None:
    """End, as KILLED, the store's runs whose process on this machine is no longer alive. Makes the store if there is none."""
    client = connect(root)
    for experiment in client.search_experiments():
        for run in client.search_runs([experiment.experiment_id], "attributes.status = 'RUNNING'"):
            machine, _, number = run.data.tags.get(PROCESS, "").partition("-")
            number, _, born = number.partition("-")
            if machine == MACHINE and _process(int(number)) != f"{machine}-{number}-{born}":
                client.set_terminated(run.info.run_id, "KILLED")


def _process(number: int | None = None) -> str:
    """A process of this machine, by default this one, with its start: another one may get its number."""
    try:
        process = psutil.Process(number)
        return f"{MACHINE}-{process.pid}-{process.create_time():.0f}"
    except psutil.NoSuchProcess:
        return ""


def _experiment(client: "MlflowClient", root: Path, name: str) -> str:
    """MLflow's id of the experiment, made if there is none."""
    with _alone(uri(root)):
        if found := client.get_experiment_by_name(name):
            return str(found.experiment_id)
        local = not uri(root).startswith(("http://", "https://"))
        return client.create_experiment(name, (artifacts(root) / name).as_uri() if local else None, tags=KIND)


def _find(client: "MlflowClient", run_id: str) -> Any:
    """The run, or None where this store does not have it: ids travel with results to machines that never saw the run."""
    from mlflow.exceptions import MlflowException

    try:
        return client.get_run(run_id)
    except MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            return None
        raise


def _public(package: str) -> str:
    """The version that every index has: `2.14.1` of a `2.14.1+cpu`, which meets it too."""
    return version(package).partition("+")[0]


@cache
def _environment() -> str:
    """What is installed, as a requirements file: from the folders' names, since reading every package's record takes a second."""
    folders = {found.stem for path in sys.path for found in Path(path).glob("*.dist-info")}
    pairs = [folder.rsplit("-", 1) for folder in folders if "-" in folder]
    return "".join(f"{name}=={version}\n" for name, version in sorted(pairs, key=lambda pair: pair[0].lower()))


def _text(values: Mapping[str, Any]) -> dict[str, str]:
    """Flat keys, with values of the longest length that MLflow takes."""
    return {key: str(value)[:5000] for key, value in flat(values).items()}


def _copy_code(folder: Path) -> None:
    """The packages that a saved model imports: their Python files alone."""

    def others(here: str, names: list[str]) -> list[str]:
        return [n for n in names if not n.endswith(".py") and (not Path(here, n).is_dir() or n in ("weights", "__pycache__"))]

    for package in ("models", "tasks"):
        copytree(CODE / package, folder / package, ignore=others)
