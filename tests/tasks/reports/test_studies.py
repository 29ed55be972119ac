"""The report's sections of studies: numbers under their own block, whatever each of them measures."""

from collections.abc import Callable

import yaml

from tasks import config
from tasks.profile import Profile
from tasks.reports import studies
from tasks.studies import find

PHOTOGRAPHS = {"reached": 0.95, "median_budget": 3.0}
LABELLED = {"accuracy_clean": 0.9, "accuracy_pgd": 0.01}


def test_blocks_of_one_study_that_measure_different_things_stay_aligned(make_study: Callable[..., Profile]) -> None:
    profile = make_study(study="adversarial")
    params = yaml.safe_load((profile.folder / "params.yaml").read_bytes())
    params["studies"] = {
        "first": {"study": "adversarial", "data": "tiny-classes"},
        "paint": {"study": "style", "data": "tiny-pairs", "options": {"recipe": "vgg19", "backbone": "vgg19"}},
        "second": {"study": "adversarial", "data": "tiny-classes"},
    }
    (profile.folder / "params.yaml").write_text(yaml.safe_dump(params))
    common = {"val_metrics": {}, "dataset": "d", "networks": {"network": "n"}}
    found = {
        "first": {**common, "metrics": PHOTOGRAPHS},
        "paint": {**common, "metrics": {"left": 0.2, "loss_start": 1.2e11}, "system": "style-vgg19", "backbone": "vgg19"},
        "second": {**common, "metrics": LABELLED},
    }
    inside, paint = studies.pages(config.load(profile.folder), found)
    assert (inside["title"], paint["title"]) == ("Inside", "Paint")
    (section,) = inside["studies"]
    assert [block["name"] for block in section["blocks"]] == ["first", "second"]
    assert {row["label"]: row["numbers"] for row in section["rows"]} == {
        "accuracy, unchanged": ["–", "90.0 %"],
        "accuracy, PGD at the largest budget": ["–", "1.0 %"],
        "taken for the target within the largest budget": ["95.0 %", "–"],
        "median of the smallest budgets": ["3.0 /255", "–"],
    }
    (painted,) = paint["studies"]
    assert painted["blocks"][0]["of"]["backbone"] == "vgg19"
    assert painted["rows"][0] == {"label": "objective at the start", "numbers": ["1.200e+11"]}


def test_metrics_come_in_the_order_of_the_studies(make_study: Callable[..., Profile]) -> None:
    profile = make_study(study="adversarial")
    params = yaml.safe_load((profile.folder / "params.yaml").read_bytes())
    order = ["style", "adversarial", "saliency", "class-visualisation"]
    paint = {"options": {"recipe": "vgg19", "backbone": "vgg19"}}
    params["studies"] = {n: {"study": n, "data": "tiny-classes", **(paint if n == "style" else {})} for n in order}
    (profile.folder / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    expected = [metric for study in order for metric in find(study).METRICS]
    assert studies.metrics(config.load(profile.folder)) == expected
