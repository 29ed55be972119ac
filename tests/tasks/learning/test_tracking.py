import json
import logging
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from prefect.exceptions import TerminationSignal
from torch import nn

from tasks import config
from tasks.kinds.caption import use
from tasks.learning import relocated, tensors, tracking, weights
from tasks.profile import Profile
from tasks.words.vocabulary import SPECIAL

MakeProfile = Callable[..., Profile]
# The MLflow experiment of all that learn from the data of `classes`.
TOGETHER = "sample/tiny-classes"
TINY = {"experiment": "classes", "seed": 0, "git_commit": "unknown", "data_hash": "0", "size": 16, "inputs": 3}
CLASSES = ("red", "green", "blue")
NETWORKS = {
    "classify": {
        "network": "cnn",
        "architecture": {"widths": [4], "pools": [0]},
        "outputs": 3,
        "classes": ("red", "green", "blue"),
    },
    "translate": {"network": "autoencoder", "architecture": {"widths": [4]}, "outputs": 1},
}
LARGE = {
    "detect": {"network": "yolov8", "architecture": {}, "outputs": 3, "classes": CLASSES, "threshold": 0.5},
    "caption": {
        "network": "caption",
        "architecture": {"width": 8, "heads": 2},
        "outputs": 7,
        "classes": (*SPECIAL, "a", "red", "dog"),
    },
    "compress": {"network": "codec", "architecture": {"width": 8, "features": 8, "hidden": 8, "blocks": 1}, "outputs": 3},
}
IMAGES = np.random.default_rng(0).integers(0, 256, (3, 16, 16, 3), dtype=np.uint8)
LOAD = """
import sys
import mlflow, numpy
model = mlflow.pyfunc.load_model(sys.argv[1])
numpy.save(sys.argv[3], model.predict(numpy.load(sys.argv[2])))
import tasks
print(tasks.__file__)
"""


@pytest.fixture
def client() -> Any:
    return tracking.connect(Path())


def data(client: Any, run: tracking.Run) -> Any:
    return client.get_run(run.id)


class Logged(NamedTuple):
    run: tracking.Run
    network: nn.Module


def log_model(profile: Profile, task: str, folder: Path, images: np.ndarray = IMAGES) -> Logged:
    values = {**TINY, "size": images.shape[1], "task": task, **(NETWORKS | LARGE)[task]}
    configuration = weights.Configuration.model_validate(values)
    network = configuration.build().eval()
    weights.save(folder / "weights.safetensors", network, configuration)
    with tracking.run(profile, "classes", "seed-0", {}, {}) as run:
        run.log_model(folder / "weights.safetensors", images)
    return Logged(run, network)


def test_experiments_on_the_same_data_are_runs_of_one_experiment_and_say_how_they_are_made_again(
    make_profile: MakeProfile, client: Any
) -> None:
    profile = make_profile()
    for name in ("classes", "another", "unknown"):
        profile.params.experiments.setdefault("another", profile.params.experiments["classes"])
        with tracking.run(profile, name, f"{name}-seed-0", {}, {}):
            pass
    together = client.get_experiment_by_name(TOGETHER)
    assert together.tags["mlflow.experimentKind"] == "custom_model_development"
    notes = {run.info.run_name: run.data.tags["mlflow.note.content"] for run in client.search_runs([together.experiment_id])}
    assert notes.keys() >= {"classes-seed-0", "another-seed-0"}
    assert "dvc repro evaluate@another" in notes["another-seed-0"]
    assert client.get_experiment_by_name("unknown"), "a sweep, a study or photographs have one of their own"


