"""Images as bytes, and as the tensors that networks take and return."""

import numpy as np
import torch
from torch import Tensor


def to_float(images: Tensor) -> Tensor:
    """uint8 (N, H, W, C) to float32 (N, C, H, W) in [0, 1], in channels_last memory."""
    return images.permute(0, 3, 1, 2).float().div_(255)


def to_bytes(outputs: Tensor | np.ndarray) -> np.ndarray:
    """Images (N, C, H, W) in [0, 1], clipped and rounded: uint8 (N, H, W, C)."""
    outputs = torch.as_tensor(outputs)
    return outputs.mul(255).round_().clamp_(0, 255).to(torch.uint8).permute(0, 2, 3, 1).contiguous().cpu().numpy()
