import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

import models
from tasks import config, kinds
from tasks.common.errors import Error
from tasks.kinds.classify import Recipe
from tasks.params import lines, traps
from tasks.params.experiment import known_keys
from tests.conftest import ROOT, experiment
from tests.sweeps import block


def params(**changes: Any) -> dict[str, Any]:
    return {
        "root": ".",
        "device": "auto",
        "download": {"patches": {}},
        "preprocess": {"tiny-classes": {"dataset": "patches", "task": "classify", "validation": 10}},
        "experiments": {"one": experiment("classify")},
        "comparisons": {},
        **changes,
    }


def load(folder: Path, values: Any) -> config.Profile:
    (folder / "params.yaml").write_text(yaml.safe_dump(values))
    return config.load(folder)


def test_another_folder_has_not_the_name_of_the_project_s_own(tmp_path: Path) -> None:
    """They would resume from each other's checkpoints and trials."""
    (tmp_path / "sample").mkdir()
    with pytest.raises(Error, match=r"sample is the name of the profile of .*rename the folder"):
        load(tmp_path / "sample", params(root=".."))
    (tmp_path / "mine").mkdir()
    assert load(tmp_path, params()).state("train") != load(tmp_path / "mine", params(root="..")).state("train")
    # The project's own folder may be called so.
    assert load(tmp_path / "sample", params()).name == "sample"


@pytest.mark.parametrize("folder", [".", "full", "extra"])
def test_the_profiles_of_the_project_are_valid(folder: str) -> None:
    profile = config.load(ROOT / folder)
    assert profile.root == ROOT
    assert profile.params.experiments


def wrong(path: str, value: Any) -> dict[str, Any]:
    values = params()
    *parents, last = path.split(".")
    place = values
    for part in parents:
        place = place[part]
    place[last] = value
    return values


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        ("experiments.one.train.epocs", 3, ["experiments.one.train.epocs", "did you mean epochs", "batch_size"]),
        ("experiments.one.train.epochs", 0, ["experiments.one.train.epochs", "greater than or equal to 1", "not 0"]),
        ("experiments.one.train.optimizer.name", "sdg", ["experiments.one.train.optimizer.name", "'sgd'", "sdg"]),
        ("experiments.one.train.optimizer.momentun", 0.9, ["experiments.one.train.optimizer.momentun", "did you mean momentum"]),
        ("experiments.one.train.loss", "l1", ["experiments.one.train.loss", "cross-entropy"]),
        (
            "experiments.one.train",
            {**experiment("classify", loss="hinge", label_smoothing=0.1)["train"]},
            ["hinge loss takes neither"],
        ),
        (
            "experiments.one.train",
            {**experiment("classify", split="train+val", keep="best")["train"]},
            ["split: train+val leaves"],
        ),
        ("comparisons.rates", ["one", "too"], ["comparisons.rates", "unknown experiment 'too'", "allowed: one"]),
        ("experiments.one.network", "cnm", ["experiments.one", "did you mean cnn", "autoencoder"]),
        ("experiments.one.architecture", {"width": [3]}, ["architecture.width", "widths"]),
        ("experiments.one.architecture", {"widths": [0]}, ["architecture.widths.0", "greater than 0"]),
        ("experiments.one.data", "tiny-clases", ["experiments.one.data", "did you mean tiny-classes"]),
        ("experiments.one.seeds", [], ["experiments.one.seeds", "at least 1"]),
        ("experiments.one.seeds", [-1], ["experiments.one: seeds:", "from 0 on", "not [-1]"]),
        ("experiments.one.seeds", [0, 1, 0], ["experiments.one: seeds:", "stands there once", "not [0, 1, 0]"]),
        ("experiments.one.seeds", [True], ["experiments.one.seeds: Input should be a number"]),
        ("experiments.one.train.epochs", True, ["experiments.one.train.epochs: Input should be a number", "yes, no, on and off"]),
        ("experiments.one.train.ema", False, ["experiments.one.train.ema: Input should be a number"]),
        ("experiments.one.train.optimizer.lr", float("inf"), ["experiments.one.train.optimizer.lr", "finite", "not inf"]),
        ("experiments.one.train.optimizer.lr", float("nan"), ["experiments.one.train.optimizer.lr", "finite", "not nan"]),
        (
            "experiments.one.train.parts",
            {"network": {"clip": float("inf")}},
            ["experiments.one.train.parts.network.clip", "finite"],
        ),
        ("experiments.a/b", experiment("classify"), ["a/b"]),
        ("preprocess.tiny-classes.dataset", "patch", ["preprocess.tiny-classes.dataset", "did you mean patches"]),
        ("preprocess.tiny-classes.sizes", 4, ["preprocess.tiny-classes.sizes", "did you mean size"]),
        ("preprocess.tiny-classes.max_bad_share", 2, ["preprocess.tiny-classes.max_bad_share", "less than or equal to 1"]),
        ("preprocess.tiny-classes.task", "clasify", ["preprocess.tiny-classes", "classify", "compress", "translate", "detect"]),
        ("download.cifar", {}, ["download.cifar", "did you mean cifar10"]),
        ("download.patches", {"train_images": 3}, ["download.patches", "only coco-mini"]),
        ("device", "gpu", ["device", "cuda"]),
        ("experimets", {}, ["experimets", "did you mean experiments"]),
    ],
)
def test_a_wrong_value_is_refused_with_its_key_and_what_is_allowed(
    tmp_path: Path, path: str, value: Any, says: list[str]
) -> None:
    with pytest.raises(Error) as caught:
        load(tmp_path, wrong(path, value))
    for text in says:
        assert text in str(caught.value)


