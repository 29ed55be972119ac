"""Results are carried over a change of code that changes no number, and over no other."""

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tasks import code, config
from tasks.adopt import Renamed, _number, adopt
from tasks.adoption import lockfile, proof
from tasks.common.files import write_json
from tests.conftest import ROOT
from tests.tasks.test_clone import PARAMS, run

GIT = ("git", "-c", "user.name=a", "-c", "user.email=a@b")


def test_files_and_folders_have_the_hashes_that_dvc_records(tmp_path: Path) -> None:
    stages = {"one": {"cmd": "mkdir -p a/b && echo 1 > a/x.txt && echo 2 > a/b/y.txt && echo 3 > z.txt", "outs": ["a", "z.txt"]}}
    (tmp_path / "dvc.yaml").write_text(yaml.safe_dump({"stages": stages}))
    run(tmp_path, "dvc", "init", "-q", "--no-scm")
    run(tmp_path, "dvc", "repro", "-q")
    recorded = lockfile.read(tmp_path)["one"]["outs"]
    assert [lockfile.entry(tmp_path, path) for path in ("a", "z.txt")] == recorded
    assert lockfile.entry(tmp_path, "nothing") is None


def test_the_stages_of_a_profile_are_those_that_dvc_sees() -> None:
    listed = run(ROOT, "dvc", "stage", "list", "--name-only", "dvc.yaml").split()
    found = lockfile.stages(ROOT)
    assert sorted(found) == sorted(listed)
    assert found["train@compact-taught"].deps[-2:] == ("results/compact/weights", "results/none/best.json")
    assert found["train@compact-winner"].deps[-2:] == ("results/none/weights", "results/compact-sweep/best.json")
    assert "results/cnn/history.csv" in found["train@cnn"].outs


def test_the_longest_renaming_of_a_place_counts() -> None:
    renamed = Renamed({}, {"experiments.a": "students.a", "experiments.a.train.teacher": "students.a.teacher"})
    assert renamed.old("experiments.a.train.epochs") == "students.a.train.epochs"
    assert renamed.old("experiments.a.train.teacher.temperature") == "students.a.teacher.temperature"
    assert renamed.old("experiments.ab.train") == "experiments.ab.train"


STAGES = ("train@others", "evaluate@others")
WEIGHTS = "results/others/weights"


@pytest.fixture
def recorded(tmp_path: Path) -> Path:
    """A profile whose training and evaluation were recorded and proved, with the digests of code of another day."""
    shutil.copy(ROOT / "dvc.yaml", tmp_path)
    (tmp_path / "params.yaml").write_text(PARAMS)
    stages = lockfile.stages(tmp_path)
    for path in {path for name in STAGES for path in (*stages[name].deps, *stages[name].outs)}:
        file = tmp_path / path / "seed-0.safetensors" if path == WEIGHTS else tmp_path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(path)
    values = yaml.safe_load(PARAMS)
    lockfile.write(
        tmp_path,
        {
            name: {
                "cmd": stages[name].cmd,
                "deps": [lockfile.entry(tmp_path, path) for path in sorted(stages[name].deps)],
                "params": {"params.yaml": {key: lockfile.value_at(values, key) for key in stages[name].params}},
                "outs": [lockfile.entry(tmp_path, path) for path in sorted(stages[name].outs)],
            }
            for name in STAGES
        },
    )
    shutil.rmtree(tmp_path / "data" / "code")
    digests = {step: code.digest(tmp_path, step, "others") for step in ("train", "evaluate")}
    write_json(tmp_path / proof.FILE, {"others": {"from": "a" * 40, "to": "b" * 40, "equal": True, "code": digests}})
    return tmp_path


def weights_of(folder: Path) -> list[dict[str, Any]]:
    """What dvc.lock says of the weights: as the training's output, and as what the evaluation took."""
    kept = lockfile.read(folder)
    entries = (*kept[STAGES[0]]["outs"], *kept[STAGES[1]]["deps"])
    return [entry for entry in entries if entry["path"] == WEIGHTS]


def test_a_stage_that_took_an_adopted_output_takes_it_as_it_is_now(recorded: Path) -> None:
    """Weights that are here in other bytes, such as those of the proof's own training, leave the evaluation up to date."""
    (recorded / WEIGHTS / "seed-0.safetensors").write_text("other bytes")
    assert adopt(config.load(recorded), ["others"]) == {}
    assert weights_of(recorded) == [lockfile.entry(recorded, WEIGHTS)] * 2
    digest = lockfile.entry(recorded, "data/code/evaluate/others")
    assert digest in lockfile.read(recorded)[STAGES[1]]["deps"]


