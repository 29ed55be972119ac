import csv
import json
import os
import platform
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import yaml

from tasks import config
from tasks.common import devices
from tasks.common.errors import Error
from tasks.evaluate import evaluate
from tasks.learning import weights
from tasks.profile import Profile
from tasks.train import train
from tests.conftest import ROOT

MakeProfile = Callable[..., Profile]


def files(folder: Path) -> set[str]:
    return {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize(("name", "score"), [("classes", "accuracy"), ("pairs", "psnr")])
def test_a_training_leaves_weights_history_and_costs(make_profile: MakeProfile, name: str, score: str) -> None:
    profile = make_profile()
    out = train(profile, name)
    assert out == profile.results(name)
    animation = {"weights/progress.webp"} if name == "pairs" else set()
    assert files(out) == {"weights/seed-0.safetensors", "history.csv", "training.json"} | animation
    found = json.loads((out / "training.json").read_text())
    network, configuration = weights.load(out / "weights" / "seed-0.safetensors")
    assert found["parameters"] == sum(p.numel() for p in network.parameters())
    assert found["data_hash"] == configuration.data_hash
    assert {"loss", score} <= found["val_metrics"].keys()
    assert found["epochs"] == 2
    assert found["train_seconds"] > 0
    assert found["peak_memory_mb"] > 0
    rows = list(csv.DictReader((out / "history.csv").read_text().splitlines()))
    assert [row["epoch"] for row in rows] == ["1", "2"]
    assert float(rows[-1]["val_loss"]) == pytest.approx(found["val_metrics"]["loss"], abs=1e-5)
    # Whoever waits for the lock has opened its file: it stays.
    assert files(profile.state("train")) == {f"{name}/lock"}


def test_several_seeds_give_mean_and_spread(make_profile: MakeProfile) -> None:
    profile = make_profile()
    text = (profile.folder / "params.yaml").read_text().replace("- 0\n", "- 0\n    - 1\n")
    (profile.folder / "params.yaml").write_text(text)
    profile = config.load(profile.folder)
    out = train(profile, "classes")
    assert files(out / "weights") == {"seed-0.safetensors", "seed-1.safetensors"}
    found = json.loads((out / "training.json").read_text())
    assert found["seeds"] == [0, 1]
    assert found["val_metrics_std"].keys() == found["val_metrics"].keys()
    first, second = (weights.load(out / "weights" / f"seed-{seed}.safetensors")[0].state_dict() for seed in (0, 1))
    assert any(not torch.equal(first[key], second[key]) for key in first)


def test_the_last_fit_takes_validation_too_and_says_so(make_profile: MakeProfile) -> None:
    profile = make_profile(epochs=1, batch_size=72, split="train+val")
    folder = train(profile, "classes")
    record = json.loads((folder / "training.json").read_text())
    assert record["trained_on"] == "train+val"
    result = evaluate(profile, "classes")
    assert result["n_train"] == 48 + 24
    assert result["trained_on"] == "train+val"


@pytest.mark.parametrize("backward", ["auto", "manual"])
@pytest.mark.parametrize("loss", ["hinge", "cross-entropy"])
def test_a_linear_classifier_learns_with_either_loss(make_profile: MakeProfile, loss: str, backward: str) -> None:
    file = make_profile().folder / "params.yaml"
    params = yaml.safe_load(file.read_text())
    params["experiments"]["classes"] |= {"network": "linear", "architecture": {"backward": backward}}
    params["experiments"]["classes"]["train"] |= {"loss": loss, "epochs": 8, "optimizer": {"name": "sgd", "lr": 0.01}}
    file.write_text(yaml.safe_dump(params))
    profile = config.load(file.parent)
    record = json.loads((train(profile, "classes") / "training.json").read_text())
    assert record["val_metrics"]["accuracy"] > 0.9


def test_an_on_demand_run_leaves_the_stage_alone(make_profile: MakeProfile, tmp_path: Path) -> None:
    profile = make_profile()
    train(profile, "classes", tmp_path / "out")
    assert (tmp_path / "out" / "training.json").exists()
    assert not profile.results("classes").exists()


def test_a_network_over_its_budget_is_refused_before_training(make_profile: MakeProfile) -> None:
    with pytest.raises(
        Error, match=r"experiments\.classes\.train\.max_parameters: the network has [\d,]+ parameters, over its budget of 10"
    ):
        train(make_profile(max_parameters=10), "classes")


def test_data_that_are_not_prepared_are_named(make_profile: MakeProfile) -> None:
    profile = make_profile()
    (profile.processed("tiny-classes") / "dataset.json").unlink()
    with pytest.raises(Error, match=r"tiny-classes/dataset\.json: no such file; prepare the data first"):
        train(profile, "classes")


def command(*arguments: str, folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", *arguments], cwd=folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        # As many threads as here: sums of another number of parts are other sums.
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": str(torch.get_num_threads())},
    )  # fmt: skip


@pytest.mark.slow
def test_a_training_that_was_killed_goes_on_and_ends_with_the_same_weights(make_profile: MakeProfile, tmp_path: Path) -> None:
    profile = make_profile(epochs=15, augment={"flip": True, "crop": 2})
    undisturbed = train(profile, "classes", tmp_path / "undisturbed")
    process = command("tasks.train", "classes", folder=profile.folder)
    checkpoint = profile.state("train") / "classes" / "seed-0.pt"
    give_up = time.monotonic() + 60
    while not checkpoint.exists() and time.monotonic() < give_up and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert not profile.results("classes").exists()
    assert 0 < torch.load(checkpoint, weights_only=True)["run"]["epoch"] < 15
    again = command("tasks.train", "classes", folder=profile.folder)
    _, log = again.communicate(timeout=120)
    assert again.returncode == 0, log
    assert "epoch 1/15" not in log
    one, other = (
        weights.load(p / "weights" / "seed-0.safetensors")[0].state_dict() for p in (undisturbed, profile.results("classes"))
    )
    assert all(torch.equal(one[key], other[key]) for key in one)
    before, after = (
        json.loads((p / "training.json").read_text())["val_metrics"] for p in (undisturbed, profile.results("classes"))
    )
    assert before == after


@pytest.mark.slow
def test_a_second_training_at_the_same_time_is_refused_by_name(make_profile: MakeProfile) -> None:
    profile = make_profile(epochs=400)
    first = command("tasks.train", "classes", folder=profile.folder)
    state = profile.state("train") / "classes"
    give_up = time.monotonic() + 60
    while not (state / "seed-0.pt").exists() and time.monotonic() < give_up and first.poll() is None:
        time.sleep(0.01)
    try:
        with pytest.raises(
            Error, match=rf"classes is being trained already; .*train/classes/lock is held by process {first.pid}: "
        ):
            train(profile, "classes")
        assert first.poll() is None, "the first goes on"
        # Another experiment, and a run of one's own, are not held up.
        assert make_profile(epochs=1).experiment("pairs").train.epochs == 1
        train(make_profile(epochs=1), "pairs")
        train(make_profile(epochs=1), "classes", profile.folder / "own")
    finally:
        first.kill()
        first.communicate()
    # A lock whose holder died is free.
    train(make_profile(epochs=1), "classes")


@pytest.mark.parametrize("asked", ["auto", "fp32", "bf16"])
def test_the_precision_is_recorded_in_both_results(make_profile: MakeProfile, asked: str) -> None:
    profile = make_profile(epochs=1, precision=asked)
    record = json.loads((train(profile, "classes") / "training.json").read_text())
    expected = devices.precision(asked, torch.device("cpu"))
    assert expected in ("bf16", "fp32")
    assert asked in ("auto", expected)
    assert record["precision"] == expected
    assert evaluate(profile, "classes")["precision"] == expected
    assert json.loads((profile.results("classes") / "metrics.json").read_text())["precision"] == expected


@pytest.mark.slow
@pytest.mark.skipif(platform.machine() != "x86_64", reason="AVX is of x86")
def test_a_processor_without_avx512_trains_and_evaluates_in_fp32(
    make_profile: MakeProfile, monkeypatch: pytest.MonkeyPatch
) -> None:
    profile = make_profile(epochs=1)
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX2")
    for step in ("tasks.train", "tasks.evaluate"):
        process = command(step, "classes", folder=profile.folder)
        _, said = process.communicate(timeout=300)
        assert process.returncode == 0, said
    for file in ("training.json", "metrics.json"):
        assert json.loads((profile.results("classes") / file).read_text())["precision"] == "fp32"


def test_the_command_names_what_is_wrong_without_a_traceback(make_profile: MakeProfile) -> None:
    process = command("tasks.train", "clases", folder=make_profile().folder)
    _, log = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "did you mean classes" in log
    assert "Traceback" not in log
