"""What kinds add to their sections of the report, and the curves on the page."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from bs4 import BeautifulSoup

import tasks
from tasks.common import pages
from tasks.common.files import write_json
from tasks.profile import Profile
from tasks.report import report
from tests.tasks.test_report import result

HERE = Path(tasks.__file__).parent


def added(kind: str, e: dict[str, Any], experiments: list[dict[str, Any]] | None = None) -> BeautifulSoup:
    page = pages.render(f"kinds/{kind}/section.html.j2", [HERE], e=e, experiments=experiments or [e])
    return BeautifulSoup(" ".join(page.split()), "html.parser")


def rows(soup: BeautifulSoup) -> list[list[str]]:
    return [[" ".join(cell.text.split()) for cell in row.find_all(["th", "td"])] for row in soup.select("tbody tr")]


def test_codecs_stand_at_the_quality_that_is_nearest_to_ours() -> None:
    def row(codec: str, bpp: float, seconds: float) -> dict[str, Any]:
        return {"codec": codec, "bpp": bpp, "psnr": 30 + bpp, "encode_seconds": seconds, "decode_seconds": 2 * seconds}

    rates = [row("ours", 0.1, 1), row("ours", 0.35, 2), row("jpeg", 0.2, 3), row("jpeg", 0.4, 4), row("avif", 0.3, 5)]
    metrics = {"bpp": 0.35, "bd_rate_jpeg": -0.486, "bd_rate_avif": 0.024}
    assert rows(added("compress", {"tables": {"rates": rates}, "result": {"metrics": metrics}})) == [
        ["ours", "0.350", "30.35 dB", "2.000", "4.000", "–"],
        ["jpeg", "0.400", "30.40 dB", "4.000", "8.000", "48.6 % fewer"],
        ["avif", "0.300", "30.30 dB", "5.000", "10.000", "2.4 % more"],
    ]
    assert rows(added("compress", {"tables": {}, "result": {"metrics": metrics}})) == []


def test_classes_without_labels_have_a_row_each_and_the_backbone_is_named() -> None:
    classes = [
        {"class": "cow", "crops": 1119, "zero_shot": 0.5, "zero_shot_ensemble": 0.655},
        {"class": "bus", "crops": 112, "zero_shot": 0.036, "zero_shot_ensemble": 0.384},
    ]
    e: dict[str, Any] = {"tables": {"zero_shot": classes}, "result": {"seeds": [0, 1], "pretrained": "package"}}
    soup = added("embed", e)
    assert rows(soup) == [["cow", "1,119", "50.0 %", "65.5 %"], ["bus", "112", "3.6 %", "38.4 %"]]
    assert "By chance 50.0 % are right" in soup.text
    assert "the frozen backbone has learned ImageNet's labels" in soup.text
    del e["result"]["pretrained"]
    assert "ImageNet" not in added("embed", e).text


def captioner(decoder: str, cider: float, loss: float, distinct: float, dataset: str = "flickr8k") -> dict[str, Any]:
    return {
        "name": f"caption-{decoder}", "recipe": {"decoder": decoder}, "tables": {}, "numbers": [{"metric": "cider", "text": f"{cider:.3f}"}],
        "result": {"task": "caption", "dataset": dataset, "n_test": 125, "metrics": {"cider": cider, "distinct": distinct}, "val_metrics": {"loss": loss}},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("lstm", "said", "unsaid"),
    [
        (captioner("lstm", 0.223, 3.03, 0.072), ["0.223 against 0.247", "a loss of 3.03", "says 9 different", "the RNN 26"], []),
        (captioner("lstm", 0.223, 3.2, 0.3), ["not above the RNN"], ["predicts people's words better", "less apart"]),
        (captioner("lstm", 0.3, 3.03, 0.072), [], ["not above"]),
        (captioner("lstm", 0.223, 3.03, 0.072, "scenes-words"), [], ["not above"]),
        (captioner("attention", 0.223, 3.03, 0.072), [], ["not above"]),
    ],
)
def test_the_lstm_is_said_to_be_below_the_rnn_where_it_is(lstm: dict[str, Any], said: list[str], unsaid: list[str]) -> None:
    neighbours = {**captioner("none", 0.3, 3.0, 0.5), "recipe": {}}
    text = added("caption", lstm, [neighbours, lstm, captioner("rnn", 0.247, 3.13, 0.208)]).text
    assert all(words in text for words in said)
    assert not any(words in text for words in unsaid)


def test_examples_are_chosen_by_their_place() -> None:
    sentences = ["a dog", "a cat", "a dog", float("nan"), "a dog <b>"]
    table = [{"file": f"{i}.jpg", "sentence": s, "cider": c} for i, (s, c) in enumerate(zip(sentences, [0.1, 0.9, 0.5, 0, 0.3]))]
    soup = added("caption", {**captioner("attention", 0.4, 3, 0.9), "tables": {"per_image": table}})
    assert rows(soup) == [
        ["best", "1.jpg", "a cat", "0.900"],
        ["upper quartile", "2.jpg", "a dog", "0.500"],
        ["median", "4.jpg", "a dog <b>", "0.300"],
        ["lower quartile", "0.jpg", "a dog", "0.100"],
        ["worst", "3.jpg", "", "0.000"],
    ]
    assert "“a dog”, of 2 of 5 photographs" in soup.text


def test_curves_are_drawn_on_the_page_of_a_result_whose_figures_are_elsewhere(make_profile: Callable[..., Profile]) -> None:
    made = make_profile()
    folder = made.results("pairs")
    metrics = {"bpp": 0.4, "psnr": 31.0, "ms_ssim": 0.95, "bd_rate_jpeg": -0.4}
    write_json(folder / "metrics.json", result("pairs", "compress", metrics, dataset="kodak"))
    (folder / "tables").mkdir()
    table = {"codec": ["ours", "ours"], "quality": [0, 50], "bpp": [0.2, 0.4], "psnr": [28, 31], "ms_ssim": [0.9, 0.95]}
    pd.DataFrame({**table, "encode_seconds": 1.0, "decode_seconds": 1.0}).to_csv(folder / "tables" / "rates.csv", index=False)
    psnr, ms_ssim = BeautifulSoup(report(made).read_text(encoding="utf-8"), "html.parser").select("#pairs .charts svg")
    assert psnr["aria-label"] == "pairs: PSNR (dB) against bits a pixel; ours, factorised prior, hyperprior, ELIC"
    assert len(psnr.find_all("polyline")) == 4
    assert len(ms_ssim.find_all("polyline")) == 1
    assert {text.text for text in psnr.find_all("text")} > {"PSNR (dB)", "bits a pixel", "ours", "ELIC"}