def test_a_run_keeps_parameters_metrics_files_and_environment(make_profile: MakeProfile, client: Any, tmp_path: Path) -> None:
    (tmp_path / "figure.png").write_bytes(b"png")
    parameters = {"train": {"optimizer": {"lr": 0.1}}, **{f"p{i}": i for i in range(150)}}
    with tracking.run(make_profile(), "classes", "seed-0", parameters, {"versions": {"torch": "2"}}) as run:
        run.log_metrics({"loss": 2.0, "accuracy": 0.25}, 1)
        run.log_metrics({"loss": 1.0, "accuracy": 0.5}, 2)
        run.log_artifact(tmp_path / "figure.png", "figures")
    kept = data(client, run)
    assert kept.info.status == "FINISHED"
    assert kept.info.run_name == "seed-0"
    assert kept.data.params["train.optimizer.lr"] == "0.1"
    assert len(kept.data.params) == 151
    assert kept.data.tags["versions.torch"] == "2"
    assert [(m.step, m.value) for m in client.get_metric_history(run.id, "loss")] == [(1, 2.0), (2, 1.0)]
    assert [f.path for f in client.list_artifacts(run.id, "figures")] == ["figures/figure.png"]
    environment = Path(client.download_artifacts(run.id, "environment/requirements.txt", str(tmp_path))).read_text()
    assert "mlflow==" in environment


class Terminated(TerminationSignal):
    """What Prefect raises where the process of a run is asked to end."""

    def __init__(self) -> None:
        super().__init__(signal.SIGTERM)


@pytest.mark.parametrize(
    ("error", "status"), [(ValueError, "FAILED"), (SystemExit, "FAILED"), (KeyboardInterrupt, "KILLED"), (Terminated, "KILLED")]
)
def test_what_ends_the_block_is_the_state(
    make_profile: MakeProfile, client: Any, error: type[BaseException], status: str
) -> None:
    with pytest.raises(error), tracking.run(make_profile(), "classes", "seed-0", {}, {}) as run:
        raise error
    assert data(client, run).info.status == status


def test_a_run_whose_process_is_gone_ends_as_killed(make_profile: MakeProfile, client: Any) -> None:
    profile = make_profile()
    gone, alive, elsewhere = (tracking.start(profile, "classes", name, {}, {}) for name in ("gone", "alive", "elsewhere"))
    # The same number, another process; and one that this machine cannot know.
    machine, number, _ = tracking._process().split("-")
    client.set_tag(gone.id, tracking.PROCESS, f"{machine}-{number}-1")
    client.set_tag(elsewhere.id, tracking.PROCESS, "01234567-1-1")
    tracking.end_left(profile.root)
    assert [data(client, run).info.status for run in (gone, alive, elsewhere)] == ["KILLED", "RUNNING", "RUNNING"]
    for run in (alive, elsewhere):
        run.end("FINISHED")


def test_a_run_goes_on_by_its_id(make_profile: MakeProfile, client: Any) -> None:
    profile = make_profile()
    with pytest.raises(KeyboardInterrupt), tracking.run(profile, "classes", "seed-0", {"lr": 1}, {}) as first:
        raise KeyboardInterrupt
    with tracking.run(profile, "classes", "seed-0", {"lr": 2}, {"device": "cpu"}, run_id=first.id) as second:
        assert data(client, second).info.status == "RUNNING"
        second.log_metrics({"loss": 1.0}, 5)
    kept = data(client, second)
    assert second.id == first.id
    assert (kept.info.status, kept.data.params, kept.data.metrics) == ("FINISHED", {"lr": "1"}, {"loss": 1.0})
    assert kept.data.tags["device"] == "cpu"


def test_a_finished_run_is_only_added_to(make_profile: MakeProfile, client: Any) -> None:
    profile = make_profile()
    with tracking.run(profile, "classes", "seed-0", {}, {}) as run:
        pass
    before = data(client, run).info
    with pytest.raises(KeyboardInterrupt), tracking.run(profile, "classes", "test", {}, {}, run_id=run.id) as again:
        again.log_metrics({"test_accuracy": 0.5})
        raise KeyboardInterrupt
    after = data(client, run)
    assert (after.info.status, after.info.end_time) == ("FINISHED", before.end_time)
    assert after.data.metrics == {"test_accuracy": 0.5}


