"""Files of each version of the format and of each codec that git carries, as they were written once, are opened to the pixels that they had."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tasks.codec import file, library
from tests.conftest import ROOT

KEPT = sorted((Path(__file__).parent / "kept").glob("*.drc"))
WEIGHTS = sorted((ROOT / "models" / "weights").glob(library.EMBEDDED))


def test_each_version_of_the_format_has_a_file() -> None:
    assert {path.stem for path in KEPT} >= {f"version-{number}" for number in range(1, file.VERSION + 1)}


@pytest.mark.parametrize("path", WEIGHTS, ids=lambda path: path.stem)
def test_each_codec_that_git_carries_has_a_file(path: Path) -> None:
    assert library.load(path).identity in {file.identity(kept.read_bytes()) for kept in KEPT}


@pytest.mark.parametrize("path", KEPT, ids=lambda path: path.stem)
def test_a_file_is_opened_to_the_pixels_that_it_had(path: Path) -> None:
    content = path.read_bytes()
    opened = file.decompress(library.Library(WEIGHTS).reader(content), content)
    with Image.open(path.with_suffix(".png")) as kept:
        assert np.array_equal(opened.pixels, np.asarray(kept))


@pytest.mark.slow
@pytest.mark.parametrize("path", KEPT, ids=lambda path: path.stem)
@pytest.mark.parametrize("threads", [1, 2])
def test_it_is_opened_alike_on_a_processor_without_avx512(path: Path, threads: int, tmp_path: Path) -> None:
    environment = {**os.environ, "ONEDNN_MAX_CPU_ISA": "AVX2", "OMP_NUM_THREADS": str(threads), "PYTHONPATH": str(ROOT)}
    to = tmp_path / "opened.png"
    command = [sys.executable, "-m", "tasks.compress", "--open", str(path), str(to)]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    with Image.open(to) as opened, Image.open(path.with_suffix(".png")) as kept:
        assert np.array_equal(np.asarray(opened), np.asarray(kept))
