"""What every network that makes images must do, and what those with a likelihood must: their bounds are those of their densities."""

import math

import pytest
import torch

import models
from models import Shape
from models.generator import CLASSES, Generator
from models.vae import VAE

SHAPE = Shape(1, 1, 16, {CLASSES: 3})
NAMES = [name for name in models.names() if models.kind(name) == "generate"]
SMALL = {"latent": 2, "widths": [8, 8]}


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("name", NAMES)
def test_samples_are_images_that_a_seed_decides(name: str) -> None:
    network = models.build(name, SHAPE, {}).eval()
    assert isinstance(network, Generator)
    with torch.inference_mode():
        first, again, other = (network.sample(4, seeded(seed)) for seed in (0, 0, 1))
    assert first.shape == (4, 1, 16, 16)
    assert 0 <= first.min() <= first.max() <= 1
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_a_conditional_one_makes_what_it_is_asked_for() -> None:
    network = models.build("vae", SHAPE, {**SMALL, "conditional": True}).eval()
    assert network.asked(5).tolist() == [0, 1, 2, 0, 1]
    noise = network.noise(2, seeded(0))[:1]
    with torch.inference_mode():
        zero, one = (network.decode(noise, torch.tensor([label])) for label in (0, 1))
    assert not torch.equal(zero, one)
    with pytest.raises(ValueError, match="the images have no classes"):
        models.build("vae", Shape(1, 1, 16), {"conditional": True})


def test_samples_teach_the_decoder_and_real_images_the_reader() -> None:
    network = models.build("confirmed_vae", SHAPE, {**SMALL, "confirm": 1000.0})
    images, labels = torch.rand(6, 1, 16, 16, generator=seeded(0)), torch.arange(6) % 3
    losses: list[torch.Tensor] = []
    torch.manual_seed(0)
    values = network.training_step(images, labels, {"network": losses.append})
    (whole,) = losses
    whole.backward()
    assert whole.item() == pytest.approx((values["loss"] + values["read"] + 1000 * values["confirmed"]).item(), rel=1e-5)
    # What the reader learns is its loss on real images alone, however much samples weigh.
    found = [parameter.grad.clone() for parameter in network.reader.parameters()]
    network.zero_grad()
    torch.nn.functional.cross_entropy(network.reader(images), labels).backward()
    for grad, parameter in zip(found, network.reader.parameters(), strict=True):
        assert torch.allclose(grad, parameter.grad, atol=1e-6)
    assert all(parameter.requires_grad for parameter in network.parameters())
    with pytest.raises(ValueError, match="the images have no classes"):
        models.build("confirmed_vae", Shape(1, 1, 16), {})


@pytest.mark.parametrize("layers", ["linear", "conv"])
@pytest.mark.parametrize("tails", [None, 3])
def test_importance_samples_give_the_likelihood_that_an_integral_has(layers: str, tails: int | None) -> None:
    """Of two latent numbers, over whose plane the density can be summed."""
    network: VAE = models.build("vae", SHAPE, {**SMALL, "layers": layers, "tails": tails})
    images = (torch.rand(3, 1, 16, 16, generator=seeded(0)) < 0.5).float()
    steps = torch.linspace(-12, 12, 121)
    z = torch.cartesian_prod(steps, steps)
    with torch.no_grad():
        logits = network.logits(z).flatten(1)
        explained = logits @ images.flatten(1).T - torch.nn.functional.softplus(logits).sum(1, keepdim=True)
        joint = explained + network.log_prior(z)[:, None] + 2 * math.log(0.2)
    exact = -joint.logsumexp(0)
    # Weights have a wide spread where the prior's tails are heavier than those of what is drawn from.
    assert network.nll(images, None, seeded(1), samples=1500) == pytest.approx(exact, abs=0.1 if tails is None else 0.25)
    repeated = images.repeat_interleave(300, 0)
    bound = network.elbo(repeated, None, seeded(2)).view(3, 300).mean(1)
    assert (bound <= -exact + 0.1).all()


def test_the_estimated_divergence_of_light_tails_is_the_normal_ones() -> None:
    """Student's t of many degrees of freedom is a normal distribution, whose divergence is known."""
    heavy, normal = (models.build("vae", SHAPE, {**SMALL, "tails": tails}) for tails in (1000, None))
    normal.load_state_dict(heavy.state_dict())
    images = torch.rand(1, 1, 16, 16, generator=seeded(0)).repeat(4000, 1, 1, 1)
    noise = torch.randn(4000, 2, generator=seeded(1))
    with torch.no_grad():
        estimated, exact = (network.terms(images, images, None, noise)[1].mean() for network in (heavy, normal))
    assert estimated.item() == pytest.approx(exact.item(), abs=0.05)


