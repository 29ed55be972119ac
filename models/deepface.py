"""DeepFace's emotion network: five unpadded convolutions and three linear layers on a grey face of 48x48 pixels.

Serengil and Ozpinar, https://github.com/serengil/deepface (deepface/models/demography/pytorch/Emotion.py). 1,485,831 parameters for
one channel and seven emotions. Its published weights are reported at 57.4 % on FER2013; at least 62 % is expected of ours.
(N, 1, 48, 48) to (N, 7) logits; DeepFace's own ends in their softmax. Its names of parameters are kept, so that weights go both ways.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models import Shape
from models.layers import initialise

SIZE = 48


class EmotionNetwork(nn.Module):
    def __init__(self, inputs: int, outputs: int, dropout: float) -> None:
        super().__init__()
        self.conv_1 = nn.Conv2d(inputs, 64, 5)
        self.conv_2 = nn.Conv2d(64, 64, 3)
        self.conv_3 = nn.Conv2d(64, 64, 3)
        self.conv_4 = nn.Conv2d(64, 128, 3)
        self.conv_5 = nn.Conv2d(128, 128, 3)
        self.fc_1 = nn.Linear(128, 1024)
        self.fc_2 = nn.Linear(1024, 1024)
        self.fc_3 = nn.Linear(1024, outputs)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        if x.shape[-2:] != (SIZE, SIZE):
            x = F.interpolate(x, (SIZE, SIZE), mode="bilinear")
        x = self.conv_1(x)
        # The largest of what is not negative is what is not negative of the largest, in a fifth of the pixels.
        x = F.relu(F.max_pool2d(x, 5, 2) if self.training else largest(x))  # (N, 64, 20, 20)
        x = F.relu(self.conv_3(F.relu(self.conv_2(x))))  # (N, 64, 16, 16)
        x = F.avg_pool2d(x, 3, 2)  # (N, 64, 7, 7)
        x = F.relu(self.conv_5(F.relu(self.conv_4(x))))  # (N, 128, 3, 3)
        x = F.avg_pool2d(x, 3, 2).flatten(1)  # (N, 128)
        x = self.dropout(F.relu(self.fc_1(x)))
        x = self.dropout(F.relu(self.fc_2(x)))
        out: Tensor = self.fc_3(x)
        return out


def largest(x: Tensor) -> Tensor:
    """`max_pool2d(x, 5, 2)`, (N, C, H, W) to (N, C, H', W'), by comparing whole rows and then whole columns: faster on a processor.

    Where several pixels are largest its gradient is another one, so that training keeps to the pooling.
    """
    return _largest_rows(_largest_rows(x).transpose(2, 3)).transpose(2, 3)


def _largest_rows(x: Tensor) -> Tensor:
    """The largest of each five rows, every second row: two pairs, whose largest serve two windows each, and the fifth row."""
    end = 2 * ((x.shape[2] - 5) // 2) + 5
    pairs = torch.maximum(x[:, :, 0 : end - 1 : 2], x[:, :, 1 : end - 1 : 2])
    return torch.maximum(torch.maximum(pairs[:, :, :-1], pairs[:, :, 1:]), x[:, :, 4:end:2])


def build(shape: Shape, *, dropout: float = 0.2) -> nn.Module:
    """`dropout`: after both hidden linear layers. Images of another size than 48 pixels are resized to it, as DeepFace does."""
    network = EmotionNetwork(shape.inputs, shape.outputs, dropout)
    initialise(network, "kaiming")
    return network
