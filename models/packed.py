"""An LSTM (Hochreiter and Schmidhuber 1997) that is trained without fill: sentences of many lengths, with gradients written out by hand.

On a processor `torch.nn.LSTM` computes fill too, or, where it is given packed sentences, adds to the gradients of all weights at each place.
Here the places of a batch stand behind one another without fill, the first ones of all sentences first. What goes in adds to the gates of
all of them in one product, and so does each weight's gradient; the state's part of the gates, of the sentences that go on, is left to a loop.
"""

from itertools import accumulate, pairwise
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

aten = torch.ops.aten


class _Places(torch.autograd.Function):
    """With i, f, g, o the gates (take, forget, new, give) and ' for one place earlier: c = f c' + i g, h = o tanh(c).

    Backwards, with dh what reaches h from above and from the next place, and dc what reaches c from there: dc += dh o (1 - tanh(c)^2).
    Before their functions, i gets dc g i (1 - i), f dc c' f (1 - f), g dc i (1 - g^2), and o dh tanh(c) o (1 - o): together d.
    f dc reaches c', d W reaches h' and d U the input x; dU += d' x, dW += d' h', db += d.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, first: Tensor, inner: Tensor, weight: Tensor, bias: Tensor, counts: tuple[int, ...]
    ) -> Tensor:
        width = first.shape[1]
        gates = torch.addmm(bias, x, inner.T)
        hidden = gates.new_empty(len(x), width)
        cells = hidden.new_empty(hidden.shape, dtype=_exact(x.dtype))
        state, cell = first, torch.zeros_like(first, dtype=cells.dtype)
        for start, end in _bounds(counts):
            count, own = end - start, gates[start:end]
            own.addmm_(state[:count], weight.T)
            exact = own.to(cells.dtype)
            take, forget, new, give = exact.chunk(4, 1)
            new.mul_(2)
            exact.sigmoid_()
            new.mul_(2).sub_(1)
            own.copy_(exact)
            cell = torch.mul(forget, cell[:count], out=cells[start:end]).addcmul_(take, new)
            state = hidden[start:end].copy_(_tanh(cell).mul_(give))
        ctx.save_for_backward(x, first, inner, weight, gates, cells, hidden)
        ctx.counts = counts
        return hidden

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, above: Tensor) -> tuple[Tensor | None, ...]:
        x, first, inner, weight, gates, cells, hidden = ctx.saved_tensors
        bounds, width = _bounds(ctx.counts), first.shape[1]
        of_state, of_cell = (torch.zeros_like(first, dtype=cells.dtype) for _ in range(2))
        given = cells.new_empty(len(first), 4 * width)
        d, of_bias = torch.empty_like(gates), given.new_zeros(4 * width)
        for place, (start, end) in reversed([*enumerate(bounds)]):
            count = end - start
            own, of_own = gates[start:end].to(cells.dtype), given[:count]
            (take, forget, new, give), (of_take, of_forget, of_new, of_give) = own.chunk(4, 1), of_own.chunk(4, 1)
            state, cell, shown = of_state[:count].add_(above[start:end]), of_cell[:count], _tanh(cells[start:end])
            torch.mul(state, shown, out=of_give)
            cell.add_(aten.tanh_backward(state.mul_(give), shown))
            torch.mul(cell, new, out=of_take)
            torch.mul(cell, cells[bounds[place - 1][0] :][:count] if place else cell.new_zeros(()), out=of_forget)
            torch.mul(cell, take, out=of_new)
            cell.mul_(forget)
            for part in (slice(2 * width), slice(3 * width, None)):
                aten.sigmoid_backward.grad_input(of_own[:, part], own[:, part], grad_input=of_own[:, part])
            aten.tanh_backward.grad_input(of_new, new, grad_input=of_new)
            of_bias += of_own.sum(0)
            state.copy_(d[start:end].copy_(of_own) @ weight)
        earlier = torch.cat([first[: bounds[0][1]], *(hidden[a:][: d - c] for (a, _), (c, d) in pairwise(bounds))])
        return d @ inner, of_state.to(first.dtype), d.T @ x, d.T @ earlier, of_bias.to(x.dtype), None


def _exact(dtype: torch.dtype) -> torch.dtype:
    """Cells, and gradients within a place, are computed in fp32 at least."""
    return torch.promote_types(dtype, torch.float32)


def _tanh(x: Tensor) -> Tensor:
    """2 sigmoid(2 x) - 1: torch's own takes three times as long on a processor."""
    return (2 * x).sigmoid_().mul_(2).sub_(1)


def _bounds(counts: tuple[int, ...]) -> list[tuple[int, int]]:
    """Where each place begins and ends among all of them."""
    return [*pairwise(accumulate(counts, initial=0))]


class PackedLSTM(nn.LSTM):
    """One layer, batch first, with the parameters and the numbers of its twin in `torch.nn`, which it is in all but `packed`."""

    def __init__(self, inputs: int, hidden: int) -> None:
        super().__init__(inputs, hidden, batch_first=True)

    def packed(self, x: Tensor, first: Tensor, counts: tuple[int, ...]) -> Tensor:
        """All states (P, H) behind inputs (P, D) that stand behind one another: `counts` sentences have a first place, a second one, ...

        The sentences of each place are in one order, by falling lengths. `first`: the states before (N, H); the cells before are 0.
        """
        inner, weight, *biases = (cast(Tensor, tensor) for tensor in self._flat_weights)
        device = x.device.type
        dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else inner.dtype
        x, first, inner, weight, bias = (tensor.to(dtype) for tensor in (x, first, inner, weight, sum(biases)))  # type: ignore[union-attr]
        with torch.autocast(device, enabled=False):
            hidden: Tensor = _Places.apply(x, first, inner, weight, bias, counts)
        return hidden