def test_the_heavy_tailed_prior_has_the_tails_of_students_t() -> None:
    network = models.build("vae", SHAPE, {**SMALL, "tails": 3})
    drawn = network.noise(20_000, seeded(0))
    # Beyond 3: 5.8 % of Student's t with 3 degrees of freedom, 0.27 % of a normal distribution.
    assert (drawn.abs() > 3).float().mean().item() == pytest.approx(0.0577, abs=0.005)


class Taken(dict[str, float]):
    """Losses that parts were given; nothing is learned."""

    def __init__(self) -> None:
        super().__init__()

    def every(self, interval: int) -> bool:
        return interval == 1

    def due(self, name: str) -> bool:
        return True

    def __missing__(self, name: str):
        return lambda loss: self.update({name: float(loss.detach())})


def test_the_penalty_is_the_squared_slope_at_real_images() -> None:
    network = models.build("gan", SHAPE, {"generator": [8], "discriminator": [8], "r1": 2.0})
    real = 2 * torch.rand(4, 1, 16, 16, generator=seeded(0)) - 1
    slopes = torch.func.vmap(torch.func.grad(lambda image: network.discriminator(image[None]).sum()))(real)
    assert network._slope(real).item() == pytest.approx(slopes.square().flatten(1).sum(1).mean().item(), rel=1e-4)


@pytest.mark.parametrize(("loss", "even"), [("non-saturating", 2 * math.log(2)), ("least-squares", 0.25)])
def test_a_discriminator_that_knows_nothing_has_the_loss_of_the_paper(loss: str, even: float) -> None:
    network = models.build("gan", SHAPE, {"loss": loss})
    nothing = torch.full((4, 1), 0.5 if loss == "least-squares" else 0.0)
    assert network._judged(nothing, nothing).item() == pytest.approx(even)
    sure = torch.full((4, 1), 1.0 if loss == "least-squares" else 20.0)
    assert network._judged(sure, 1 - sure if loss == "least-squares" else -sure).item() == pytest.approx(0, abs=1e-6)
    assert network._fooled(sure).item() == pytest.approx(0, abs=1e-6)


def test_the_generators_step_leaves_the_discriminator_free_to_learn() -> None:
    network = models.build("gan", SHAPE, {"generator": [8], "discriminator": [8], "r1": 1.0})
    taken = Taken()
    images = torch.rand(4, 1, 16, 16, generator=seeded(0))
    values = network.training_step(images, torch.zeros(4), taken)
    assert {*taken} == {"generator", "discriminator"}
    assert taken["discriminator"] > values["discriminator"].item()
    assert all(p.requires_grad for p in network.parameters())


def test_sides_that_do_not_halve_twice_are_refused() -> None:
    for name in ("vae", "gan"):
        arguments = (
            {"layers": "conv", "widths": [4, 8]} if name == "vae" else {"layers": "conv", "generator": [4], "discriminator": [4]}
        )
        with pytest.raises(ValueError, match="allowed: multiples of 4"):
            models.build(name, Shape(1, 1, 18), arguments)
    with pytest.raises(ValueError, match="allowed: 16 and more"):
        models.build("gan", Shape(1, 1, 12), {"layers": "conv", "generator": [4], "discriminator": [4]})


def test_the_prior_of_codes_sees_only_those_before() -> None:
    network = models.build("vq_vae", SHAPE, {"codes": 5, "memory": 8})
    codes = torch.randint(0, 5, (2, 16), generator=seeded(0))
    changed = codes.clone()
    changed[:, 9] = (codes[:, 9] + 1) % 5
    with torch.no_grad():
        first, other = network.prior(codes), network.prior(changed)
    assert torch.allclose(first[:, :10], other[:, :10])
    assert not torch.allclose(first[:, 10:], other[:, 10:])


def test_codes_are_drawn_as_the_prior_says() -> None:
    """Step by step as all at once: the codes that were drawn have the shares that the prior gives them."""
    network = models.build("vq_vae", Shape(1, 1, 8), {"codes": 3, "memory": 8})
    with torch.no_grad():
        for parameter in network.prior.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=seeded(len(parameter))))
        codes = network.prior.draw(4000, seeded(0))
        said = network.prior(codes).softmax(2)
    for place in range(4):
        expected = said[:, place].mean(0)
        shares = torch.bincount(codes[:, place], minlength=3) / 4000
        assert torch.allclose(shares, expected, atol=0.04)


def test_images_of_codes_are_encoded_again_and_the_decoders_gradient_reaches_the_encoder() -> None:
    network = models.build("vq_vae", SHAPE, {"codes": 5, "memory": 8})
    images = torch.rand(3, 1, 16, 16, generator=seeded(0))
    codes = network.quantise(images)
    assert codes.shape == (3, 16)
    assert torch.equal(network(images), network.draw_codes(codes))
    values = network.training_step(images, torch.zeros(3), {"network": lambda loss: loss.backward()})
    assert network.encoder[0].weight.grad.abs().sum() > 0
    assert values["prior"].item() == pytest.approx(math.log(5), abs=0.5)
