import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

import models
from tasks import code
from tasks.profile import Profile
from tests.conftest import ROOT, experiment
from tests.tasks.detection_data import detection_profile

# Runs a stage, and says which files of ours it imported.
RUN = """
import json, sys
from pathlib import Path
from tasks import config
{run}
print("IMPORTED", json.dumps([str(m.__file__) for m in list(sys.modules.values()) if getattr(m, "__file__", None)]))
"""
TRAIN = "from tasks.train import train; train(config.load({folder!r}), {name!r})"
EVALUATE = "from tasks.evaluate import evaluate; evaluate(config.load({folder!r}), {name!r})"
DOWNLOAD = "from tasks.download import download; download(config.load({folder!r}, experiments=False), {name!r})"
PREPROCESS = "from tasks.preprocess import prepare; prepare(config.load({folder!r}, experiments=False), {name!r})"
REPORT = "from tasks.report import report; report(config.load({folder!r}, networks=False))"
ANNOTATE = "from tasks.annotated import annotated; annotated(config.load({folder!r}, experiments=False), {name!r})"
SWEEP = "from tasks.sweep import sweep; sweep(config.load({folder!r}), {name!r})"


def imported(run: str, folder: Path, name: str = "") -> set[str]:
    """The files of tasks/ and models/ that a stage imports while it runs."""
    source = RUN.format(run=run.format(folder=str(folder), name=name))
    done = subprocess.run([sys.executable, "-c", source], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    line = next(line for line in done.stdout.splitlines() if line.startswith("IMPORTED"))
    files = [Path(file) for file in json.loads(line.removeprefix("IMPORTED "))]
    inside = [file.relative_to(ROOT).as_posix() for file in files if file.is_relative_to(ROOT)]
    return {file for file in inside if file.startswith(("tasks/", "models/"))}


def covered(folder: Path, step: str, name: str) -> set[str]:
    """The files that a stage's digest names, and those that only neutral code imports."""
    params = yaml.safe_load((folder / "params.yaml").read_bytes())
    described = {line.split("  ", 1)[1] for line in code.describe(params, step, name).splitlines() if "  " in line}
    return described | neutral()


def neutral() -> set[str]:
    """Neutral code and all that it imports: what reads params.yaml, draws bars, keeps records."""
    waiting = [
        path for place in code.NEUTRAL for path in ([ROOT / place] if place.endswith(".py") else (ROOT / place).rglob("*.py"))
    ]
    found: set[Path] = set()
    while waiting:
        path = waiting.pop()
        if path not in found:
            found.add(path)
            waiting.extend(code.imported(path, ROOT))
    # `params.yaml` is read with the facts of all kinds, and a served model with its own kind's use.
    facts = [*(ROOT / "tasks" / "kinds").glob("*/__init__.py")]
    facts += [path for path in code.closure(facts) if path.parent == ROOT / "tasks" / "words"]
    sets = (ROOT / "tasks" / "datasets" / "sets").glob("*.py")
    return {path.relative_to(ROOT).as_posix() for path in (*found, *facts, *sets)}


def served(kind: str) -> set[str]:
    """What MLflow's copy of a model imports: a record, which changes no number."""
    use = ROOT / "tasks" / "kinds" / kind / "use.py"
    return {path.relative_to(ROOT).as_posix() for path in code.closure([use])}


def write(folder: Path, **sections: Any) -> Path:
    params = {"root": ".", "device": "cpu", "download": {"mnist-5k": {}}, "preprocess": {}, "experiments": {}, **sections}
    folder.mkdir(exist_ok=True)
    (folder / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    return folder


def alone(profile: Profile, name: str) -> Path:
    """The profile with one experiment, so that no other's network is imported."""
    params = yaml.safe_load((profile.folder / "params.yaml").read_bytes())
    params["experiments"] = {name: params["experiments"][name]}
    params["comparisons"] = {}
    (profile.folder / "params.yaml").write_text(yaml.safe_dump(params))
    return profile.folder


def test_downloads_and_preparations_import_what_their_digests_name(tmp_path: Path) -> None:
    folder = write(
        tmp_path / "profile", preprocess={"digits": {"dataset": "mnist-5k", "task": "classify", "validation": 500, "test": 500}}
    )
    assert imported(DOWNLOAD, folder, "mnist-5k") <= covered(folder, "download", "mnist-5k")
    assert imported(PREPROCESS, folder, "digits") <= covered(folder, "preprocess", "digits")


@pytest.mark.parametrize(("name", "kind"), [("classes", "classify"), pytest.param("pairs", "translate", marks=pytest.mark.slow)])
def test_trainings_and_evaluations_import_what_their_digests_name(
    make_profile: Callable[..., Profile], name: str, kind: str
) -> None:
    folder = alone(make_profile(epochs=1), name)
    assert imported(TRAIN, folder, name) - served(kind) <= covered(folder, "train", name)
    assert imported(EVALUATE, folder, name) <= covered(folder, "evaluate", name)
    assert imported(REPORT, folder) <= covered(folder, "report", "all")


def test_the_report_depends_on_every_template_that_it_renders() -> None:
    """All below tasks/ but the two contact sheets' own."""
    params = yaml.safe_load((ROOT / "params.yaml").read_bytes())
    named = {file for file in code.describe(params, "report", "all").split() if file.endswith(".j2")}
    there = {path.relative_to(ROOT).as_posix() for path in (ROOT / "tasks").rglob("*.j2")}
    assert there - named <= {"tasks/words/captions.html.j2", "tasks/faces/contact_sheet.html.j2"}
    assert "tasks/reports/sweeps.html.j2" in named


@pytest.mark.parametrize("network", ["yolov8", "yolo11", "averaged_yolo11"])
def test_a_training_depends_on_its_network_s_own_trainer(network: str) -> None:
    trainer = models.trainer(network)
    assert trainer
    experiment = {"data": "objects", "network": network, "train": {}}
    params = {"preprocess": {"objects": {"task": "detect"}}, "experiments": {"one": experiment}}
    assert f"{trainer.replace('.', '/')}.py" in code.describe(params, "train", "one")


@pytest.mark.slow
@pytest.mark.parametrize(("network", "random"), [("yolo_v1", True), ("yolov8", False), ("yolo11", True)])
def test_detectors_import_what_their_digests_name(tmp_path: Path, network: str, random: bool) -> None:
    recipe = {"pretrained": {"source": "none"}} if random else {}
    folder = detection_profile(tmp_path / "profile", network, epochs=1, **recipe).folder
    assert imported(TRAIN, folder, "squares") - served("detect") <= covered(folder, "train", "squares")
    assert imported(EVALUATE, folder, "squares") <= covered(folder, "evaluate", "squares")


@pytest.mark.slow
def test_annotations_and_sweeps_import_what_their_digests_name(tmp_path: Path, make_profile: Callable[..., Profile]) -> None:
    people = write(tmp_path / "people", download={"people": {}}, annotate={"people": {"source": "people"}})
    imported(DOWNLOAD, people, "people")
    assert imported(ANNOTATE, people, "people") <= covered(people, "annotate", "people")
    folder = make_profile(epochs=1).folder
    params = yaml.safe_load((folder / "params.yaml").read_bytes())
    block = {key: value for key, value in params["experiments"]["classes"].items() if key != "seeds"}
    space = {"train.optimizer.lr": {"float": [0.001, 0.1], "log": True}}
    block |= {
        "space": space,
        "objective": {"name": "loss"},
        "trials": 2,
        "scheduler": {"grace": 1},
        "time_budget": 300,
        "seed": 0,
    }
    params |= {"experiments": {}, "comparisons": {}, "sweeps": {"search": block}}
    (folder / "params.yaml").write_text(yaml.safe_dump(params))
    assert imported(SWEEP, folder, "search") - served("classify") <= covered(folder, "sweep", "search")


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The project's code and its sample's params.yaml, to be changed."""
    for package in code.PACKAGES:
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__", "weights"))
    shutil.copy(ROOT / "params.yaml", tmp_path)
    return tmp_path


def digests(root: Path) -> dict[str, str]:
    for function in (code.following, code.imported):
        function.cache_clear()
    params = yaml.safe_load((root / "params.yaml").read_bytes())
    return {f"{step}@{name}": code.describe(params, step, name, root) for step, name in code.Roots(params, root)}


def changed(before: dict[str, str], after: dict[str, str]) -> set[str]:
    return {stage for stage in before if before[stage] != after[stage]}


def test_comments_docstrings_and_descriptions_change_no_digest(copy: Path) -> None:
    before = digests(copy)
    loop = copy / "tasks" / "learning" / "loop.py"
    text = loop.read_text()
    loop.write_text(text.replace('"""The one training loop', '"""Another docstring. The one training loop') + "\n# A comment.\n")
    recipe = copy / "tasks" / "params" / "recipe.py"
    recipe.write_text(
        recipe.read_text().replace('description="the highest learning rate of the schedule"', 'description="other words"')
    )
    assert loop.read_text() != text
    assert changed(before, digests(copy)) == set()


def test_a_constant_changes_the_digests_of_its_dependants_and_no_others(copy: Path) -> None:
    before = digests(copy)
    network = copy / "models" / "cnn.py"
    network.write_text(network.read_text() + "\nCONSTANT = 3\n")
    params = yaml.safe_load((copy / "params.yaml").read_bytes())
    users = {name for name, block in params["experiments"].items() if block["network"] == "cnn"}
    users |= {name for name, block in params["experiments"].items() if block.get("after") in users}
    sweeps = {name for name, block in params["sweeps"].items() if block["network"] == "cnn"}
    assert users
    own = {
        f"{step}@{name}"
        for step in ("train", "evaluate")
        for name, block in params["experiments"].items()
        if block["network"] == "cnn"
    }
    own |= {f"evaluate@{name}" for name, block in params["experiments"].items() if f"train@{block.get('judge')}" in own}
    own |= {f"train@{name}" for name in users} | {f"sweep@{name}" for name in sweeps}
    own |= {f"study@{name}" for name, block in params["studies"].items() if {block["network"], block["other"]} & users}
    assert changed(before, digests(copy)) == own


def test_a_file_that_cannot_be_parsed_concerns_its_users_alone(copy: Path) -> None:
    before = digests(copy)
    (copy / "models" / "fractional.py").write_text("def broken(:\n")
    assert changed(before, digests(copy)) == {"train@fractional", "evaluate@fractional", "report@all"}


def test_what_only_pretrained_networks_need_concerns_no_others(copy: Path) -> None:
    before = digests(copy)
    source = copy / "tasks" / "learning" / "pretrained.py"
    source.write_text(source.read_text() + "\nCONSTANT = 3\n")
    trained = {
        stage for stage in changed(before, digests(copy)) if stage.startswith(("train", "evaluate", "sweep", "preprocess"))
    }
    assert trained == {f"train@{name}" for name in ("yolo-v1", "faster-rcnn", "clip", "caption-attention")}


def test_code_that_only_runs_things_changes_no_digest(copy: Path) -> None:
    before = digests(copy)
    for place in ("tasks/common/files.py", "tasks/learning/tracking.py", "tasks/config.py"):
        (copy / place).write_text((copy / place).read_text() + "\nCONSTANT = 3\n")
    assert changed(before, digests(copy)) == set()


def test_a_template_that_another_includes_concerns_the_report_alone(copy: Path) -> None:
    before = digests(copy)
    template = copy / "tasks" / "reports" / "studies.html.j2"
    template.write_text(template.read_text() + "<p>\n")
    assert changed(before, digests(copy)) == {"report@all"}


def test_a_digest_is_that_of_the_code_as_it_is_whatever_was_written_before(tmp_path: Path) -> None:
    folder = write(
        tmp_path / "profile",
        preprocess={"digits": {"dataset": "mnist-5k", "task": "classify"}},
        experiments={"cnn": {"data": "digits", "network": "cnn"}},
    )
    found = code.digest(folder, "train", "cnn")
    code.write(folder)
    assert code.digest(folder, "train", "cnn") == found
    written = folder / "data" / "code" / "train" / "cnn"
    written.write_text("other code\n")
    assert code.digest(folder, "train", "cnn") == hashlib.sha256(b"other code\n").hexdigest()  # it was read
    os.utime(written, (1e9, 1e9))
    assert code.digest(folder, "train", "cnn") == found
    # A file of parameters with an old date is a change, too.
    written.write_text("other code\n")
    shutil.copy2(folder / "params.yaml", tmp_path / "before.yaml")
    os.utime(tmp_path / "before.yaml", (1e9, 1e9))
    (tmp_path / "before.yaml").replace(folder / "params.yaml")
    assert code.digest(folder, "train", "cnn") == found


def test_files_that_stay_the_same_are_left_alone(copy: Path) -> None:
    experiments = {"one": experiment("classify"), "two": experiment("classify")}
    params = {"preprocess": {"tiny-classes": {"dataset": "patches", "task": "classify"}}, "experiments": experiments}
    (copy / "params.yaml").write_text(yaml.safe_dump(params))
    code.write(copy, copy)
    kept, gone = copy / "data" / "code" / "train" / "one", copy / "data" / "code" / "train" / "two"
    written = kept.stat().st_mtime_ns
    del experiments["two"]
    (copy / "params.yaml").write_text(yaml.safe_dump({**params, "experiments": experiments}))
    code.write(copy, copy)
    assert kept.stat().st_mtime_ns == written
    assert not gone.exists()


def test_dvc_knows_of_a_change_after_the_stage_code(copy: Path) -> None:
    """In both directions: a comment names nothing, a constant exactly its dependants."""

    def dvc(*arguments: str) -> str:
        done = subprocess.run([sys.executable, "-m", "dvc", *arguments], cwd=copy, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[-2000:]
        return done.stdout

    def stale() -> set[str]:
        dvc("repro", "code")
        return {stage for stage, changes in json.loads(dvc("status", "--json")).items() if "modified" in json.dumps(changes)}

    params = {
        "root": ".",
        "preprocess": {"digits": {"dataset": "mnist-5k", "task": "classify"}},
        "experiments": {name: {"data": "digits", "network": name} for name in ("cnn", "mlp")},
    }
    (copy / "params.yaml").write_text(yaml.safe_dump(params))
    outs = {
        name: {"cmd": f"cp data/code/train/{name} {name}.txt", "deps": [f"data/code/train/{name}"], "outs": [f"{name}.txt"]}
        for name in ("cnn", "mlp")
    }
    first = {
        "cmd": f"{sys.executable} -m tasks.code",
        "deps": ["tasks", "models"],
        "params": ["experiments"],
        "outs": [{"data/code": {"cache": False}}],
    }
    (copy / "dvc.yaml").write_text(yaml.safe_dump({"stages": {"code": first, **outs}}, sort_keys=False))
    (copy / ".dvcignore").write_text("__pycache__\n*.pyc\n")
    subprocess.run(["git", "init", "-q"], cwd=copy, check=True)
    dvc("init", "-q")
    dvc("repro", "-q")
    assert stale() == set()
    loop = copy / "tasks" / "learning" / "loop.py"
    loop.write_text(loop.read_text() + "\n# A comment.\n")
    assert stale() == set()
    network = copy / "models" / "cnn.py"
    network.write_text(network.read_text() + "\nCONSTANT = 3\n")
    assert stale() == {"cnn"}
