import base64
import io
import json
import logging
import re

import numpy as np
import pandas as pd
import pytest
import yaml
from bs4 import BeautifulSoup
from PIL import Image

from tasks import config
from tasks.common.errors import Error
from tasks.common.files import write_json, write_text
from tasks.imaging import figures
from tasks.kinds import Figure
from tasks.report import report
from tasks.reports import sections
from tasks.reports.numbers import duration
from tasks.reports.table import table as table_of

HOSTILE = "<script>alert('x')</script> & \"quotes\""


def result(name: str, task: str, metrics: dict[str, float], published=(), **others):
    return {
        "experiment": name, "system": "cnn", "task": task, "dataset": "patches", "data_origin": "package",
        "n_train": 48, "n_val": 24, "n_test": 1024, "metrics": metrics, "val_metrics": {"loss": 0.5}, "published": list(published),
        "parameters": 123456, "epochs": 2, "train_seconds": 75.2, "peak_memory_mb": 512.0, "device": "cpu", "threads": 2,
        "seeds": [0], "git_commit": "0123456789abcdef", "versions": {"torch": "2"}, **others,
    }  # fmt: skip


@pytest.fixture
def profile(make_profile):
    """Two experiments with results as `tasks.evaluate` leaves them."""
    made = make_profile()
    published = [
        {"metric": "psnr", "value": 21.55, "source": HOSTILE, "note": ""},
        {"metric": "ssim", "value": 0.82, "source": "b", "note": ""},
    ]
    results = [
        result("classes", "classify", {"accuracy": 0.9, "macro_f1": 0.89, "log_loss": 0.3}, metrics_std={"accuracy": 0.01}),
        result("pairs", "translate", {"psnr": 20.05, "ssim": 0.9, "l1": 0.05}, published),
    ]
    for one in results:
        folder = made.results(one["experiment"])
        write_json(folder / "metrics.json", one)
        (folder / "plots").mkdir()
        history = pd.DataFrame({"seed": [0, 0], "epoch": [1, 2], "train_loss": [2, 1], "val_loss": [2, 1], "val_loss2": [1, 2]})
        figures.save(figures.curves(history, "loss2", "another loss"), folder / "plots" / "curves.png")
    classes = {"class": ["red", HOSTILE], "precision": [0.5, 1.0], "recall": [1.0, 0.5], "f1": [0.66, 0.66], "support": [3, 4]}
    (made.results("classes") / "tables").mkdir()
    pd.DataFrame(classes).to_csv(made.results("classes") / "tables" / "per_class.csv", index=False)
    write_json(made.evaluated("classes") / "dataset.json", {"licence": "CC BY 4.0"})
    return made


def table(results) -> pd.DataFrame:
    return table_of(results, ["accuracy", "psnr", "map50"])


def page(profile) -> BeautifulSoup:
    return BeautifulSoup(report(profile).read_text(encoding="utf-8"), "html.parser")


def test_every_experiment_has_a_row_and_a_section(profile):
    soup = page(profile)
    rows = soup.select("#summary tbody tr")
    assert [row.th.a.text for row in rows] == ["classes", "pairs"]
    assert [row.th.a["href"] for row in rows] == ["#classes", "#pairs"]
    for name in ("classes", "pairs"):
        section = soup.find("section", id=name)
        assert section.h2.text == name
        assert "123,456" in section.text
        assert "1 min 15 s" in section.text
    assert "90.00 % ± 1.00" in " ".join(soup.find("section", id="classes").text.split())
    assert "CC BY 4.0" in soup.find("section", id="data").text


def test_differences_from_the_publication(profile):
    cells = page(profile).select("#summary tbody tr")[1].find_all("td")
    shown = [[div.text for div in cell.find_all("div")] for cell in cells[3:5]]
    assert shown == [["21.55 dB", "0.8200"], ["\N{MINUS SIGN}1.50 dB", "+0.0800"]]
    assert [div["class"] for div in cells[4].find_all("div")] == [["bad"], ["good"]]
    assert float(cells[4]["data-key"]) == pytest.approx(-1.5)