@pytest.mark.parametrize("augment", [{"flip": True}, {"dihedral": True}])
def test_pictures_of_a_random_filter_are_not_turned(tmp_path: Path, augment: dict[str, bool]) -> None:
    pairs = {"dataset": "patches", "task": "translate", "size": 16, "target": {"filter": "random"}}
    values = params(preprocess={"tiny-pairs": pairs}, experiments={"one": experiment("translate", augment=augment)})
    with pytest.raises(Error, match="a random filter does not turn with the picture; allowed here: crop"):
        load(tmp_path, values)


def test_the_stages_of_a_rebuild_hold_architectures_against_networks_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[str] = []
    check = models.check
    monkeypatch.setattr(models, "check", lambda name, architecture: looked.append(name) or check(name, architecture))

    def looks() -> bool:
        looked.clear()
        config.load(tmp_path)
        return bool(looked)

    load(tmp_path, params())
    assert looks()  # no rebuild is going on
    rebuild = tmp_path / "rebuild"
    rebuild.mkdir()
    (rebuild / "socket").touch()
    monkeypatch.setenv("DARKROOM_WARM", str(rebuild))
    assert looks()
    assert not looks()
    wrong = {**experiment("classify"), "architecture": {"depth": -1}}
    for _ in range(2):
        with pytest.raises(Error, match="architecture"):
            load(tmp_path, params(experiments={"one": wrong}))


def test_a_missing_key_is_named(tmp_path: Path) -> None:
    values = params()
    del values["experiments"]["one"]["train"]["epochs"]
    with pytest.raises(Error, match=r"experiments\.one\.train\.epochs: missing"):
        load(tmp_path, values)


def test_all_wrong_keys_are_named_at_once(tmp_path: Path) -> None:
    values = wrong("experiments.one.train.epochs", 0)
    values["experiments"]["one"]["train"]["batch_size"] = -1
    with pytest.raises(Error, match=r"(?s)epochs.*batch_size"):
        load(tmp_path, values)


def test_a_folder_without_params_is_no_profile(tmp_path: Path) -> None:
    with pytest.raises(Error, match="no such file"):
        config.load(tmp_path)
    (tmp_path / "params.yaml").write_text("a: [")
    with pytest.raises(Error, match="not YAML"):
        config.load(tmp_path)
    (tmp_path / "params.yaml").write_text("")
    with pytest.raises(Error, match=r"params\.yaml"):
        config.load(tmp_path)


@pytest.mark.parametrize(
    ("line", "becomes", "says"),
    [
        ("epochs: 2", "epochs: 2\n      epochs: 3", ["the key 'epochs' stands in line {line} too", "line {next}"]),
        ("epochs: 2", "epochs: 010", ["010 is read as 8 by YAML", "line {line}"]),
        ("epochs: 2", "epochs: 1:30", ["1:30 is read as 90 by YAML", "line {line}"]),
        ("epochs: 2", "epochs: yes", ["line {line}: experiments.one.train.epochs: Input should be a number"]),
        ("lr: 0.01", "lr: .inf", ["line {line}: experiments.one.train.optimizer.lr", "finite", "not inf"]),
        (
            "loss: cross-entropy",
            "loss: cross-entropy\n      select: .nan",
            ["line {next}: experiments.one.train.select", "not nan"],
        ),
    ],
)
def test_what_yaml_reads_otherwise_than_people_is_refused(tmp_path: Path, line: str, becomes: str, says: list[str]) -> None:
    file = tmp_path / "params.yaml"
    text = yaml.safe_dump(params())
    assert text.count(f" {line}\n") == 1
    file.write_text(text.replace(f" {line}\n", f" {becomes}\n"))
    number = text[: text.index(f" {line}\n")].count("\n") + 1
    with pytest.raises(Error) as caught:
        config.load(tmp_path)
    for words in says:
        assert words.format(line=number, next=number + 1) in str(caught.value)


NO_NUMBER = "Input should be a number, or a word in quotes (YAML reads yes, no, on and off as true and false)"


