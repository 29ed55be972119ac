"""The study of painting from its block to its files."""

import json
from collections.abc import Callable

import pandas as pd
import pytest
from PIL import Image

from tasks.common.errors import Error
from tasks.profile import Profile
from tasks.study import study
from tests.tasks import test_code

OPTIONS = {
    "recipe": "squeezenet", "backbone": "squeezenet", "unit": 1.0, "contents": 1, "styles": ["ihc", "flower"], "size": 64, "steps": 4, "compared": 6,
    "optimizer": "lbfgs",
}  # fmt: skip
NONE = {"network": "none", "data": "tiny-pairs"}


def test_it_paints_and_measures(make_study: Callable[..., Profile]) -> None:
    profile = make_study(study="style", **NONE, options=OPTIONS)
    result = study(profile, "looked")
    folder = profile.results("looked")
    assert json.loads((folder / "metrics.json").read_bytes()) == result
    assert result["system"] == "style-squeezenet"
    assert result["backbone"] == "squeezenet"
    assert result["published"] == []
    metrics = result["metrics"]
    assert metrics["left"] < 1
    for way in ("lbfgs", "scales", "annealed"):
        assert 0 < metrics[f"steps_{way}"] <= 1
        assert (metrics[f"half_{way}"] <= 1) == (metrics[f"steps_{way}"] < 1)
    table = pd.read_csv(folder / "tables" / "paintings.csv")
    assert table["styles"].tolist() == ["ihc", "flower", "all of them"]
    assert metrics["loss_total"] == pytest.approx(table["total"].mean(), rel=1e-4)
    losses = pd.read_csv(folder / "tables" / "losses.csv")
    assert losses.groupby("styles").size().eq(4).all()
    with Image.open(folder / "plots" / "steps.webp") as animation:
        assert animation.n_frames > 1
        assert animation.size == (64, 64)
    for figure in ("triples.png", "losses.png"):
        assert (folder / "plots" / figure).stat().st_size > 3000


def test_the_other_publication_names_itself_and_its_backbone(make_study: Callable[..., Profile]) -> None:
    options = {
        **OPTIONS,
        "recipe": "vgg19",
        "backbone": "mobilenet_v2",
        "styles": ["ihc"],
        "steps": 2,
        "compared": 2,
        "optimizer": "lbfgs",
    }
    result = study(make_study(study="style", **NONE, options=options), "looked")
    assert (result["system"], result["backbone"]) == ("style-vgg19", "mobilenet_v2")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"styles": ["monet"]}, "unknown style 'monet'; allowed: astronaut"),
        ({"style": [1.0, 2.0]}, "one weight, or one for each of 4 layers"),
        ({"unit": None}, "unit: needed for squeezenet"),
        ({"backbone": "vgg19"}, "taken as they are"),
        ({"backbone": "vgg19", "unit": None, "recipe": "vgg19"}, "No package carries its weights"),
        ({"source": "path"}, "path: needed with source: path"),
        ({"size": 32}, "size"),
    ],
)
def test_what_does_not_go_together_is_refused(make_study: Callable[..., Profile], change: dict[str, object], says: str) -> None:
    with pytest.raises(Error, match=says):
        study(make_study(study="style", **NONE, options={**OPTIONS, **change}), "looked")


@pytest.mark.slow
def test_the_stage_imports_what_its_digest_names(make_study: Callable[..., Profile]) -> None:
    profile = make_study(study="style", **NONE, options={**OPTIONS, "steps": 2, "compared": 2})
    run = "from tasks.study import study; study(config.load({folder!r}, networks=False), {name!r})"
    found = test_code.imported(run, profile.folder, "looked")
    assert "tasks/inside/style.py" in found
    assert found <= test_code.covered(profile.folder, "study", "looked")
