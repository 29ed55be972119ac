"""Dropout (Srivastava et al. 2014) whose draws are bytes: on a processor torch's own take a third of a small transformer's training."""

import torch
from torch import Tensor, nn


class Dropout(nn.Module):
    """In training, each number of a tensor of any shape is 0 with a probability of `share`, rounded to a multiple of 1/256."""

    def __init__(self, share: float) -> None:
        super().__init__()
        self.kept = max(1, round(256 * (1 - share)))

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.kept == 256:
            return x
        # Four draws in one, since a draw costs the same for all sizes of numbers.
        drawn = torch.empty(-(-x.numel() // 4), dtype=torch.int32, device=x.device).random_(-(2**31), 2**31 - 1)
        mask = drawn.view(torch.uint8)[: x.numel()].view(x.shape) < self.kept
        return x * mask.to(x.dtype).mul_(256 / self.kept)

    def extra_repr(self) -> str:
        return f"share={1 - self.kept / 256}"
