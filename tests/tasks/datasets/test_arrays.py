from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.common.errors import Error
from tasks.datasets.arrays import Array, Part, SplitWriter, moments
from tasks.kinds.classify import Prepare
from tasks.kinds.classify.prepare import layout

BLOCK = Prepare(dataset="mnist", task="classify")


@given(st.lists(st.integers(0, 5), max_size=6))
def test_an_array_that_grew_in_parts_is_what_numpy_writes(tmp_path_factory: pytest.TempPathFactory, counts: list[int]) -> None:
    folder = tmp_path_factory.mktemp("array")
    parts = [np.random.default_rng(i).integers(0, 256, (count, 4, 3, 2), dtype=np.uint8) for i, count in enumerate(counts)]
    array = Array(folder / "a.npy", (4, 3, 2))
    for part in parts:
        array.append(part)
    array.close()
    whole = np.concatenate(parts) if parts else np.zeros((0, 4, 3, 2), np.uint8)
    np.testing.assert_array_equal(np.load(folder / "a.npy", mmap_mode="r" if len(whole) else None), whole)


@given(st.integers(1, 3), st.integers(0, 1000))
def test_moments_of_histograms_are_those_of_the_pixels(channels: int, seed: int) -> None:
    pixels = np.random.default_rng(seed).integers(0, 256, (50, channels))
    mean, std = moments(np.stack([np.bincount(pixels[:, c], minlength=256) for c in range(channels)]))
    np.testing.assert_allclose(mean, (pixels / 255).mean(0), atol=1e-6)
    np.testing.assert_allclose(std, (pixels / 255).std(0), atol=1e-6)


def test_images_of_another_size_are_refused(tmp_path: Path) -> None:
    def part(size: int) -> Part:
        row = {"file": "a", "width": size, "height": size, "label": 0}
        return Part({"images": np.zeros((1, size, size, 1), np.uint8)}, levels=np.ones((1, 256)), rows=[row])

    with ExitStack() as files:
        split = SplitWriter(tmp_path / "train", BLOCK.dataset, layout(BLOCK), files)
        split.add(part(8))
        with pytest.raises(Error, match="differ in size"):
            split.add(part(9))
        with pytest.raises(Error, match="differ between the splits"):
            split.close((9, 9, 1))
