"""Benchmarks take hours; what they call is here, and a step of them runs."""

import importlib
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from benchmarks import __main__ as benchmarks
from benchmarks import compress, prefect_rebuild, rebuild, sweeps
from benchmarks.training import our_loop
from tasks.codec import file, library
from tasks.profile import Profile
from tests.conftest import ROOT

FILES = {path.stem for path in (ROOT / "benchmarks").glob("*.py")} - {"__init__", "__main__"}


@pytest.mark.parametrize("name", sorted(FILES))
def test_every_module_can_be_imported(name: str) -> None:
    assert importlib.import_module(f"benchmarks.{name}").__doc__


def test_every_benchmark_is_on_the_list_and_can_be_run() -> None:
    found = {name for name in FILES if hasattr(importlib.import_module(f"benchmarks.{name}"), "run")}
    assert found == set(benchmarks.BENCHMARKS)


@pytest.mark.parametrize("experiment", ["classes", "pairs"])
def test_a_step_of_our_loop_trains(make_profile: Callable[..., Profile], experiment: str) -> None:
    batch = make_profile().experiment(experiment).train.batch_size
    assert our_loop(make_profile(), experiment, 1)() == batch
    assert our_loop(make_profile(), experiment, 2)() == 2 * batch


def test_the_sweep_of_the_benchmark_fits_the_sample() -> None:
    sweep = sweeps.with_sweep(ROOT, trials=3).sweep("bench")
    assert (sweep.trials, sweep.train.epochs) == (3, sweeps.EPOCHS)


def test_the_seconds_of_stages_are_those_that_a_rebuild_says() -> None:
    lines = [
        (1.0, "Running stage 'train@cnn':\n"),
        (1.5, "train@cnn | the first epoch took 1.0 s\n"),
        (9.0, "train@cnn took 8.0 s\n"),
        (9.5, "Stage 'evaluate@cnn' didn't change, skipping\n"),
        (10.0, ""),
    ]
    assert rebuild.seconds_of(lines) == {"train@cnn": 8.0}


def test_the_project_of_the_rebuild_s_benchmark_runs_all_its_stages(tmp_path: Path) -> None:
    with prefect_rebuild.project(tmp_path, 2, 0) as folder:
        lines = rebuild.repeat(
            [str(ROOT / "bin" / "dvc"), "repro"], folder, ROOT, DARKROOM_PYTHON=sys.executable, DARKROOM_JOBS="2"
        )
        assert (folder / "out-1.txt").read_text() == "1\n"
    assert {*rebuild.seconds_of(lines)} == {"stage@0", "stage@1"}
    assert not folder.exists()


def test_the_codec_is_held_against_files_of_the_size_that_is_nearest() -> None:
    codec, pixels = library.load(ROOT / "models" / "weights" / library.WRITER), compress.photograph()[200:264, 300:396]
    size = {quality: len(file.compress(codec, file.Picture(pixels), quality)) for quality in (40, 100)}
    assert abs(compress.nearest(codec, pixels, size[40]) - 40) <= 2
    assert compress.nearest(codec, pixels, 2 * size[100]) == 100
    assert len(compress.avif(pixels, 30)) < len(compress.avif(pixels, 80))


@pytest.mark.slow
def test_a_fresh_process_says_what_memory_it_took(tmp_path: Path) -> None:
    Image.fromarray(compress.photograph()[:64, :96]).save(tmp_path / "a.png")
    for source, to in (("a.png", "a.drc"), ("a.drc", "b.png")):
        assert 100 < compress._fresh(ROOT, tmp_path / source, tmp_path / to) < 2000
        assert (tmp_path / to).exists()


def test_a_rebuild_that_fails_is_no_measurement(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="so it ends"):
        rebuild.repeat([sys.executable, "-c", "import sys; sys.exit('so it ends')"], tmp_path)
