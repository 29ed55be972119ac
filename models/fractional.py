"""The tuned classifier: convolutions whose maps shrink by a fraction each, fully connected layers that shrink likewise.

N times [3x3 convolution - batch norm - x + Mish(x) - fractional max pooling], with channels that grow geometrically and sizes that
fall geometrically to 2, then fully connected layers falling geometrically to the classes. The published network has 6 convolutions
of 46 to 210 channels and 4 linear layers, 875,592 parameters at 32 px, and on CIFAR-10 a validation loss of 0.5419 and 83.0 %.
Pooling: Graham 2014, Fractional Max-Pooling; Mish: Misra 2019. At least 88 % is expected of ours.

The same function as published, computed in another order: x + Mish(x) never falls, so that the maximum of a window can be taken
first, and the activation of a third of the values. In evaluation the windows are fixed, so that it gives the same number twice.
"""

from collections.abc import Sequence
from functools import cache
from itertools import pairwise
from typing import Any, Literal

import torch
from pydantic import PositiveInt
from torch import Tensor, nn
from torch.nn import functional as F

from models import Shape


class Activation(nn.Module):
    """x + Mish(x) = x (1 + tanh(log(1 + e^x))), of any shape.

    In bfloat16 there are 65,536 numbers: the function and its slope are looked up, rounded once from double precision.
    """

    def forward(self, x: Tensor) -> Tensor:
        if x.dtype != torch.bfloat16:
            return x + F.mish(x)
        out: Tensor = _Lookup.apply(x, *_tables(x.device))
        return out


@cache
def _tables(device: torch.device) -> tuple[Tensor, Tensor]:
    """Values and slopes of the activation at every bfloat16, in the order of its bits as a whole number from -32768."""
    # Made once, perhaps first while evaluating, and then needed in training too.
    with torch.inference_mode(False), torch.enable_grad(), torch.autocast(device.type, enabled=False):
        x = torch.arange(-(2**15), 2**15, device=device).to(torch.int16).view(torch.bfloat16).double().requires_grad_()
        y = x + F.mish(x)
        (slope,) = torch.autograd.grad(y.sum(), x)
        return y.detach().bfloat16(), slope.bfloat16()


class _Lookup(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, values: Tensor, slopes: Tensor) -> Tensor:
        # The memory's own order, so that nothing is copied.
        order = (0, 2, 3, 1) if x.ndim == 4 else tuple(range(x.ndim))
        pixels = x.permute(order).contiguous()
        places = pixels.view(torch.int16).flatten().to(torch.int32).add_(2**15)
        ctx.save_for_backward(places, slopes)
        ctx.shape, ctx.back = pixels.shape, (0, 3, 1, 2) if x.ndim == 4 else order
        return values.index_select(0, places).view(pixels.shape).permute(ctx.back)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        places, slopes = ctx.saved_tensors
        return grads[0] * slopes.index_select(0, places).view(ctx.shape).permute(ctx.back), None, None


def regions(inputs: int, outputs: int, samples: Tensor) -> Tensor:
    """Where windows of 2 pixels start, (N, outputs), for samples (N,) in [0, 1); they rise by 1 or more and end with the image.

    The pseudo-random sequence of Graham 2014, section 2.1, as `torch.nn.FractionalMaxPool2d` draws it.
    """
    alpha = (inputs - 2) / max(1, outputs - 1)
    steps = torch.arange(outputs - 1, device=samples.device, dtype=torch.float64)
    u = samples.double()[:, None]
    starts = ((steps + u) * alpha).floor() - (u * alpha).floor()
    return torch.cat([starts.long(), starts.new_full((len(samples), 1), inputs - 2, dtype=torch.long)], 1)


@cache
def central(inputs: int, outputs: int) -> float:
    """The draw whose windows lie nearest to their mean places over all draws."""
    draws = (torch.arange(256) + 0.5) / 256
    starts = regions(inputs, outputs, draws).double()
    return float(draws[(starts - starts.mean(0)).square().sum(1).argmin()])


class _Larger(torch.autograd.Function):
    """The larger of rows `first` and `first + 1` of a matrix (M, K), for each of J values of `first` that differ: (J, K)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, first: Tensor) -> Tensor:
        a, b = x.index_select(0, first), x.index_select(0, first + 1)
        larger = torch.maximum(a, b)
        # 1 where the first is the larger one, in the type of x: products of mixed types are many times slower.
        ctx.save_for_backward(a.ge_(b), first)
        ctx.rows = len(x)
        return larger

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        (g,) = grads
        is_first, first = ctx.saved_tensors
        # A row is the first of one pair at most, and the second of one: its gradient is gathered from two places, where a row of
        # zeros stands for none. Gathers are several times faster than sums into places.
        pairs = len(first)
        parts = g.new_empty(2 * pairs + 1, g.shape[1])
        torch.mul(g, is_first, out=parts[:pairs])
        torch.sub(g, parts[:pairs], out=parts[pairs:-1])
        parts[-1] = 0
        places = torch.full((2, ctx.rows), 2 * pairs, device=g.device)
        places[0, first] = torch.arange(pairs, device=g.device)
        places[1, first + 1] = torch.arange(pairs, 2 * pairs, device=g.device)
        return parts.index_select(0, places[0]).add_(parts.index_select(0, places[1])), None


class FractionalMaxPool2d(nn.Module):
    """Max pooling over 2x2 windows that start 1 or 2 pixels apart: (N, C, H, W) to (N, C, size, size).

    In training each image draws its windows, for all its channels alike (`torch.nn.FractionalMaxPool2d` draws for each channel
    as well; the distribution of a window is the same). In evaluation windows lie nearest to their mean places. (A draw of 1/2 for
    all would move them to the right and down, in every layer: on digits that cost 8 % of accuracy.)
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size

    def forward(self, x: Tensor) -> Tensor:
        n, channels, height, width = x.shape
        rows, columns = (regions(length, self.size, self._draw(length, n, x.device)) for length in (height, width))
        pixels = x.permute(0, 2, 3, 1).reshape(n * height, width * channels)  # no copy: the memory is channels_last
        image = torch.arange(n, device=x.device)[:, None]
        pooled: Tensor = _Larger.apply(pixels, (image * height + rows).flatten())
        pooled = pooled.view(n * self.size * width, channels)
        line = torch.arange(n * self.size, device=x.device).view(n, self.size, 1)
        pooled = _Larger.apply(pooled, (line * width + columns[:, None, :]).flatten())
        return pooled.view(n, self.size, self.size, channels).permute(0, 3, 1, 2)

    def _draw(self, length: int, images: int, device: torch.device) -> Tensor:
        if self.training:
            return torch.rand(images, device=device)
        return torch.full((images,), central(length, self.size), device=device)


