"""What the report draws of tables: the right columns under the right names, and nothing twice."""

from pathlib import Path

import pandas as pd
import pytest

from tasks.inside import sanity
from tasks.kinds import Figure
from tasks.kinds.compress.figures import PUBLISHED
from tasks.kinds.compress.measure import KODAK
from tasks.reports import curves
from tasks.reports.charts import Chart

RATES = pd.DataFrame(
    {
        "codec": ["ours", "ours", "jpeg", "jpeg", "jpeg"],
        "bpp": [0.4, 0.2, 0.3, 0.9, 2.5],
        "psnr": [31.0, 28.0, 27.0, 33.0, 40.0],
        "ms_ssim": [0.95, 0.92, 0.9, 0.97, 0.99],
    }
)


def lines(chart: Chart) -> dict[str, list[tuple[float, float]]]:
    return {line.label: [*line.points] for line in chart.lines}


def test_rates_are_lines_of_bits_and_quality() -> None:
    psnr, ms_ssim = curves.rates(RATES, "photos")
    assert lines(psnr) == {"ours": [(0.2, 28.0), (0.4, 31.0)], "jpeg": [(0.3, 27.0), (0.9, 33.0)]}, "in order, up to 1.5 bits"
    assert lines(ms_ssim) == {"ours": [(0.2, 0.92), (0.4, 0.95)], "jpeg": [(0.3, 0.9), (0.9, 0.97)]}


def test_what_was_published_of_kodak_stands_beside_kodak_alone() -> None:
    assert {*curves.KODAK} == {*KODAK}
    psnr, ms_ssim = curves.rates(RATES, KODAK[0])
    published = {name: [*known] for name, known in PUBLISHED.items()}
    assert {name: found for name, found in lines(psnr).items() if name in PUBLISHED} == published
    assert all(line.dashes == "" for line in psnr.lines[:2])
    assert len({line.dashes for line in psnr.lines[2:]} - {""}) == len(PUBLISHED), "told apart by their dashes"
    assert {*lines(ms_ssim)} == {"ours", "jpeg"}


def test_saliency_is_a_line_a_method() -> None:
    table = pd.DataFrame(
        {"method": ["a", "a", "b", "b"], "share": [0, 1, 0, 1], "insertion": [0, 0.3, 0.1, 0.4], "deletion": [0.3, 0, 0.4, 0.1]}
    )
    insertion, deletion = curves.salience(table, "")
    assert lines(insertion) == {"a": [(0, 0), (1, 0.3)], "b": [(0, 0.1), (1, 0.4)]}
    assert lines(deletion) == {"a": [(0, 0.3), (1, 0)], "b": [(0, 0.4), (1, 0.1)]}


def test_the_check_begins_at_one_and_shows_what_fails() -> None:
    assert curves.PASSES == sanity.PASSES
    table = pd.DataFrame({"method": ["a", "b", "a", "b"], "redrawn": [1, 1, 2, 2], "correlation": [0.7, 0.2, 0.5, 0.1]})
    (chart,) = curves.sanity(table, "")
    assert lines(chart) == {
        "a": [(0, 1), (1, 0.7), (2, 0.5)],
        "b": [(0, 1), (1, 0.2), (2, 0.1)],
        "fails from here on": [(0, 0.3), (2, 0.3)],
    }


def test_the_other_networks_probability_is_dashed() -> None:
    table = pd.DataFrame(
        {"prior": ["course", "fourier"], "step": [5, 8], "class": "cannon", "probability": [0.9, 1.0], "transfer": [0.1, 0.8]}
    )
    course, fourier = curves.ascent(table, "")
    assert (course.title, fourier.title) == ("Probability, course", "Probability, fourier")
    assert [(line.label, [*line.points], bool(line.dashes)) for line in fourier.lines] == [
        ("cannon", [(8, 1.0)], False),
        ("", [(8, 0.8)], True),
    ]
    assert fourier.lines[0].colour == fourier.lines[1].colour


def test_a_coarser_scales_objective_is_not_drawn() -> None:
    table = pd.DataFrame(
        {
            "way": ["Adam", "Adam", "two", "two"],
            "scale": [0, 0, 0, 1],
            "step": [0, 1, 0, 1],
            "content": [0.0, 2.0, 0.0, 3.0],
            "style": [9.0, 4.0, 8.0, 5.0],
            "total": [9.5, 6.5, 8.5, 8.2],
        }
    )
    objective, parts = curves.objective(table, "")
    assert lines(objective) == {"Adam": [(0, 9.5), (1, 6.5)], "two": [(1, 8.2)]}
    assert lines(parts) == {"content": [(0, 0.0), (1, 2.0)], "style": [(0, 9.0), (1, 4.0)]}


def test_networks_stand_together_under_each_attack() -> None:
    labelled = pd.DataFrame({"budget": [0, 8], "fgsm": [0.8, 0.1], "pgd": [0.8, 0.0], "pgd_l2": [0.8, 0.05], "other": [0.5, 0.4]})
    found = curves.budgets({"cnn": labelled, "squeezenet": pd.DataFrame({"budget": [0, 8], "reached": [0.0, 1.0]})})
    assert {chart.title: lines(chart) for chart in found} == {
        "Accuracy under FGSM": {"cnn": [(0, 0.8), (8, 0.1)]},
        "Accuracy under PGD": {"cnn": [(0, 0.8), (8, 0.0)]},
        "Accuracy under PGD in l2": {"cnn": [(0, 0.8), (8, 0.05)]},
        "Taken for the target": {"squeezenet": [(0, 0.0), (8, 1.0)]},
    }


@pytest.mark.parametrize("name", [*curves.DRAWN])
def test_every_figure_that_is_stood_for_is_declared(name: str) -> None:
    from tasks import kinds, studies

    module = kinds.find(name) if name in kinds.names() else studies.find(name)
    assert {*curves.DRAWN[name]} <= {figure.file for figure in module.FIGURES}


def test_what_is_here_as_a_figure_is_not_drawn_twice(tmp_path: Path) -> None:
    figures = [Figure("rates.png", "Bits and quality.")]
    assert curves.of_result("compress", figures, tmp_path, "photos") == []
    (tmp_path / "tables").mkdir()
    RATES.to_csv(tmp_path / "tables" / "rates.csv", index=False)
    (found,) = curves.of_result("compress", figures, tmp_path, "photos")
    assert found["caption"] == "Bits and quality."
    assert [chart.title for chart in found["charts"]] == ["PSNR (dB)", "MS-SSIM"]
    assert curves.of_result("translate", figures, tmp_path, "photos") == []
    (tmp_path / "plots").mkdir()
    (tmp_path / "plots" / "rates.png").touch()
    assert curves.of_result("compress", figures, tmp_path, "photos") == []


def test_a_studys_blocks_are_drawn_together_where_their_figures_are_not_here(tmp_path: Path) -> None:
    folders = {f"adversarial-{name}": tmp_path / name for name in ("one", "two")}
    for folder in folders.values():
        (folder / "tables").mkdir(parents=True)
        pd.DataFrame({"budget": [0, 8], "pgd": [0.8, 0.1]}).to_csv(folder / "tables" / "budgets.csv", index=False)
    (figure,) = curves.of_study("adversarial", folders)
    assert [path.label for path in figure["charts"][0].paths] == ["one", "two"]
    (tmp_path / "one" / "plots").mkdir()
    (tmp_path / "one" / "plots" / "curve.png").touch()
    (figure,) = curves.of_study("adversarial", folders)
    assert [path.label for path in figure["charts"][0].paths] == ["two"]
    assert curves.of_study("saliency", folders) == []
