"""The study of class visualisation from its block to its files."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from tasks.common.errors import Error
from tasks.learning import weights
from tasks.params.study import EMBEDDED
from tasks.profile import Profile
from tasks.study import study
from tests.tasks import test_code

OPTIONS = {"classes": ["red", "Blue"], "course_steps": 6, "fourier_steps": 12, "judge": "none"}
SQUEEZENET = {"network": "none", "embedded": "squeezenet"}


def test_it_draws_and_measures_both_ways(make_study: Callable[..., Profile]) -> None:
    profile = make_study(study="class-visualisation", options=OPTIONS)
    result = study(profile, "looked")
    assert result["system"] == "class-visualisation"
    metrics, folder = result["metrics"], profile.results("looked")
    assert {*metrics} == {f"{what}_{prior}" for what in ("probability", "least", "moved") for prior in ("course", "fourier")}
    table = pd.read_csv(folder / "tables" / "classes.csv")
    assert table.groupby("prior")["class"].apply(list).to_dict() == {"course": ["red", "Blue"], "fourier": ["red", "Blue"]}
    for prior, rows in table.groupby("prior"):
        assert metrics[f"probability_{prior}"] == pytest.approx(rows["probability"].mean(), abs=1e-4)
        assert metrics[f"least_{prior}"] == pytest.approx(rows["probability"].min(), abs=1e-4)
    curve = pd.read_csv(folder / "tables" / "ascent.csv")
    assert curve.groupby("prior")["step"].max().to_dict() == {"course": 6, "fourier": 12}
    for figure in ("classes.png", "ascent.png"):
        with Image.open(folder / "plots" / figure) as image:
            assert np.asarray(image).std() > 1
    assert study(profile, "looked")["metrics"] == metrics, "the same twice"


def test_another_network_says_whether_it_sees_the_class(make_study: Callable[..., Profile]) -> None:
    options = {"classes": ["gorilla"], "size": 64, "course_steps": 1, "fourier_steps": 2}
    profile = make_study(study="class-visualisation", **SQUEEZENET, options=options)
    metrics = study(profile, "looked")["metrics"]
    table = pd.read_csv(profile.results("looked") / "tables" / "classes.csv")
    assert metrics["transfer_fourier"] == pytest.approx(table["transfer"].iloc[-1], abs=1e-4)
    assert set(table["taken_for"]) <= set(weights.configuration(EMBEDDED / "squeezenet.safetensors").classes)


@pytest.mark.parametrize(
    ("block", "says"),
    [
        ({"options": {**OPTIONS, "classes": ["rad"]}}, "rad: no class of classes; the nearest of its 3 are red"),
        ({"options": {**OPTIONS, "judge": "mobilenet_v2"}}, "knows ImageNet's 1,000 classes, and classes has 3"),
        ({**SQUEEZENET, "options": {"judge": "squeezenet"}}, "takes part in the ascent itself"),
        ({"network": "none", "embedded": "emotion-deepface", "options": OPTIONS}, "images of 1 channels"),
        ({"network": "none", "options": OPTIONS}, "names no network"),
    ],
)
def test_what_does_not_go_together_is_refused(make_study: Callable[..., Profile], block: dict[str, object], says: str) -> None:
    with pytest.raises(Error, match=says):
        study(make_study(study="class-visualisation", **block), "looked")


@pytest.mark.slow
def test_the_stage_imports_what_its_digest_names(make_study: Callable[..., Profile]) -> None:
    profile = make_study(study="class-visualisation", options={**OPTIONS, "course_steps": 1, "fourier_steps": 1})
    run = "from tasks.study import study; study(config.load({folder!r}, networks=False), {name!r})"
    found = test_code.imported(run, profile.folder, "looked")
    assert "tasks/inside/ascent.py" in found
    assert found <= test_code.covered(profile.folder, "study", "looked")
