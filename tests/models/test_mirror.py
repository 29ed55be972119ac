import pytest
import torch
from torch import Tensor, nn

import models
from models import Shape
from models.mirror import MirrorConv, MirrorNorm


def mirrored(maps: Tensor) -> Tensor:
    """What the maps of a mirrored image must be: mirrored, and those that are seen exchanged with those in the mirror."""
    return maps.flip(3).roll(maps.shape[1] // 2, 1)


def test_it_has_the_parameters_that_were_budgeted() -> None:
    for widths, depth, parameters in (((24, 48, 56), 2, 292_208), ((48, 112, 136), 1, 984_048)):
        network = models.build("mirror", Shape(3, 10, 32), {"widths": widths, "depth": depth})
        assert models.count_parameters(network) == parameters


@pytest.mark.parametrize(
    "layer", [MirrorConv(3, 3), MirrorNorm(3).train(), MirrorNorm(3).eval()], ids=["conv", "norm", "norm in test"]
)
def test_a_layer_maps_mirrored_images_to_mirrored_maps(layer: nn.Module) -> None:
    maps = torch.randn(4, 6, 5, 7, generator=torch.Generator().manual_seed(0))
    outputs = layer(maps)
    torch.testing.assert_close(layer(mirrored(maps)), mirrored(outputs))
    assert not torch.allclose(outputs, outputs.flip(3))


def test_the_norm_gives_a_feature_one_mean_and_variance() -> None:
    maps = torch.randn(16, 4, 8, 8, generator=torch.Generator().manual_seed(0)) * torch.tensor([1.0, 2, 3, 4]).view(1, 4, 1, 1)
    seen, reflected = MirrorNorm(2).train()(maps).chunk(2, 1)
    both = torch.cat([seen, reflected])
    torch.testing.assert_close(both.mean((0, 2, 3)), torch.zeros(2), atol=1e-5, rtol=0)
    torch.testing.assert_close(both.var((0, 2, 3)), torch.ones(2), atol=1e-2, rtol=0)
    assert seen.var() < both.var() < reflected.var()


@pytest.mark.parametrize("size", [32, 64])
@pytest.mark.parametrize("training", [True, False], ids=["training", "test"])
def test_an_image_and_its_mirror_image_get_the_same_answer_and_teach_the_same(size: int, training: bool) -> None:
    torch.manual_seed(0)
    network = models.build("mirror", Shape(3, 10, size), {"widths": (4, 6, 8), "depth": 2}).double()
    images = torch.rand(8, 3, size, size, dtype=torch.float64)
    for _ in range(3):
        network(images)
    network.train(training)

    def taught_by(images: Tensor) -> tuple[Tensor, list[Tensor]]:
        logits = network(images)
        loss = nn.functional.cross_entropy(logits, torch.arange(8))
        return logits, list(torch.autograd.grad(loss, list(network.parameters())))

    torch.testing.assert_close(taught_by(images), taught_by(images.flip(3)))
    assert not torch.allclose(network(images), network(images.flip(2))), "upside down is another image"
