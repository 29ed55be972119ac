import math

import pytest
import torch

from tasks.generation.paths import Eye, distance, path_length, spherical


def test_arcs_stay_on_the_sphere_and_have_even_angles():
    first, last = torch.randn(5, 7), torch.randn(5, 7)
    here, half, there = (spherical(first, last, torch.full((5, 1), share)) for share in (0.0, 0.5, 1.0))
    for point in (here, half, there):
        assert torch.allclose(point.norm(dim=1), torch.ones(5), atol=1e-5)
    assert torch.allclose((here * half).sum(1), (half * there).sum(1), atol=1e-4)
    assert torch.allclose(there, last / last.norm(dim=1, keepdim=True), atol=1e-4)


def test_a_longer_way_is_longer_by_its_square_and_nothing_moves_on_a_point():
    image, direction = torch.rand(1, 1, 28, 28) * 0.3 + 0.3, torch.rand(1, 1, 28, 28)

    def along(speed):
        return lambda share: image + 0.1 * speed * (share[..., None, None] - 0.5) * direction

    slow, fast = (path_length(along(speed), 6, step=1e-2) for speed in (0.5, 1.0))
    assert slow > 0
    assert fast / slow == pytest.approx(4, rel=0.2)
    assert path_length(lambda share: image.expand(len(share), -1, -1, -1), 6) == 0


def test_the_eye_takes_the_layers_scales_out():
    seen = Eye()(torch.rand(2, 3, 32, 32))
    assert len(seen) == 8
    assert all(torch.allclose(layer.norm(dim=1).max(), torch.tensor(1.0), atol=1e-4) for layer in seen)
    assert torch.equal(distance(seen, seen), torch.zeros(2))
    assert math.isfinite(float(distance(seen, [layer.flip(0) for layer in seen]).sum()))
