"""A recurrence whose gradients are written out by hand, as the course derives them; tested against autograd to 1e-6 in double.

The course: EECS 498/598, Deep Learning for Computer Vision, assignment on image captioning (rnn_step_backward, rnn_backward).
"""

from typing import Any

import torch
from torch import Tensor, nn


class _Unrolled(torch.autograd.Function):
    """h_t = tanh(x_t U' + h_(t-1) W' + b). From the end to the beginning, with g_t what reaches h_t from above and from h_(t+1):
    a = g_t (1 - h_t^2); dx_t = a U, dU += a' x_t, dW += a' h_(t-1), db += sum a, and a W reaches h_(t-1)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, first: Tensor, inner: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        states = [first]
        for step in x.unbind(1):
            states.append(torch.tanh(step @ inner.T + states[-1] @ weight.T + bias))
        hidden = torch.stack(states, 1)  # (N, T + 1, H)
        ctx.save_for_backward(x, hidden, inner, weight)
        return hidden[:, 1:]

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, ...]:
        (above,) = grads
        x, hidden, inner, weight = ctx.saved_tensors
        behind = torch.zeros_like(hidden[:, 0])
        inputs = torch.empty_like(above)
        for t in reversed(range(x.shape[1])):
            inputs[:, t] = (above[:, t] + behind) * (1 - hidden[:, t + 1] ** 2)
            behind = inputs[:, t] @ weight
        a = inputs.flatten(0, 1)
        return inputs @ inner, behind, a.T @ x.flatten(0, 1), a.T @ hidden[:, :-1].flatten(0, 1), a.sum(0)


class ManualRNN(nn.RNN):
    """One layer with tanh, batch first: (N, T, D) and the first state (1, N, H) to all states (N, T, H) and the last one (1, N, H).

    It has the parameters and the numbers of its twin in `torch.nn`, and computes in their precision: autocast has no part in it.
    """

    def __init__(self, inputs: int, hidden: int) -> None:
        super().__init__(inputs, hidden, batch_first=True)

    def forward(self, x: Tensor, first: Tensor) -> tuple[Tensor, Tensor]:  # type: ignore[override]
        inner, weight, *biases = self._flat_weights
        assert inner is not None
        with torch.autocast(x.device.type, enabled=False):
            hidden: Tensor = _Unrolled.apply(x.to(inner.dtype), first[0].to(inner.dtype), inner, weight, sum(biases))  # type: ignore[arg-type]
        return hidden, hidden[:, -1][None]
