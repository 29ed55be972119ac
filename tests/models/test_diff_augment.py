"""The changes through which a discriminator sees images: what each does, that draws differ, and that gradients pass."""

import torch

import models
from models import Shape
from models.diff_augment import HOLE, SHIFT, coloured, cut_out, diff_augment, shifted


def test_a_shift_keeps_what_stays_inside_and_is_grey_elsewhere() -> None:
    x = torch.arange(1.0, 257).reshape(1, 1, 16, 16).expand(64, 3, 16, 16)
    most, moves = round(16 * SHIFT), set()
    for image in shifted(x):
        rows, columns = (image[0] != 0).any(1).nonzero().flatten(), (image[0] != 0).any(0).nonzero().flatten()
        part = image[0, rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
        assert min(part.shape) >= 16 - most
        row, column = divmod(int(part[0, 0]) - 1, 16)
        assert torch.equal(part, x[0, 0, row : row + part.shape[0], column : column + part.shape[1]])
        assert torch.equal(image[0], image[2])
        moves.add((int(rows.min()) - row, int(columns.min()) - column))
    assert len(moves) > 10
    assert max(abs(move) for pair in moves for move in pair) == most


def test_a_hole_is_a_square_of_half_the_side_or_what_the_border_leaves_of_it() -> None:
    holes = cut_out(torch.ones(300, 2, 12, 12)) == 0
    assert torch.equal(holes[:, 0], holes[:, 1])
    sizes = torch.stack([holes[:, 0].any(2).sum(1), holes[:, 0].any(1).sum(1)], 1)
    assert torch.equal(sizes.prod(1), holes[:, 0].sum((1, 2)))
    assert sizes.max() == 12 * HOLE
    assert sizes.min() == 12 * HOLE / 2


def test_colours_change_a_level_and_a_spread_for_the_whole_image() -> None:
    x = torch.rand(200, 3, 4, 4)
    grey = x.mean(1, keepdim=True).expand_as(x)
    found = coloured(grey.contiguous())
    slope = (found - found.mean((1, 2, 3), keepdim=True)) / (grey - grey.mean((1, 2, 3), keepdim=True))
    assert torch.allclose(slope, slope[:, :1, :1, :1].expand_as(slope), atol=1e-2)
    assert 0.49 < slope.min() < 0.6
    assert 1.4 < slope.max() < 1.51
    level = (found - grey).mean((1, 2, 3))
    assert -0.5 <= level.min() < -0.4
    assert 0.4 < level.max() <= 0.5


def test_gradients_pass_twice() -> None:
    x = torch.rand(4, 3, 8, 8, requires_grad=True)
    (slope,) = torch.autograd.grad(diff_augment(x).square().sum(), x, create_graph=True)
    slope.square().sum().backward()
    assert x.grad is not None
    assert (x.grad != 0).flatten(1).any(1).all()


def test_a_stylegan_shows_its_discriminator_nothing_as_it_is() -> None:
    x = torch.rand(4, 3, 16, 16)
    plain, augmented = (models.build("stylegan", Shape(3, 3, 16), {"latent": 8, "width": 4, "augment": a}) for a in (False, True))
    assert torch.equal(plain.shown(x), x)
    assert not torch.allclose(augmented.shown(x), x)
