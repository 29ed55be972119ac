"""Sweeps that are killed, out of room, or on a cluster that loses a machine, in Ray and for real."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import psutil
import pytest

from tasks.common.cluster import SETTINGS
from tasks.datasets import data
from tasks.profile import Profile
from tasks.sweeps.study import Study, startup
from tests.conftest import ROOT
from tests.sweeps import with_sweep

MakeProfile = Callable[..., Profile]
TRIALS = 8


def start(profile: Profile) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "tasks.sweep", "tiny"]
    return subprocess.Popen(command, cwd=profile.folder, env=environment, stderr=subprocess.PIPE, text=True)


def read(process: subprocess.Popen[str], ended: int) -> list[str]:
    """What a sweep says until so many trials have ended."""
    assert process.stderr is not None
    lines: list[str] = []
    while sum(": trial " in line for line in lines) < ended:
        line = process.stderr.readline()
        assert line, "".join(lines)
        lines.append(line)
    return lines


def end(process: subprocess.Popen[str]) -> None:
    """End a sweep and all of its processes, as a power failure does."""
    family = [process, *psutil.Process(process.pid).children(recursive=True)]
    for each in family:
        try:
            each.send_signal(signal.SIGKILL)
        except psutil.NoSuchProcess:
            continue
    process.communicate()


def journal(profile: Profile) -> Path:
    (path,) = profile.state("sweep").glob("tiny/*/study.jsonl")
    return path


def fed(profile: Profile, folder: Path, table: pd.DataFrame, curves: pd.DataFrame) -> list[dict[str, Any]]:
    """What a study draws that is told, one after another, what the table says."""
    study = Study(folder, profile.sweep("tiny"), data.info(profile.processed("tiny-classes")))
    drawn = []
    for _, row in table.iterrows():
        trial = study.ask()
        assert trial is not None
        drawn.append(trial.sampled)
        for epoch in curves[curves["trial"] == row["trial"]].drop(columns="trial").to_dict("records"):
            study.report(trial.number, epoch)
        study.finish(trial.number, row["state"])
    return drawn


@pytest.mark.slow
def test_a_sweep_that_loses_a_worker_and_its_driver_goes_on(make_profile: MakeProfile, tmp_path: Path) -> None:
    profile = with_sweep(make_profile(), trials=TRIALS, concurrency=1)
    first = start(profile)
    read(first, 1)
    workers = [p for p in psutil.Process(first.pid).children(recursive=True) if "ImplicitFunc" in " ".join(p.cmdline())]
    assert workers
    for worker in workers:
        worker.kill()
    read(first, startup(TRIALS) + 2)
    before = journal(profile).read_text()
    first.kill()
    first.communicate()
    assert not (profile.results("tiny") / "best.json").exists()

    second = start(profile)
    said = second.communicate()[1]
    assert second.returncode == 0, said
    assert "trial 0 " not in said, "what had ended stands"
    table = pd.read_csv(profile.results("tiny") / "trials.csv", keep_default_na=False, na_values={"val_loss": [""]})
    assert list(table["trial"]) == list(range(TRIALS)), "none is lost or doubled"
    assert set(table["state"]) <= {"complete", "pruned"}, table[table["state"] == "failed"]["error"].to_list()
    curves = pd.read_parquet(profile.evaluated("tiny") / "curves.parquet")
    for line in map(json.loads, before.splitlines()):
        if "epoch-1" in (reported := line.get("user_attr", {})):
            assert reported["epoch-1"]["val_loss"] in list(curves["val_loss"]), "an epoch that was told stands"
    sampled = table[["architecture.widths.0", "train.optimizer.lr"]].to_dict("records")
    for ours, expected in zip(sampled, fed(profile, tmp_path / "fed", table, curves)):
        assert ours["architecture.widths.0"] == expected["architecture.widths.0"], "drawn with all earlier results"
        assert ours["train.optimizer.lr"] == pytest.approx(expected["train.optimizer.lr"], rel=1e-5)
    best = json.loads((profile.results("tiny") / "best.json").read_text())
    assert best["val_loss"] == pytest.approx(table[table["state"] == "complete"]["val_loss"].min(), rel=1e-5)
    assert not list(profile.state("sweep").glob("tiny/*/")), "nothing is left to resume"


@pytest.mark.slow
def test_a_full_disk_is_said_and_the_sweep_goes_on_once_there_is_room(make_profile: MakeProfile) -> None:
    profile = with_sweep(make_profile(), concurrency=1)
    disk = profile.root / "runs"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=160k", "tmpfs", str(disk)]
    if not shutil.which("mount") or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting a small disk is for root")
    try:
        process = start(profile)
        said = process.communicate()[1]
        assert process.returncode == 1
        assert "the disk is full" in said
        subprocess.run(["mount", "-o", "remount,size=64m", str(disk)], check=True)
        again = start(profile)
        said = again.communicate()[1]
        assert again.returncode == 0, said
        table = pd.read_csv(profile.results("tiny") / "trials.csv")
        assert list(table["trial"]) == list(range(TRIALS))
        assert set(table["state"]) <= {"complete", "pruned"}
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


@pytest.mark.slow
def test_a_cluster_of_two_machines_that_loses_one(make_profile: MakeProfile, monkeypatch: pytest.MonkeyPatch) -> None:
    from ray.cluster_utils import Cluster

    for key, value in (SETTINGS | {"RAY_AUTH_MODE": "disabled"}).items():
        monkeypatch.setenv(key, value)
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "object_store_memory": 80 << 20})
    try:
        other = cluster.add_node(num_cpus=1, object_store_memory=80 << 20)
        profile = with_sweep(make_profile(), ray={"address": cluster.address}, trials=12)
        process = start(profile)
        read(process, 3)
        cluster.remove_node(other, allow_graceful=False)
        said = process.communicate()[1]
        assert process.returncode == 0, said
        table = pd.read_csv(profile.results("tiny") / "trials.csv")
        assert list(table["trial"]) == list(range(12))
        assert set(table["state"]) <= {"complete", "pruned"}, said
    finally:
        cluster.shutdown()