def test_the_page_stands_alone(profile):
    soup = page(profile)
    for tag in soup.find_all(True):
        for attribute in ("src", "href", "srcset", "poster", "action"):
            value = tag.get(attribute, "data:")
            assert value.startswith(("data:", "#")), f"{tag.name} {attribute}={value[:60]}"
    text = "".join(tag.text for tag in soup.find_all(["style", "script"]))
    assert not re.search(r"url\(|@import|fetch\(|import\s|https?://", text)
    assert not soup.find_all(["iframe", "object", "embed"])


def test_pictures_are_inside(profile):
    images = page(profile).find_all("img")
    assert len(images) == 2
    for image in images:
        kind, encoded = image["src"].split(",", 1)
        assert kind == "data:image/webp;base64"
        with Image.open(io.BytesIO(base64.b64decode(encoded))) as picture:
            assert np.asarray(picture).size
        assert image["alt"]


def test_everything_is_escaped(profile):
    soup = page(profile)
    assert len(soup.find_all("script")) == 1, "our own"
    section = soup.find("section", id="pairs")
    assert HOSTILE in section.select_one(".ladder").text
    assert HOSTILE in soup.find("section", id="classes").table.text


def test_the_same_results_give_the_same_bytes(profile):
    first = report(profile).read_bytes(), (profile.folder / "results" / "table.csv").read_bytes()
    second = report(profile).read_bytes(), (profile.folder / "results" / "table.csv").read_bytes()
    assert first == second


def test_table_has_a_row_an_experiment(profile):
    report(profile)
    rows = pd.read_csv(profile.folder / "results" / "table.csv").set_index("experiment")
    assert list(rows.index) == ["classes", "pairs"]
    pairs = rows.loc["pairs"]
    assert (pairs["psnr"], pairs["psnr_published"]) == (20.05, 21.55)
    assert pairs["psnr_difference"] == pytest.approx(-1.5)
    assert pairs["ssim_difference"] == pytest.approx(0.08)
    assert np.isnan(rows.loc["classes", "psnr_published"])
    for column in ("system", "dataset", "data_origin", "n_train", "parameters", "train_seconds", "device", "seeds", "git_commit"):
        assert column in rows.columns


def test_no_fact_stands_in_the_place_of_a_metric():
    found = table([result("boxes", "detect", {"map50": 0.6, "precision": 0.586}, precision="bf16")]).iloc[0]
    assert (found["precision"], found["arithmetic"]) == (0.586, "bf16")


def test_of_several_published_values_the_table_takes_the_first():
    published = [{"metric": "accuracy", "value": value, "source": "", "note": ""} for value in (0.7, 0.8)]
    row = table([result("a", "classify", {"accuracy": 0.75}, published)]).iloc[0]
    assert row["accuracy_difference"] == pytest.approx(0.05)


def test_what_was_published_but_not_measured_has_no_difference(profile):
    published = [{"metric": "map50", "value": 0.7, "source": "", "note": ""}]
    one = result("classes", "classify", {"accuracy": 0.75}, published)
    assert table([one])["map50_difference"].isna().all()
    write_json(profile.results("classes") / "metrics.json", one)
    assert [td.text for td in page(profile).select("#summary tbody tr")[0].find_all("td")[3:5]] == ["\N{EN DASH}", "\N{EN DASH}"]


def test_an_experiment_without_result_is_named(profile, caplog):
    (profile.results("pairs") / "metrics.json").unlink()
    with caplog.at_level(logging.WARNING):
        soup = page(profile)
    assert "dvc repro evaluate@pairs" in caplog.text
    assert "Not evaluated yet: pairs" in soup.text
    assert len(soup.select("#summary tbody tr")) == 1


def test_stray_folders_are_left_out(profile):
    write_json(profile.results("stray") / "metrics.json", result("stray", "classify", {"accuracy": 1.0}))
    assert "stray" not in report(profile).read_text(encoding="utf-8")


def test_no_result_at_all(make_profile):
    with pytest.raises(Error, match="dvc repro"):
        report(make_profile())


def test_a_result_that_is_not_json(profile):
    path = profile.results("pairs") / "metrics.json"
    path.write_text("{")
    with pytest.raises(Error, match=re.escape(str(path))):
        report(profile)


