"""The study of saliency from its block to its files."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import yaml

from tasks import code, config
from tasks.common.errors import Error
from tasks.learning import tracking
from tasks.profile import Profile
from tasks.reports import studies
from tasks.study import study
from tests.conftest import ROOT
from tests.tasks import test_code
from tests.tasks.detection_data import write_scenes

OPTIONS = {"photographs": 6, "samples": 2, "steps": 4, "layers": 3, "checked": 2}


def test_it_measures_every_method_and_draws(make_study: Callable[..., Profile]) -> None:
    profile = make_study(study="saliency", options=OPTIONS)
    metrics = study(profile, "looked")["metrics"]
    # Data without boxes have no pointing game.
    assert len(metrics) == 3 * 5 + 1
    folder = profile.results("looked")
    for figure in ("strip.png", "curves.png", "sanity.png"):
        assert (folder / "plots" / figure).stat().st_size > 3000
    areas = pd.read_csv(folder / "tables" / "per_image.csv")
    assert len(areas) == 5 * 6
    mean = areas[areas["method"] == "grad-cam"]["insertion"].mean()
    assert metrics["insertion_grad_cam"] == pytest.approx(mean, abs=1e-4)
    ranks = pd.read_csv(folder / "tables" / "sanity.csv")
    assert ranks.groupby("method")["redrawn"].max().eq(3).all()
    last = ranks[ranks["redrawn"] == 3]["correlation"].abs()
    assert metrics["failing"] == (last >= 0.3).sum()
    client = tracking.connect(profile.root)
    found = client.get_experiment_by_name("looked")
    assert found is not None
    run, *_ = client.search_runs([found.experiment_id])
    assert run.data.metrics["failing"] == metrics["failing"]
    assert "plots/strip.png" in [artifact.path for artifact in client.list_artifacts(run.info.run_id, "plots")]
    assert study(profile, "looked")["metrics"] == metrics, "the same twice"
    (section,) = studies.sections(profile, studies.results(profile))
    (block,) = section["blocks"]
    assert block["name"] == "looked"
    assert len(block["figures"]) == 3
    assert all(len(row["numbers"]) == 1 for row in section["rows"])


def test_no_number_is_of_what_methods_were_chosen_on(make_study: Callable[..., Profile]) -> None:
    options = {**OPTIONS, "methods": ["gradient"]}
    study(profile := make_study(study="saliency", options={**options, "left_out": 20}), "looked")
    areas = pd.read_csv(profile.results("looked") / "tables" / "per_image.csv")
    assert areas["file"].tolist() == ["20.png", "21.png", "22.png", "23.png"], "24 are there"
    with pytest.raises(Error, match="leave out fewer"):
        study(make_study(study="saliency", options={**options, "left_out": 24}), "looked")


def test_middles_of_padded_photographs_are_looked_at(make_study: Callable[..., Profile], tmp_path: Path) -> None:
    options = {"photographs": 4, "samples": 1, "steps": 2, "layers": 2, "checked": 1, "methods": ["gradient"]}
    found = {}
    for frame in ("whole", "middle"):
        block = {"network": "none", "embedded": "squeezenet", "data": "tiny-classes", "options": {**options, "frame": frame}}
        profile = make_study(study="saliency", **block)
        folder = profile.processed("tiny-classes")
        shutil.rmtree(folder)
        write_scenes(folder, {"train": 1, "val": 4, "test": 1}, size=64)
        index = pd.read_parquet(folder / "val" / "index.parquet")
        index.assign(height=32).to_parquet(folder / "val" / "index.parquet")
        # VOC's names, of which the second is of ImageNet, too.
        info = json.loads((folder / "dataset.json").read_bytes())
        (folder / "dataset.json").write_text(json.dumps({**info, "classes": ["person", "dog"]}))
        found[frame] = study(profile, "looked")["metrics"]
    assert found["whole"].keys() == found["middle"].keys() >= {"pointing_gradient", "pointing_chance"}
    assert found["whole"]["pointing_chance"] != found["middle"]["pointing_chance"]
    assert found["whole"]["insertion_gradient"] != found["middle"]["insertion_gradient"]


def test_embedded_weights_are_looked_at_and_named(make_study: Callable[..., Profile]) -> None:
    profile = make_study(study="saliency", network="none", embedded="emotion-deepface", options=OPTIONS)
    with pytest.raises(Error, match="images of 3 channels, and a network that takes 1"):
        study(profile, "looked")
    options = {**OPTIONS, "methods": ["gradient"]}
    params = yaml.safe_load((profile.folder / "params.yaml").read_bytes())
    params["studies"]["looked"] |= {"embedded": "squeezenet", "options": options}
    # SqueezeNet needs 32 pixels; 16 are enlarged by nobody.
    params["studies"]["looked"]["data"] = "tiny-classes"
    (profile.folder / "params.yaml").write_text(yaml.safe_dump(params))
    lines = code.describe(params, "study", "looked")
    assert "models/squeezenet.py" in lines
    assert "models/weights/squeezenet.safetensors" in lines
    assert "models/cnn.py" not in lines


@pytest.mark.parametrize(
    ("block", "says"),
    [
        ({"embedded": "squeezenet"}, "name one of both"),
        ({"network": "none", "embedded": "squeezent"}, r"unknown weights 'squeezent'; allowed: .*squeezenet"),
        ({"options": {"methods": ["gradiant"]}}, "unknown method 'gradiant'; allowed: gradient"),
        ({"options": {"photographs": 0}}, "photographs"),
    ],
)
def test_what_does_not_go_together_is_refused(make_study: Callable[..., Profile], block: dict[str, object], says: str) -> None:
    with pytest.raises(Error, match=says):
        make_study(study="saliency", **block)


def test_weights_that_find_faces_are_not_looked_into(make_study: Callable[..., Profile]) -> None:
    with pytest.raises(Error, match="face-centerface-averaged is no classifier"):
        study(make_study(study="saliency", network="none", embedded="face", options=OPTIONS), "looked")


def test_without_a_network_there_is_nothing_to_look_at(make_study: Callable[..., Profile]) -> None:
    with pytest.raises(Error, match="names no network"):
        study(make_study(study="saliency", network="none", options=OPTIONS), "looked")


@pytest.mark.slow
def test_the_stage_imports_what_its_digest_names(make_study: Callable[..., Profile]) -> None:
    profile = make_study(study="saliency", options=OPTIONS)
    run = "from tasks.study import study; study(config.load({folder!r}, networks=False), {name!r})"
    found = test_code.imported(run, profile.folder, "looked")
    assert "tasks/inside/maps.py" in found
    assert found <= test_code.covered(profile.folder, "study", "looked")


def test_facts_are_read_without_torch() -> None:
    source = "import sys; import tasks.studies.saliency; print('torch' in sys.modules)"
    assert test_code.subprocess.run(
        [test_code.sys.executable, "-c", source], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split() == ["False"]


def test_the_sample_names_it() -> None:
    assert config.load(Path(ROOT), networks=False).params.studies["saliency-squeezenet"].embedded == "squeezenet"
