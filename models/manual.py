"""Layers and losses whose backward passes are written out by hand, as the course derives them.

Each has the name, the arguments, the parameters and the numbers of its twin in `torch.nn`, so that weights are interchangeable
and a network takes either (`backward: manual`). They are tested against autograd to 1e-6 in double precision. They compute in
the precision of their parameters: autocast has no part in them.
"""

import sys
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Backward = Literal["auto", "manual"]


class Classifier(nn.Sequential):
    """(N, C, H, W) to logits (N, K); `backward` says whose gradients its layers and its loss take."""

    def __init__(self, *modules: nn.Module, backward: Backward) -> None:
        super().__init__(*modules)
        self.backward = backward


def layers(backward: Backward) -> Any:
    """Where a network takes its layers from: this module, or `torch.nn`."""
    return nn if backward == "auto" else sys.modules[__name__]


def _apply(function: type[torch.autograd.Function], x: Tensor, *rest: Any) -> Tensor:
    with torch.autocast(x.device.type, enabled=False):
        out: Tensor = function.apply(x.double() if x.dtype == torch.float64 else x.float(), *rest)
    return out


class _Linear(torch.autograd.Function):
    """y = x W' + b; dx = g W, dW = g' x, db = sum g."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.biased = bias is not None
        y = x @ weight.T
        return y if bias is None else y + bias

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        (g,) = grads
        x, weight = ctx.saved_tensors
        dx = g @ weight if ctx.needs_input_grad[0] else None
        return dx, g.T @ x, g.sum(0) if ctx.biased else None


class Linear(nn.Linear):
    """(N, K) to (N, K')."""

    def forward(self, x: Tensor) -> Tensor:
        return _apply(_Linear, x, self.weight, self.bias)


class _ReLU(torch.autograd.Function):
    """y = max(x, 0); dx = g where x > 0."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x > 0)
        return x.clamp_min(0)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        (positive,) = ctx.saved_tensors
        return grads[0] * positive


class ReLU(nn.ReLU):
    """Any shape; `inplace` changes nothing."""

    def forward(self, x: Tensor) -> Tensor:
        return _apply(_ReLU, x)


class _Conv2d(torch.autograd.Function):
    """Each window is a column (im2col), so that a convolution is a matrix product, and its gradients are two more."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, stride: Any, padding: Any) -> Tensor:
        kernel = weight.shape[2:]
        columns = F.unfold(x, kernel, padding=padding, stride=stride)  # (N, C k k, L)
        ctx.save_for_backward(columns, weight)
        ctx.size, ctx.stride, ctx.padding, ctx.biased = x.shape[2:], stride, padding, bias is not None
        y = weight.flatten(1) @ columns  # (N, C', L)
        if bias is not None:
            y = y + bias[:, None]
        height, width = ((s + 2 * p - k) // step + 1 for s, p, k, step in zip(x.shape[2:], padding, kernel, stride, strict=True))
        return y.unflatten(2, (height, width))

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        columns, weight = ctx.saved_tensors
        g = grads[0].flatten(2)  # (N, C', L)
        dx = None
        if ctx.needs_input_grad[0]:
            # Pixels take the sum of the gradients of the windows that they are in (col2im).
            dx = F.fold(weight.flatten(1).T @ g, ctx.size, weight.shape[2:], padding=ctx.padding, stride=ctx.stride)
        dw = torch.einsum("nol,nkl->ok", g, columns).view_as(weight)
        return dx, dw, g.sum((0, 2)) if ctx.biased else None, None, None


class Conv2d(nn.Conv2d):
    """(N, C, H, W) to (N, C', H', W'); padding in numbers, with zeros; neither dilation nor groups."""

    def forward(self, x: Tensor) -> Tensor:
        return _apply(_Conv2d, x, self.weight, self.bias, self.stride, self.padding)


class _MaxPool2d(torch.autograd.Function):
    """y = the largest of a window; dx = g there, and 0 elsewhere."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, side: int) -> Tensor:
        n, c, height, width = x.shape
        h, w = height // side, width // side
        windows = x[:, :, : h * side, : w * side].reshape(n, c, h, side, w, side).transpose(3, 4).flatten(4)
        values, places = windows.max(4)
        ctx.save_for_backward(places)
        ctx.shape, ctx.side = x.shape, side
        return values

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        (places,) = ctx.saved_tensors
        (n, c, height, width), side = ctx.shape, ctx.side
        h, w = places.shape[2:]
        windows = grads[0].new_zeros(n, c, h, w, side * side).scatter_(4, places[..., None], grads[0][..., None])
        dx = grads[0].new_zeros(n, c, height, width)
        dx[:, :, : h * side, : w * side] = windows.unflatten(4, (side, side)).transpose(3, 4).reshape(n, c, h * side, w * side)
        return dx, None


class MaxPool2d(nn.MaxPool2d):
    """(N, C, H, W) to (N, C, H / k, W / k), rounded down: windows of k pixels a side that do not overlap."""

    def forward(self, x: Tensor) -> Tensor:
        return _apply(_MaxPool2d, x, self.kernel_size)


class _BatchNorm2d(torch.autograd.Function):
    """Ioffe and Szegedy 2015, section 3: with n = (x - mean) / std over N, H and W,
    dx = gamma / std (g - mean(g) - n mean(g n)); with fixed statistics dx = gamma g / std."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, gamma: Tensor, beta: Tensor, mean: Tensor, scale: Tensor, of_batch: bool) -> Tensor:
        normal = (x - mean[:, None, None]) * scale[:, None, None]
        ctx.save_for_backward(normal, gamma, scale)
        ctx.of_batch = of_batch
        return gamma[:, None, None] * normal + beta[:, None, None]

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        (g,) = grads
        normal, gamma, scale = ctx.saved_tensors
        dgamma, dbeta = (g * normal).sum((0, 2, 3)), g.sum((0, 2, 3))
        dx = g
        if ctx.of_batch:
            count = g.numel() / g.shape[1]
            dx = g - (dbeta / count)[:, None, None] - normal * (dgamma / count)[:, None, None]
        return dx * (gamma * scale)[:, None, None], dgamma, dbeta, None, None, None


class BatchNorm2d(nn.BatchNorm2d):
    """(N, C, H, W) to the same."""

    def forward(self, x: Tensor) -> Tensor:
        mean, variance = self.running_mean, self.running_var
        assert mean is not None
        assert variance is not None
        if self.training:
            with torch.no_grad():
                count, momentum = x.numel() / x.shape[1], self.momentum or 0.0
                running_mean, running_variance = mean, variance
                mean, variance = x.mean((0, 2, 3)), x.var((0, 2, 3), correction=0)
                running_mean.lerp_(mean, momentum)
                running_variance.lerp_(variance * count / (count - 1), momentum)
                if self.num_batches_tracked is not None:
                    self.num_batches_tracked.add_(1)
        scale = (variance + self.eps).rsqrt()
        return _apply(_BatchNorm2d, x, self.weight, self.bias, mean, scale, self.training)


class _CrossEntropy(torch.autograd.Function):
    """-sum(t log softmax(s)), mean over N; ds = (softmax(s) - t) / N."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, targets: Tensor) -> Tensor:
        logs = logits - logits.logsumexp(1, keepdim=True)
        ctx.save_for_backward(logs, targets)
        return -(targets * logs).sum(1).mean()

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        logs, targets = ctx.saved_tensors
        return grads[0] * (logs.exp() - targets) / len(logs), None


def cross_entropy(logits: Tensor, targets: Tensor, label_smoothing: float = 0.0) -> Tensor:
    """Logits (N, K), and labels (N,) or probabilities (N, K), to the mean over N."""
    classes = logits.shape[1]
    soft = targets if targets.ndim == 2 else F.one_hot(targets, classes).to(logits.dtype)
    return _apply(_CrossEntropy, logits, soft * (1 - label_smoothing) + label_smoothing / classes)


class _Hinge(torch.autograd.Function):
    """sum over j != y of max(0, s_j - s_y + 1), mean over N; each that is positive pulls s_y up and pushes s_j down."""

    @staticmethod
    def forward(ctx: Any, scores: Tensor, labels: Tensor) -> Tensor:
        margins = (scores - scores.gather(1, labels[:, None]) + 1).clamp_min(0)
        margins.scatter_(1, labels[:, None], 0)
        ctx.save_for_backward(margins > 0, labels)
        return margins.sum(1).mean()

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        over, labels = ctx.saved_tensors
        pushed = over.to(grads[0].dtype)
        pushed[torch.arange(len(labels)), labels] = -pushed.sum(1)
        return grads[0] * pushed / len(labels), None


def hinge(scores: Tensor, labels: Tensor) -> Tensor:
    """Scores (N, K) and labels (N,) to the multi-class hinge loss (Weston and Watkins 1999), mean over N."""
    return _apply(_Hinge, scores, labels)