# Kernels for the processor work on so many channels at once; a number that it does not divide makes batch norm three times slower.
LANES = 16


class Convolution(nn.Module):
    """Convolutions in a row, then batch norm: (N, C, H, W) to (N, C', H, W), C' filled up with zeros to a multiple of 16.

    The parameters have the published shapes; the zeros that they are filled up with for the computation change no number.
    """

    def __init__(self, inputs: int, outputs: int, kernels: Sequence[tuple[int, int]], bias: bool, batch_norm: bool) -> None:
        super().__init__()
        channels = [inputs, *[outputs] * len(kernels)]
        self.layers = nn.ModuleList(
            nn.Conv2d(i, o, kernel, padding=(kernel[0] // 2, kernel[1] // 2), bias=bias)
            for i, o, kernel in zip(channels, channels[1:], kernels)
        )
        self.norm = nn.BatchNorm2d(outputs) if batch_norm else None
        self.zeros = -outputs % LANES

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            assert isinstance(layer, nn.Conv2d)
            weight = F.pad(layer.weight, (0, 0, 0, 0, 0, x.shape[1] - layer.in_channels, 0, self.zeros))
            bias = None if layer.bias is None else self._filled(layer.bias)
            height, width = layer.kernel_size
            x = F.conv2d(x, weight, bias, padding=(height // 2, width // 2))
        return x if self.norm is None else self._normalised(x, self.norm)

    def _normalised(self, x: Tensor, norm: nn.BatchNorm2d) -> Tensor:
        assert norm.running_mean is not None
        assert norm.running_var is not None
        mean, variance = self._filled(norm.running_mean), self._filled(norm.running_var)
        gamma, beta = self._filled(norm.weight), self._filled(norm.bias)
        x = F.batch_norm(x, mean, variance, gamma, beta, self.training, norm.momentum or 0.0, norm.eps)
        if self.training:
            norm.running_mean.copy_(mean[: norm.num_features])
            norm.running_var.copy_(variance[: norm.num_features])
        return x

    def _filled(self, values: Tensor) -> Tensor:
        return F.pad(values, (0, self.zeros))


class Channels(nn.Module):
    """The first `count` channels: (N, C, H, W) to (N, count, H, W)."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.count = count

    def forward(self, x: Tensor) -> Tensor:
        return x[:, : self.count]


def geometric(first: float, last: float, count: int) -> list[int]:
    """`count` whole numbers from `first` to `last`, each the same share of the one before."""
    if count == 1:
        return [round(last)]
    return [round(first * (last / first) ** (index / (count - 1))) for index in range(count)]


def build(
    shape: Shape,
    *,
    convolutions: PositiveInt = 6,
    first: PositiveInt = 46,
    last: PositiveInt = 210,
    linears: PositiveInt = 4,
    split: bool = False,
    batch_norm: bool = True,
    bias: bool = True,
    pool: Literal["fractional", "strided"] = "fractional",
) -> nn.Sequential:
    """`convolutions`, `linears`: how many layers of each. `first`, `last`: channels of the first and the last convolution.
    `split`: a 1x3 and a 3x1 convolution in place of each 3x3. `bias`: of the convolutions. `pool`: windows of fractional step
    after each convolution, or of step 2 after as many of them as it takes."""
    sizes = geometric(shape.size, 2, convolutions + 1)
    if pool == "fractional" and any(a <= b for a, b in pairwise(sizes)):
        raise ValueError(
            f"architecture.convolutions: {convolutions} are too many to shrink {shape.size} pixels by one or more each"
        )
    halvings = (shape.size // 2).bit_length() - 1
    widths = geometric(first, last, convolutions)
    modules: list[nn.Module] = []
    channels, size = shape.inputs, shape.size
    for index, width in enumerate(widths):
        modules += [Convolution(channels, width, [(1, 3), (3, 1)] if split else [(3, 3)], bias, batch_norm)]
        if pool == "fractional":
            size = sizes[index + 1]
            modules += [FractionalMaxPool2d(size)]
        elif (index + 1) * halvings // convolutions > index * halvings // convolutions:
            size //= 2
            modules += [nn.MaxPool2d(2)]
        modules += [Activation()]
        channels = width
    units = channels * size**2
    modules += [Channels(channels), nn.Flatten()]
    for index, width in enumerate(geometric(units, shape.outputs, linears + 1)[1:]):
        modules += [nn.Linear(units, width)]
        modules += [Activation()] if index < linears - 1 else []
        units = width
    return nn.Sequential(*modules)
