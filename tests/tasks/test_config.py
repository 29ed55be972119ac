import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tasks import config
from tasks.common.errors import Error
from tests.conftest import ROOT, experiment


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
        ("experiments.a/b", experiment("classify"), ["a/b"]),
        ("preprocess.tiny-classes.dataset", "patch", ["preprocess.tiny-classes.dataset", "did you mean patches"]),
        ("preprocess.tiny-classes.sizes", 4, ["preprocess.tiny-classes.sizes", "did you mean size"]),
        ("preprocess.tiny-classes.max_bad_share", 2, ["preprocess.tiny-classes.max_bad_share", "less than or equal to 1"]),
        ("preprocess.tiny-classes.task", "clasify", ["preprocess.tiny-classes", "classify", "translate", "detect"]),
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