def test_an_id_of_another_store_gets_a_run_of_its_own(make_profile: MakeProfile, client: Any) -> None:
    foreign = "0123456789abcdef0123456789abcdef"
    with tracking.run(make_profile(), "classes", "seed-0", {"lr": 1}, {}, run_id=foreign) as run:
        pass
    assert run.id not in (None, foreign)
    assert data(client, run).data.params == {"lr": "1"}


def test_a_model_loads_in_a_fresh_process_without_the_project(make_profile: MakeProfile, tmp_path: Path) -> None:
    logged = log_model(make_profile(), "classify", tmp_path)
    np.save(tmp_path / "images.npy", IMAGES)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    command = [sys.executable, "-c", LOAD, f"runs:/{logged.run.id}/model", "../images.npy", "../outputs.npy"]
    done = subprocess.run(command, cwd=elsewhere, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert not done.stdout.startswith(str(tracking.CODE)), "the code comes with the model"
    outputs = np.load(tmp_path / "outputs.npy")
    logits = tensors.predict(logged.network, IMAGES, precision="fp32")
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    assert outputs.dtype == np.float32
    np.testing.assert_allclose(outputs, powers / powers.sum(axis=1, keepdims=True), atol=1e-5)


@pytest.mark.slow
def test_a_model_needs_nothing_but_what_its_requirements_name(make_profile: MakeProfile, client: Any, tmp_path: Path) -> None:
    """Other packages of this environment are hidden from the process that loads models of every kind."""
    profile, folders = make_profile(), []
    images = np.random.default_rng(0).integers(0, 256, (3, 64, 64, 3), dtype=np.uint8)
    for task in (*NETWORKS, *LARGE):
        (folder := tmp_path / task).mkdir()
        run = log_model(profile, task, folder, images).run
        folders.append(client.download_artifacts(run.id, "model", str(folder)))
    np.save(tmp_path / "images.npy", images)
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    command = [sys.executable, str(Path(__file__).with_name("served.py")), str(tmp_path / "images.npy"), *folders]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    said = json.loads(done.stdout.partition("ANSWERS ")[2])
    assert said["answers"][0] == [len(IMAGES), len(CLASSES)]
    assert all(file.startswith(str(tmp_path)) for file in said["code"]), "the code comes with the model"
    assert {"ray", "prefect", "dvc", "gradio"} <= set(said["hidden"])


@pytest.mark.filterwarnings("ignore:.*type hint.*:UserWarning:mlflow")
def test_a_model_of_images_returns_images(make_profile: MakeProfile, tmp_path: Path) -> None:
    logged = log_model(make_profile(), "translate", tmp_path)
    from mlflow import pyfunc

    outputs = pyfunc.load_model(f"runs:/{logged.run.id}/model").predict(IMAGES)
    expected = tensors.to_bytes(tensors.predict(logged.network, IMAGES, precision="fp32"))
    assert outputs.dtype == np.uint8
    np.testing.assert_array_equal(outputs, expected)


@pytest.mark.filterwarnings("ignore:.*type hint.*:UserWarning:mlflow")
def test_a_model_of_captions_returns_sentences(make_profile: MakeProfile, client: Any, tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (3, 64, 64, 3), dtype=np.uint8)
    logged = log_model(make_profile(), "caption", tmp_path, images)
    from mlflow import pyfunc
    from mlflow.models import Model

    sentences = pyfunc.load_model(f"runs:/{logged.run.id}/model").predict(images)
    assert sentences.shape == (3,)
    assert all({*sentence.split()} <= {"a", "red", "dog"} for sentence in sentences)
    _, configuration = weights.load(tmp_path / "weights.safetensors")
    assert [*sentences] == [said.text for said in use.captions(logged.network, configuration, images, "fp32")]
    assert max(map(len, sentences)) > 0
    signature = Model.load(Path(client.download_artifacts(logged.run.id, "model", str(tmp_path)))).signature
    assert json.loads(signature.to_dict()["outputs"])[0]["tensor-spec"] == {"dtype": "str", "shape": [-1]}


def test_a_model_says_what_it_takes_and_holds_no_pickle(make_profile: MakeProfile, client: Any, tmp_path: Path) -> None:
    run = log_model(make_profile(), "classify", tmp_path).run
    from mlflow.models import Model

    folder = Path(client.download_artifacts(run.id, "model", str(tmp_path)))
    model = Model.load(folder)
    assert model.signature is not None
    inputs, outputs = (json.loads(model.signature.to_dict()[side])[0]["tensor-spec"] for side in ("inputs", "outputs"))
    assert inputs == {"dtype": "uint8", "shape": [-1, 16, 16, 3]}
    assert outputs == {"dtype": "float32", "shape": [-1, 3]}
    assert model.metadata["classes"] == ["red", "green", "blue"]
    assert {f.suffix for f in folder.rglob("*") if f.is_file()} <= {"", ".py", ".yaml", ".txt", ".json", ".safetensors"}


def kept_in(project: Path, name: str) -> str:
    """The id of a run with a file and a registered model in the project's own store."""
    profile = config.load(project)
    with tracking.run(profile, "classes", name, {}, {}) as run:
        (project / "note.txt").write_text(name)
        run.log_artifact(project / "note.txt", "notes")
        configuration = weights.Configuration.model_validate({**TINY, "task": "classify", **NETWORKS["classify"]})
        weights.save(project / "weights.safetensors", configuration.build().eval(), configuration)
        run.log_model(project / "weights.safetensors", IMAGES)
        run.register("tiny", "champion")
    return str(run.id)


@pytest.mark.filterwarnings("ignore:.*type hint.*:UserWarning:mlflow")
def test_a_project_that_was_copied_or_moved_finds_its_files_where_it_stands(
    make_profile: MakeProfile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow import pyfunc

    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    monkeypatch.chdir(tmp_path)
    projects = [tmp_path / "a folder", tmp_path / "copied", tmp_path / "moved"]
    make_profile().folder.rename(projects[0])
    kept = {"first": kept_in(projects[0], "first")}
    shutil.copytree(projects[0], projects[1])
    shutil.rmtree(projects[0] / "mlartifacts")
    kept["second"] = kept_in(projects[1], "second")
    shutil.move(projects[1], projects[2])
    client = tracking.connect(projects[2])
    for said, run in kept.items():
        assert Path(client.download_artifacts(run, "notes/note.txt")).read_text() == said
        assert client.get_run(run).info.artifact_uri.startswith((projects[2] / "mlartifacts").as_uri())
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{projects[2]}/mlflow.db")
    assert len(pyfunc.load_model("models:/tiny@champion").predict(IMAGES)) == len(IMAGES)
    assert client.get_model_version_by_alias("tiny", "champion").run_id == kept["first"]
    assert not [path for path in projects[:2] if (path / "mlartifacts").exists()], "nothing is written where it stood"
    assert not (tmp_path / "mlflow.db").exists(), "nor into the folder in which a command was run"


def test_files_that_did_not_come_along_are_named(
    make_profile: MakeProfile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    before = make_profile().folder
    with tracking.run(config.load(before), "classes", "first", {}, {}):
        pass
    after = tmp_path / "after"
    shutil.copytree(before, after, ignore=shutil.ignore_patterns("mlartifacts"))
    for _ in range(2):  # it is said once
        tracking.connect(config.load(after).root)
    said = [record.getMessage() for record in caplog.records if record.name == relocated.__name__]
    assert said == [
        f"MLflow's files of {TOGETHER} ({(before / 'mlartifacts' / TOGETHER).as_uri()}) did not come along with the project; "
        f"copy them into {after / 'mlartifacts'}"
    ]


def test_a_database_that_is_not_the_project_s_own_keeps_its_paths(make_profile: MakeProfile, client: Any, tmp_path: Path) -> None:
    """Several projects may share one: the files of each stay where it put them."""
    profile = make_profile()
    with tracking.run(profile, "shared", "first", {}, {}) as run:
        pass
    was = data(client, run).info.artifact_uri
    other = tmp_path / "other"
    other.mkdir()
    tracking.connect(other)
    assert data(client, run).info.artifact_uri == was


@pytest.mark.parametrize("silent", [False, True], ids=["refuses", "never-answers"])
def test_a_server_out_of_reach_costs_one_warning_and_seconds(
    make_profile: MakeProfile, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, silent: bool
) -> None:
    profile = make_profile()
    with socket.socket() as server, caplog.at_level(logging.WARNING):
        server.bind(("127.0.0.1", 0))
        if silent:
            server.listen()
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{server.getsockname()[1]}")
        monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
        start = time.monotonic()
        with tracking.run(profile, "classes", "seed-0", {}, {}) as run:
            for epoch in range(20):
                run.log_metrics({"loss": 1.0}, epoch)
            run.log_artifact(profile.folder / "params.yaml")
            run.log_model(profile.folder / "none.safetensors", IMAGES)
        seconds = time.monotonic() - start
    assert run.id is None
    assert len(caplog.records) == 1
    assert "goes on" in caplog.text
    # Two attempts, and not two for each of the 23 calls.
    assert seconds < 8


def test_short_epochs_share_a_write_and_none_is_lost(
    make_profile: MakeProfile, client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow import MlflowClient

    written: list[int] = []
    log_batch = MlflowClient.log_batch

    def counted(self: Any, run_id: str, *rest: Any, metrics: Sequence[Any] = (), **others: Any) -> Any:
        written.extend([len(metrics)] if metrics else [])
        return log_batch(self, run_id, *rest, metrics=metrics, **others)

    monkeypatch.setattr(MlflowClient, "log_batch", counted)
    monkeypatch.setattr(tracking, "GATHERED", 3600.0)
    with tracking.run(make_profile(), "classes", "seed-0", {}, {}) as run:
        for epoch in range(20):
            run.log_metrics({"loss": 1.0 / (1 + epoch)}, epoch)
        assert written == [1], "the first is seen at once"
    assert written == [1, 19]
    assert [m.step for m in client.get_metric_history(run.id, "loss")] == [*range(20)]


def test_a_store_that_fails_later_costs_one_warning(make_profile: MakeProfile, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING), tracking.run(make_profile(), "classes", "seed-0", {}, {}) as run:
        run.log_artifact(Path("no such file"))
        run.log_metrics({"loss": 1.0})
    assert [record.name for record in caplog.records] == ["tasks.learning.tracking"]


@pytest.mark.slow
def test_processes_that_start_at_once_share_one_new_database(make_profile: MakeProfile, tmp_path: Path) -> None:
    profile = make_profile()
    code = (
        "import sys; from tasks import config\nfrom tasks.learning import tracking\n"
        "with tracking.run(config.load(sys.argv[1]), 'classes', sys.argv[2], {'a': 1}, {}) as run:\n"
        "    run.log_metrics({'loss': 1.0}, 1)\n"
    )
    environment = {k: v for k, v in os.environ.items() if k != "MLFLOW_TRACKING_URI"}
    python = [sys.executable, "-c", code, str(profile.folder)]
    processes = [
        subprocess.Popen(
            [*python, f"seed-{i}"],
            cwd=tracking.CODE,
            env=environment,
            stderr=subprocess.PIPE,
        )
        for i in range(2)
    ]
    assert [p.communicate()[1].decode() for p in processes] == [""] * 2
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{profile.root}/mlflow.db")
    experiment = client.get_experiment_by_name(TOGETHER)
    runs = client.search_runs([experiment.experiment_id])
    assert {r.info.run_name for r in runs} == {"seed-0", "seed-1"}
    assert all(r.info.status == "FINISHED" and r.data.metrics == {"loss": 1.0} for r in runs)
    assert (profile.root / "mlartifacts").is_dir()