def test_a_stage_that_took_another_output_stays_stale(recorded: Path) -> None:
    stages = lockfile.read(recorded)
    took = next(dep for dep in stages[STAGES[1]]["deps"] if dep["path"] == WEIGHTS)
    took["md5"] = "0" * 32 + ".dir"
    lockfile.write(recorded, stages)
    (recorded / WEIGHTS / "seed-0.safetensors").write_text("other bytes")
    assert adopt(config.load(recorded), ["others"]) == {}
    is_now, was_taken = weights_of(recorded)
    assert is_now == lockfile.entry(recorded, WEIGHTS)
    assert was_taken == took, "what it was measured with is not what is here, and DVC sees that"


def test_a_study_comes_after_the_networks_that_it_looks_at() -> None:
    assert proof._in_order(config.load(ROOT), ["adversarial-cnn", "compact"]) == ["cnn", "compact", "adversarial-cnn"]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A small project whose one experiment is trained, evaluated and committed."""
    for package in ("tasks", "models"):
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__", "*.safetensors"))
    for file in ("dvc.yaml", ".gitignore", ".dvcignore"):
        shutil.copy(ROOT / file, tmp_path)
    (tmp_path / "params.yaml").write_text(PARAMS)
    shutil.copytree(ROOT / "results" / "none", tmp_path / "results" / "none")
    run(tmp_path, "git", "init", "-q")
    run(tmp_path, "dvc", "init", "-q")
    commit(tmp_path)
    run(tmp_path, "dvc", "repro", "-q", "evaluate@others")
    commit(tmp_path)
    return tmp_path


def commit(project: Path) -> None:
    run(project, *GIT, "add", "-A")
    run(project, *GIT, "commit", "-qm", "a commit")


def change(project: Path, old: str, new: str) -> None:
    loop = project / "tasks" / "learning" / "loop.py"
    assert old in loop.read_text()
    loop.write_text(loop.read_text().replace(old, new))
    commit(project)


def stale(project: Path) -> set[str]:
    run(project, "dvc", "repro", "-q", "code")
    status: dict[str, Any] = json.loads(run(project, "dvc", "status", "--json"))
    return {name for name, changes in status.items() if name.endswith("@others") and "modified" in json.dumps(changes)}


@pytest.mark.slow
def test_a_change_that_changes_no_number_is_proved_and_recorded(project: Path) -> None:
    weights = (project / "results" / "others" / "weights" / "seed-0.safetensors").read_bytes()
    change(project, "sums: dict[str, Tensor] = {}", "sums: dict[str, Tensor] = dict()")
    assert stale(project) == {"train@others"}
    run(project, sys.executable, "-m", "tasks.adopt", "prove", "HEAD~1")
    run(project, sys.executable, "-m", "tasks.adopt", "record")
    assert stale(project) == set()
    assert (project / "results" / "others" / "weights" / "seed-0.safetensors").read_bytes() == weights
    proof = json.loads((project / "adopted.json").read_bytes())["others"]
    assert proof["equal"]
    assert set(proof["found"]["metrics"]) == {"accuracy", "macro_f1", "log_loss", "ece"}


@pytest.mark.slow
def test_a_change_of_numbers_is_refused_and_so_is_a_change_without_proof(project: Path) -> None:
    change(
        project,
        "updates.batch = run.epoch * steps + count",
        "updates.batch = run.epoch * steps + count\n            rows = rows.flip(0)[1:]",
    )
    with pytest.raises(AssertionError, match=r"there is no proof; run: python -m tasks\.adopt prove COMMIT others"):
        run(project, sys.executable, "-m", "tasks.adopt", "record")
    with pytest.raises(AssertionError, match="error: other numbers: others"):
        run(project, sys.executable, "-m", "tasks.adopt", "prove", "HEAD~1")
    with pytest.raises(AssertionError, match=r"train@others: .* give other numbers"):
        run(project, sys.executable, "-m", "tasks.adopt", "record")
    assert stale(project) == {"train@others"}


@pytest.mark.parametrize(
    ("one", "other", "same"), [("5e-05", 5e-05, True), (["5e-05", 0.1], [5e-05, 0.1], True), ("sgd", "adam", False)]
)
def test_a_number_that_yaml_took_for_a_text_is_the_same_number(one: object, other: object, same: bool) -> None:
    assert (_number(one) == _number(other)) is same


@pytest.mark.parametrize("folder", [".", "full"])
def test_a_profile_of_few_epochs_is_one_that_can_be_loaded(folder: str, tmp_path: Path) -> None:
    (tmp_path / folder).mkdir(exist_ok=True)
    shutil.copy(ROOT / folder / "params.yaml", tmp_path / folder)
    proof._profile(config.load(ROOT / folder), tmp_path, [])
    short = config.load(tmp_path / "short").params.experiments
    assert short.keys() == config.load(ROOT / folder).params.experiments.keys()
