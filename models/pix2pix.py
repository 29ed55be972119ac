"""Pix2Pix: a U-Net generator against a PatchGAN discriminator (Isola et al. 2017, Image-to-Image Translation with Conditional GANs).

Generator: 4x4 convolutions of stride 2 down, transposed ones up, skip connections, dropout as its noise. Discriminator: 4x4
convolutions on (input, output) pairs that judge overlapping patches (70 pixels with three of stride 2). The adversarial loss is
the cross-entropy of real against fake, plus lambda times L1, lambda 100. Here as published but for: dropout acts in training
only, so that evaluation, tiles and exports are exact; widths and depth fit 128 px; the first and the last block work at full
resolution, since the targets are edges one pixel wide. At least 30 dB and SSIM 0.95 are expected on Sobel at 128 px.
"""

from collections.abc import Callable, Mapping
from typing import Annotated

import torch
from pydantic import Field, NonNegativeFloat, PositiveInt
from torch import Tensor, nn
from torch.nn import functional as F

from models import Shape


class Down(nn.Sequential):
    """Half the size: (N, C, H, W) to (N, C', H/2, W/2)."""

    def __init__(self, inputs: int, outputs: int, norm: bool = True) -> None:
        layers: list[nn.Module] = [nn.Conv2d(inputs, outputs, 4, 2, 1, bias=not norm)]
        layers += [nn.BatchNorm2d(outputs)] if norm else []
        super().__init__(*layers, nn.LeakyReLU(0.2))


class Up(nn.Sequential):
    """Twice the size: (N, C, H, W) to (N, C', 2H, 2W)."""

    def __init__(self, inputs: int, outputs: int, dropout: float) -> None:
        layers: list[nn.Module] = [nn.ConvTranspose2d(inputs, outputs, 4, 2, 1, bias=False), nn.BatchNorm2d(outputs)]
        layers += [nn.Dropout(dropout)] if dropout else []
        super().__init__(*layers, nn.ReLU())


class UNet(nn.Module):
    """(N, C, H, W) to (N, C', H, W); height and width are multiples of 2^depth."""

    def __init__(self, inputs: int, outputs: int, width: int, depth: int, dropout: float) -> None:
        super().__init__()
        fine = max(1, width // 2)
        self.first = nn.Sequential(nn.Conv2d(inputs, fine, 7, padding=3, padding_mode="reflect"), nn.LeakyReLU(0.2))
        widths = [min(width * 2**level, width * 8) for level in range(depth)]
        self.down = nn.ModuleList(Down(i, o, norm=level > 0) for level, (i, o) in enumerate(zip([fine, *widths], widths)))
        # The published network drops in its three innermost blocks.
        drops = [dropout if level < min(3, depth - 1) else 0.0 for level in range(depth)]
        inner = [widths[-1], *(2 * w for w in reversed(widths[:-1]))]
        outer = [*reversed(widths[:-1]), width]
        self.up = nn.ModuleList(Up(i, o, drop) for i, o, drop in zip(inner, outer, drops))
        self.last = nn.Sequential(
            nn.Conv2d(width + fine, fine, 3, padding=1), nn.LeakyReLU(0.2), nn.Conv2d(fine, outputs, 3, padding=1)
        )

    def forward(self, x: Tensor) -> Tensor:
        skips = [self.first(x)]
        for down in self.down:
            skips.append(down(skips[-1]))
        y = skips.pop()
        for up in self.up:
            y = torch.cat([up(y), skips.pop()], 1)
        # Targets lie in [0, 1]; a sigmoid would have no slope where most of them are, at zero.
        return self.last(y)


class PatchGAN(nn.Sequential):
    """Scores of overlapping patches of a pair: (N, C + C', H, W) to logits (N, 1, h, w)."""

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__(
            Down(inputs, width, norm=False),
            Down(width, 2 * width),
            Down(2 * width, 4 * width),
            nn.Conv2d(4 * width, 8 * width, 4, 1, 1, bias=False),
            nn.BatchNorm2d(8 * width),
            nn.LeakyReLU(0.2),
            nn.Conv2d(8 * width, 1, 4, 1, 1),
        )


class Pix2Pix(nn.Module):
    """The generator, which is what images go through, and in training its adversary."""

    def __init__(self, shape: Shape, width: int, depth: int, dropout: float, adversarial: float, l1: float) -> None:
        super().__init__()
        self.generator = UNet(shape.inputs, shape.outputs, width, depth, dropout)
        self.discriminator = PatchGAN(shape.inputs + shape.outputs, width) if adversarial else None
        self.adversarial, self.l1 = adversarial, l1
        self.multiple = 2**depth
        # A 4x4 kernel of stride 2 sees 1 pixel of its own scale on either side and an up block 1 of the scale above it; the
        # blocks at full resolution see 3 and 2.
        self.context = 3 * 2**depth + 5
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
                nn.init.normal_(module.weight, 0.0, 0.02)

    def forward(self, x: Tensor) -> Tensor:
        return self.generator(x)

    def parts(self) -> dict[str, nn.Module]:
        parts = {"generator": self.generator, "discriminator": self.discriminator}
        return {name: part for name, part in parts.items() if part is not None}

    def training_step(
        self, inputs: Tensor, targets: Tensor, updates: Mapping[str, Callable[[Tensor], None]]
    ) -> dict[str, Tensor]:
        """The discriminator's step, then the generator's (equations 1 to 4; the discriminator's loss is halved, section 3.3)."""
        fake = self.generator(inputs)
        distance = F.l1_loss(fake.float(), targets)
        if self.discriminator is None:
            updates["generator"](self.l1 * distance)
            return {"loss": distance}

        # Real and fake pairs go through in one batch each: batch norm would tell them apart by their common statistics.
        real_scores = self.discriminator(torch.cat([inputs, targets], 1))
        fake_scores = self.discriminator(torch.cat([inputs, fake.detach()], 1))
        judged = (_cross_entropy(real_scores, 1.0) + _cross_entropy(fake_scores, 0.0)) / 2
        updates["discriminator"](judged)

        for parameter in self.discriminator.parameters():
            parameter.requires_grad_(False)
        fooled = _cross_entropy(self.discriminator(torch.cat([inputs, fake], 1)), 1.0)
        loss = self.adversarial * fooled + self.l1 * distance
        updates["generator"](loss)
        for parameter in self.discriminator.parameters():
            parameter.requires_grad_(True)
        return {
            "loss": loss,
            "l1": distance,
            "adversarial": fooled,
            "discriminator": judged,
            "real_score": real_scores.float().sigmoid().mean(),
            "fake_score": fake_scores.float().sigmoid().mean(),
        }


def _cross_entropy(scores: Tensor, truth: float) -> Tensor:
    scores = scores.float()
    return F.binary_cross_entropy_with_logits(scores, torch.full_like(scores, truth))


def build(
    shape: Shape,
    *,
    width: PositiveInt = 32,
    depth: Annotated[int, Field(ge=1, le=8)] = 4,
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.5,
    adversarial: NonNegativeFloat = 1.0,
    l1: NonNegativeFloat = 100.0,
) -> Pix2Pix:
    """`width`: channels of the first layer. `depth`: how often the size is halved. `adversarial`, `l1`: weights of the losses;
    without an adversary (0) the same generator learns from L1 alone."""
    return Pix2Pix(shape, width, depth, dropout, adversarial, l1)
