"""Views of images whose features are kept: whole and mirrored, and squares that each image has of its own."""

import numpy as np
import torch

from tasks.kinds.caption.views import SMALLEST, cut, views

SIDE = 40


def coordinates(count: int) -> torch.Tensor:
    """Images whose first two channels are the rows and columns of their pixels."""
    rows, columns = np.meshgrid(np.arange(SIDE) * 5, np.arange(SIDE) * 5, indexing="ij")
    return torch.from_numpy(np.stack([np.stack([rows, columns, rows], 2)] * count).astype(np.uint8))


def test_all_of_an_image_comes_first_and_each_view_mirrored() -> None:
    images = coordinates(3)
    seen = [*views(images, 2, True)]
    assert [mirrored for _, mirrored in seen] == [False, True] * 3
    assert torch.equal(seen[0][0], images)
    assert torch.equal(seen[0][0], seen[1][0])
    assert torch.equal(seen[4][0], cut(images, 2))
    assert not torch.equal(seen[2][0], seen[4][0])
    assert [mirrored for _, mirrored in views(images, 0, False)] == [False]


def test_squares_are_large_enough_differ_and_come_again() -> None:
    images = coordinates(50)
    squares = cut(images, 1)
    assert squares.shape == images.shape
    assert torch.equal(squares, cut(images, 1))
    spans = [(square[..., c].amax() - square[..., c].amin()).item() / (5 * (SIDE - 1)) for square in squares for c in (0, 1)]
    assert min(spans) > SMALLEST - 0.1
    assert max(spans) <= 1
    assert np.std(spans) > 0.05
    firsts = {tuple(square[0, 0, :2].tolist()) for square in squares}
    assert len(firsts) > 25
    for row, column in zip(spans[::2], spans[1::2]):
        assert abs(row - column) < 0.06, "squares, not other rectangles"