@pytest.mark.parametrize(
    ("changes", "line", "says"),
    [
        ({"architecture": {"widths": [True]}}, "- true", f"experiments.one.architecture.widths.0: {NO_NUMBER}"),
        ({"architecture": {"width": [8]}}, "one:", "experiments.one: architecture.width: "),
        (
            {"train": {"select": "accuracy_flip"}},
            "select: accuracy_flip",
            "experiments.one.train.select: 'accuracy_flip' is measured on test alone",
        ),
        (
            {"train": {"early_stopping": {"metrics": ["accuracy_flip"], "patience": 1}}},
            "metrics:",
            "experiments.one.train.early_stopping.metrics: 'accuracy_flip' is measured on test alone",
        ),
    ],
)
def test_a_wrong_value_of_an_experiment_is_refused_with_line_and_key(
    tmp_path: Path, changes: dict[str, Any], line: str, says: str
) -> None:
    own = experiment("classify")
    values = params(experiments={"one": {**own, **changes, "train": {**own["train"], **changes.get("train", {})}}})
    with pytest.raises(Error) as caught:
        load(tmp_path, values)
    number, _, sentence = str(caught.value).partition(": line ")[2].partition(": ")
    assert sentence.startswith(says)
    assert (tmp_path / "params.yaml").read_text().splitlines()[int(number) - 1].strip() == line


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"time_budget": float("inf")}, "time_budget"),
        ({"architecture": {"widths": [True, 8]}}, "architecture.widths.0"),
        ({"space": {"architecture.widths.0": {"choice": [True, 8]}}}, "space.architecture.widths.0"),
        ({"objective": {"name": "accuracy_flip"}}, "objective.name"),
        ({"resources": {"cpu": float("inf")}}, "resources.cpu"),
    ],
)
def test_a_wrong_value_of_a_sweep_is_refused_with_line_and_key(tmp_path: Path, changes: dict[str, Any], place: str) -> None:
    (tmp_path / "params.yaml").write_text(text := yaml.safe_dump(params(sweeps={"tiny": block(**changes)}), sort_keys=False))
    with pytest.raises(Error, match=rf"params\.yaml: line \d+: sweeps\.tiny\.{place}: ") as caught:
        config.load(tmp_path)
    number = int(str(caught.value).partition(": line ")[2].partition(":")[0])
    before = text.splitlines()[:number]
    assert "sweeps:" in before
    assert place.split(".")[0] in "".join(before[before.index("sweeps:") :])


def test_the_line_of_a_key_that_is_merged_is_where_it_is_written() -> None:
    text = "defaults: &d {a: 1,\n  b: 2}\none:\n  <<: *d\n  c.d: [5,\n   6]\n"
    places = {"one.a": 1, "one.b": 2, "one.c.d": 5, "one.c.d.1": 6, "one.missing": 3, "nothing": None, "": None}
    assert {place: lines.line(text, place) for place in places} == places


def test_what_changes_name_is_said_without_a_line(tmp_path: Path) -> None:
    load(tmp_path, params())
    with pytest.raises(Error, match=r"params\.yaml: experiments\.one\.train\.epochs: "):
        config.load(tmp_path, {"experiments": {"one": {"train": {"epochs": 0}}}})


def test_what_is_measured_on_test_alone_is_what_trainings_do_not_measure() -> None:
    """The committed results show it: of each kind, what evaluations have and validations have not."""
    validated: dict[str, set[str]] = {}
    for path in [*(ROOT / "results").glob("*/metrics.json"), *(ROOT / "full" / "results").glob("*/metrics.json")]:
        result = json.loads(path.read_bytes())
        if result["task"] in kinds.names():
            validated.setdefault(result["task"], set()).update(result["val_metrics"])
    for kind, measured in validated.items():
        assert set(traps.test_alone(kind)) == set(kinds.metrics(kind)) - measured, kind


def test_whole_numbers_as_people_write_them_are_read(tmp_path: Path) -> None:
    text = yaml.safe_dump(params())
    for written, value in (("1_000", 1000), ("0", 0), ("+5", 5)):
        (tmp_path / "params.yaml").write_text(text.replace("batch_size: 16", f"max_parameters: 9\n      batch_size: {written}"))
        assert config.read(tmp_path / "params.yaml")["experiments"]["one"]["train"]["batch_size"] == value


def test_a_file_that_is_not_utf_8_is_refused(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_bytes("# Größe\n".encode("latin-1") + yaml.safe_dump(params()).encode())
    with pytest.raises(Error, match=r"params\.yaml: not UTF-8 \(.* at byte 4\); save it in UTF-8"):
        config.load(tmp_path)


def test_without_experiments_nothing_of_torch_is_imported() -> None:
    """Downloads and preparations start in a second."""
    code = "import sys; from tasks import config, download, preprocess; config.load(experiments=False); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_an_unknown_experiment_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Error, match="did you mean one"):
        load(tmp_path, params()).experiment("onee")


def test_params_are_frozen(tmp_path: Path) -> None:
    profile = load(tmp_path, params())
    with pytest.raises(ValueError, match="frozen"):
        profile.params.experiments["one"].train.epochs = 9  # type: ignore[misc]


def test_a_winner_of_an_earlier_version_loses_only_keys_that_say_nothing() -> None:
    recorded = {
        "epochs": 3,
        "trainer": {},
        "augment": {"flip": True, "views": 0},
        "optimizer": {"name": "adam", "lr": 0.1},
        "views": 2,
    }
    assert known_keys(recorded, Recipe) == {
        "epochs": 3,
        "augment": {"flip": True},
        "optimizer": {"name": "adam", "lr": 0.1},
        "views": 2,
    }