def test_benchmarks_are_shown_where_there_are_any(profile):
    assert page(profile).find("section", id="benchmarks") is None
    origin = {"git_commit": "0123456789", "device": "cpu (one)"}
    rows = [
        {"name": "targets", "ratio": 3.4, "spread": [3.1, 3.6], "floor": 3.0, "description": "against a Python loop", **origin},
        {"name": "slow", "ratio": 2.9, "spread": [2.8, 3.0], "floor": 3.0, "description": "against a peer", **origin},
        {"name": "plain", "ratio": 1.2, "spread": [1.1, 1.3], "floor": None, "description": "no promise", **origin},
        {"name": "rebuild", "seconds": 2.4, "limit": 5, "description": "nothing changed", **origin},
        {"name": "memory", "megabytes": 1812.5, "limit": 1000, "description": "a large picture", **origin},
    ]
    write_json(profile.root / "results" / "bench.json", {"benchmarks": rows})
    gpu = {"name": "cnn", "ratio": 4.1, "spread": [3.2, 4.5], "floor": None, "description": "on a card"}
    write_json(profile.root / "results" / "gpu.json", {"git_commit": "0123456789", "device": "a GPU", "benchmarks": [gpu]})
    shown = page(profile).select("#benchmarks tbody tr")
    where = "cpu (one), 01234567"
    assert [[cell.text for cell in row.find_all(["th", "td"])] for row in shown] == [
        ["targets", f"against a Python loop{where}", "3.4 ×", "3.1 – 3.6", "≥ 3.0 ×"],
        ["slow", f"against a peer{where}", "2.9 ×", "2.8 – 3.0", "≥ 3.0 ×"],
        ["plain", f"no promise{where}", "1.2 ×", "1.1 – 1.3", "–"],
        ["rebuild", f"nothing changed{where}", "2.4 s", "–", "≤ 5 s"],
        ["memory", f"a large picture{where}", "1812.5 MB", "–", "≤ 1000 MB"],
        ["cnn", "on a carda GPU, 01234567", "4.1 ×", "3.2 – 4.5", "–"],
    ]
    assert [row.th.text for row in shown if row.select(".bad")] == ["slow", "memory"]


def test_a_number_of_another_data_set_is_shown_and_not_compared(profile):
    published = [{"metric": "accuracy", "value": 0.7, "source": "a course", "note": "", "dataset": "cifar10"}]
    write_json(profile.results("classes") / "metrics.json", result("classes", "classify", {"accuracy": 0.75}, published))
    section = page(profile).find(id="classes")
    assert "on cifar10" in section.text
    assert section.select(".good, .bad") == []
    assert pd.read_csv(profile.folder / "results" / "table.csv").set_index("experiment")["accuracy_difference"].isna()["classes"]


def test_several_experiments_on_the_same_data_are_drawn_together(profile):
    before = len(page(profile).select(".card.flush figure"))
    params = yaml.safe_load((profile.folder / "params.yaml").read_text())
    for index in range(3):
        name = f"more-{index}"
        params["experiments"][name] = params["experiments"]["classes"]
        write_json(profile.results(name) / "metrics.json", result(name, "classify", {"accuracy": 0.5 + index / 10}))
    write_text(profile.results("classes") / "history.csv", "seed,epoch,train_loss,val_loss,val_accuracy\n0,1,1.0,1.1,0.5\n")
    (profile.folder / "params.yaml").write_text(yaml.safe_dump(params))
    figures = page(config.load(profile.folder)).select(".card.flush figure")
    assert len(figures) == before + 3, "the ladder, the sizes and the comparison of params.yaml"
    assert "Rates: learning curves" in figures[-1].text


def test_what_was_trained_on_validation_is_said_beside_its_curve(profile):
    write_text(profile.results("classes") / "history.csv", "seed,epoch,train_loss,val_loss,val_accuracy\n0,1,1.0,1.1,0.5\n")
    warning = "Dotted: trained on validation as well"
    assert warning not in page(profile).text
    known = result("classes", "classify", {"accuracy": 0.9}, trained_on="train+val")
    write_json(profile.results("classes") / "metrics.json", known)
    assert warning in page(profile).text


def test_recipe_shows_what_was_set(profile):
    recipe = {div.dt.text: div.dd.text for div in page(profile).select("#classes dl div") if div.dt}
    assert recipe["optimizer.name"] == "adam"
    params = yaml.safe_load((profile.folder / "params.yaml").read_text())
    assert recipe["epochs"] == str(params["experiments"]["classes"]["train"]["epochs"])


