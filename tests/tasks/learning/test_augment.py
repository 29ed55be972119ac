import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from tasks.learning.augment import Geometry, colours, mixup
from tasks.params.recipe import ImageAugment as Augment


def picture(count: int, size: int) -> torch.Tensor:
    """Images in which every pixel is another: (N, H, W, 1), so that a pixel tells where it came from."""
    assert count * size * size <= 256 * 256
    return torch.arange(count * size * size).view(count, size, size, 1)


@given(seed=st.integers(0, 2**32), flip=st.booleans(), dihedral=st.booleans())
def test_turns_and_mirrorings_keep_every_pixel_once(seed: int, flip: bool, dihedral: bool) -> None:
    images = picture(6, 8)
    rows = torch.tensor([5, 0, 3])
    moved = Geometry(Augment(flip=flip, dihedral=dihedral), rows, (8, 8), np.random.default_rng(seed))(images)
    assert torch.equal(moved.flatten(1).sort().values, images[rows].flatten(1))


@given(seed=st.integers(0, 2**32), crop=st.integers(1, 7))
def test_a_crop_shifts_and_reflects(seed: int, crop: int) -> None:
    images = picture(4, 8)
    moved = Geometry(Augment(crop=crop), torch.arange(4), (8, 8), np.random.default_rng(seed))(images)
    padded = torch.from_numpy(np.pad(images.numpy(), ((0, 0), (crop, crop), (crop, crop), (0, 0)), mode="reflect"))
    for index in range(4):
        windows = padded[index, :, :, 0].unfold(0, 8, 1).unfold(1, 8, 1).reshape(-1, 8, 8)
        assert (windows == moved[index, :, :, 0]).all((1, 2)).any()


def test_a_target_moves_as_its_image_does() -> None:
    images = picture(32, 16)
    geometry = Geometry(Augment(flip=True, crop=3, dihedral=True), torch.arange(32), (16, 16), np.random.default_rng(0))
    assert torch.equal(geometry(images) * 2, geometry(images * 2))


def test_every_image_has_a_draw_of_its_own() -> None:
    images = picture(1, 16).expand(64, -1, -1, -1)
    moved = Geometry(Augment(flip=True, crop=2), torch.arange(64), (16, 16), np.random.default_rng(0))(images)
    assert len(torch.unique(moved.flatten(1), dim=0)) > 20


def test_colours_stay_in_range_and_differ_by_image() -> None:
    images = torch.rand(16, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    changed = colours(Augment(jitter=0.4), images, np.random.default_rng(0))
    assert 0 <= changed.min() <= changed.max() <= 1
    ratios = (changed.mean((1, 2, 3)) / images.mean((1, 2, 3))).tolist()
    assert len({round(ratio, 3) for ratio in ratios}) > 8


def test_cutout_hides_one_square_of_each_image() -> None:
    images = torch.zeros(64, 3, 16, 16)
    images[..., ::2] = 1
    changed = (colours(Augment(cutout=6), images, np.random.default_rng(0)) - images).abs().amax(1)
    hidden = (changed > 0).sum((1, 2))
    assert hidden.max() == 36
    assert hidden.min() >= 9
    assert len(torch.unique(changed.flatten(1), dim=0)) > 20


def test_mixup_blends_images_and_targets_by_the_same_share() -> None:
    values = torch.rand(32, generator=torch.Generator().manual_seed(0))
    images = values.view(-1, 1, 1, 1).expand(-1, 3, 4, 4)
    mixed, targets = mixup(0.4, images, values.view(-1, 1), np.random.default_rng(0))
    assert torch.allclose(mixed[:, 0, 0, 0], targets[:, 0])
    assert not torch.allclose(mixed, images)


def test_nothing_asked_changes_nothing() -> None:
    images = picture(4, 8)
    assert torch.equal(Geometry(Augment(), torch.tensor([2, 1]), (8, 8), np.random.default_rng(0))(images), images[[2, 1]])
