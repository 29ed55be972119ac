"""Kinds are folders, found by their names; what a folder lacks, and what it does not declare, is a sentence."""

import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from tasks import config, kinds
from tasks.common.errors import Error
from tasks.evaluate import evaluate
from tasks.profile import Profile
from tasks.train import train

MakeProfile = Callable[..., Profile]


def test_every_folder_is_a_kind_and_whole() -> None:
    folder = Path(kinds.__file__).parent
    assert list(kinds.names()) == sorted(path.parent.name for path in folder.glob("*/__init__.py"))
    for name in kinds.names():
        declared = kinds.find(name)
        assert kinds.main_metric(name) == declared.METRICS[0].name
        assert len(kinds.metrics(name)) == len(declared.METRICS) + 1, "no metric is declared twice, and none is called loss"
        for part in kinds.PARTS:
            assert kinds.part(name, part).__name__ == f"tasks.kinds.{name}.{part}"


def test_an_unknown_kind_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(
        Error, match=r"unknown kind of task 'clasify'; did you mean classify\? allowed: classify, compress, detect, translate"
    ):
        kinds.find("clasify")
    with pytest.raises(Error, match=r"unknown kind of task 'sing'; allowed: classify, compress, detect, translate"):
        kinds.metrics("sing")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A further folder of kinds, with a copy of `classify` in it as the kind `sort`."""
    monkeypatch.setattr(kinds, "__path__", [str(tmp_path), *kinds.__path__])
    shutil.copytree(Path(kinds.__file__).parent / "classify", tmp_path / "sort", ignore=shutil.ignore_patterns("__pycache__"))
    kinds.names.cache_clear()
    yield tmp_path / "sort"
    monkeypatch.undo()
    kinds.names.cache_clear()
    kinds.find.cache_clear()


def test_a_new_folder_is_a_new_kind(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "tasks.kinds.sort", raising=False)
    assert "sort" in kinds.names()
    assert Path(kinds.find("sort").__file__) == folder / "__init__.py"
    assert kinds.main_metric("sort") == "accuracy"


@pytest.mark.parametrize("part", kinds.PARTS)
def test_a_folder_that_lacks_a_part_is_named_with_it(folder: Path, part: str) -> None:
    (folder / f"{part}.py").unlink()
    with pytest.raises(Error, match=rf"sort: lacks {part}\.py; a kind has prepare\.py, data\.py"):
        kinds.find("sort")


@pytest.mark.parametrize("fact", kinds.FACTS)
def test_a_folder_that_lacks_a_fact_is_named_with_it(folder: Path, fact: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "tasks.kinds.sort", raising=False)
    with (folder / "__init__.py").open("a") as file:
        file.write(f"\ndel {fact}\n")
    with pytest.raises(Error, match=rf"sort/__init__\.py: lacks {fact}; a kind says Prepare, Recipe, METRICS"):
        kinds.find("sort")


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"published": [{"metric": "psnr", "value": 1.0, "source": "a paper"}]}, "published.metric"),
        ({"train": {"keep": "best", "select": "psnr"}}, "train.select"),
        ({"train": {"early_stopping": {"metrics": ["loss", "psnr"], "patience": 2}}}, "train.early_stopping.metrics"),
    ],
)
def test_a_metric_that_the_kind_does_not_declare_is_refused_with_its_key(
    make_profile: MakeProfile, change: dict[str, Any], key: str
) -> None:
    folder = make_profile().folder
    with pytest.raises(Error) as caught:
        config.load(folder, {"experiments": {"classes": change}})
    assert f"experiments.classes.{key}: 'psnr' is no metric of classify; allowed: accuracy, " in str(caught.value)


def test_the_nearest_metric_is_named() -> None:
    with pytest.raises(
        ValueError, match=r"here: 'acuracy' is no metric of classify; did you mean accuracy\? allowed: accuracy, "
    ):
        kinds.check_metric("classify", "acuracy", "here")
    kinds.check_metric("classify", "loss", "here")


def test_a_measured_metric_that_is_not_declared_is_an_error(make_profile: MakeProfile, monkeypatch: pytest.MonkeyPatch) -> None:
    profile = make_profile(epochs=1)
    train(profile, "classes")
    part = kinds.part("classify", "measure")
    measure = part.measure

    def more(test: Any) -> tuple[np.ndarray, dict[str, float]]:
        outputs, scores = measure(test)
        return outputs, {**scores, "charm": 1.0, "beauty": 2.0}

    monkeypatch.setattr(part, "measure", more)
    with pytest.raises(
        Error,
        match=r"tasks/kinds/classify/measure\.py measures beauty, charm, which METRICS in its __init__\.py does not declare",
    ):
        evaluate(profile, "classes")
    assert not (profile.results("classes") / "metrics.json").exists()


def test_the_kind_is_that_of_the_data_and_not_said_twice(make_profile: MakeProfile) -> None:
    file = make_profile().folder / "params.yaml"
    params = yaml.safe_load(file.read_text())
    params["experiments"]["classes"]["train"]["kind"] = "classify"
    file.write_text(yaml.safe_dump(params))
    with pytest.raises(
        Error,
        match=r"experiments\.classes\.train\.kind: unknown key; the kind is that of the data, preprocess\.tiny-classes\.task",
    ):
        config.load(file.parent)