def test_a_published_value_in_params_is_not_read_twice(profile):
    """The page shows what the result recorded, so that an edit of params.yaml shows only after its stage ran."""
    params = yaml.safe_load((profile.folder / "params.yaml").read_text())
    params["experiments"]["pairs"]["published"] = [{"metric": "psnr", "value": 99, "source": "later"}]
    (profile.folder / "params.yaml").write_text(yaml.safe_dump(params))
    assert "later" not in report(config.load(profile.folder)).read_text(encoding="utf-8")
    assert json.loads((profile.results("pairs") / "metrics.json").read_text())["published"][0]["value"] == 21.55


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.4, "0 s"), (59.4, "59 s"), (59.6, "1 min"), (75.2, "1 min 15 s"), (3600, "1 h"), (7500, "2 h 5 min"), (7199.9, "2 h")],
)
def test_duration(seconds, words):
    assert duration(seconds) == words


def test_a_system_has_one_row_with_its_best_experiment(profile):
    params = yaml.safe_load((profile.folder / "params.yaml").read_text())
    params["experiments"]["better"] = params["experiments"]["pairs"]
    (profile.folder / "params.yaml").write_text(yaml.safe_dump(params))
    published = json.loads((profile.results("pairs") / "metrics.json").read_text())["published"]
    better = result("better", "translate", {"psnr": 35.0, "ssim": 0.95, "l1": 0.01}, published)
    write_json(profile.results("better") / "metrics.json", better)
    soup = page(config.load(profile.folder))
    rows = [(row.th.text, row.th.a["href"], row.td.a.text) for row in soup.select("#systems tbody tr")]
    assert rows == [("cnn", "#better", "better")]
    assert len(soup.select("#summary tbody tr")) == 3
    assert "classes, pairs" in " ".join(soup.select_one("#systems tbody tr").text.split())


def test_a_published_number_stands_beside_ours_of_the_same_metric(profile):
    published = [
        {"metric": "log_loss", "value": 0.5, "source": "a", "note": ""},
        {"metric": "macro_f1", "value": 0.7, "source": "b", "note": ""},
        {"metric": "macro_f1", "value": 0.95, "source": "c", "note": ""},
    ]
    shown = result("classes", "classify", {"accuracy": 0.9, "macro_f1": 0.89, "log_loss": 0.3}, published)
    write_json(profile.results("classes") / "metrics.json", shown)
    soup = page(profile)
    for row in (soup.select_one("#systems tbody tr"), soup.select_one("#summary tbody tr")):
        columns = [[" ".join(line.text.split()) for line in cell.find_all("div")] for cell in row.select("td:has(div)")]
        assert [*zip(*columns, strict=True)] == [
            ("Accuracy 90.00 %", "–", "–"),
            ("Macro F1 89.00 %", "70.00 %", "+19.00 points"),
            ("", "95.00 %", "−6.00 points"),
            ("Log loss 0.300", "0.500", "−0.200"),
        ]


def test_of_a_result_whose_figures_are_elsewhere_the_one_that_git_keeps_is_shown(profile):
    folder = profile.results("classes")
    Image.new("RGB", (20, 10)).save(folder / "shown.webp")
    assert len(page(profile).find("section", id="classes").find_all("img")) == 1
    (folder / "plots" / "curves.png").unlink()
    (folder / "plots").rmdir()
    shown = page(profile).find("section", id="classes").find_all("img")
    assert len(shown) == 1
    assert "Confusion matrix" in shown[0]["alt"]


def test_a_variants_kept_picture_is_smaller_than_its_systems_best(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (600, 800, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "shown.webp", quality=80)
    figure = Figure("confusion.png", "a figure")
    best, variant = (sections.inlined(tmp_path / "shown.webp", figure, small) for small in (False, True))
    assert len(variant) < len(best)
    with Image.open(io.BytesIO(base64.b64decode(variant.partition(",")[2]))) as shown:
        assert shown.size == (sections.VARIANT, sections.VARIANT * 3 // 4)


def test_results_come_first_and_commits_last(profile):
    text = report(profile).read_text(encoding="utf-8")
    assert text.index('id="summary"') < text.index("commit <code>")
