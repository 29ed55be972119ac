"""Captions of photographs: MobileNetV2's map of a picture, and a decoder that writes words while it looks at it.

    rnn, lstm       the course's (EECS 498/598, Deep Learning for Computer Vision): the mean of the map begins a recurrence
    attention       the course's LSTM with dot-product attention over the map; Xu et al. 2015 ("Show, Attend and Tell") have a small
                    network in place of the product, which with VGG's map and all 6,000 images of Flickr8k gives BLEU-4 0.195
    transformer     a decoder of a few layers with cross-attention over the map (Vaswani et al. 2017), ours

On 753 training images of Flickr8k expect a BLEU-4 of 0.15 to 0.2 and a CIDEr-D of 0.4 to 0.5. The map has stride 32: 7 x 7 regions of
1,280 channels at 224 pixels.
"""

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Annotated, Literal

import torch
from pydantic import Field, PositiveInt
from torch import Tensor, nn
from torch.nn import functional as F

from models import Shape, decoders
from models.decoders import END, PAD, START, UNKNOWN
from models.dropout import Dropout
from models.manual import Backward
from models.mobilenet import CHANNELS, STRIDE, Backbone

KIND = "caption"
PRETRAINED = True

BANNED = (PAD, START, UNKNOWN)
BLOCKS = 19  # of the backbone
# Channels and stride behind so many of its blocks.
OUTPUTS = {
    **dict.fromkeys((7,), (32, 8)), **dict.fromkeys(range(8, 12), (64, 16)), **dict.fromkeys(range(12, 15), (96, 16)),
    **dict.fromkeys(range(15, 18), (160, 32)), 18: (320, 32), 19: (1280, 32),
}  # fmt: skip
LENGTH = 24  # words of a sentence, start and end, where the data do not say


class Beginning(Backbone):
    """The backbone's frozen blocks alone."""

    def __init__(self, frozen: int) -> None:
        super().__init__(frozen)
        self.features = self.features[:frozen]

    def load_pretrained(self, tensors: Mapping[str, Tensor]) -> None:
        """Take of torchvision's weights those of the blocks that there are."""
        self.features.load_state_dict({key: tensors[f"features.{key}"] for key in self.features.state_dict()})


def neck(inputs: int, widths: Sequence[int], strides: Sequence[int]) -> nn.Sequential:
    """Convolutions, each with batch norm, that learn in place of a backbone's further blocks."""
    layers: list[nn.Module] = []
    for (before, width), stride in zip(pairwise((inputs, *widths)), strides):
        layers += [nn.Conv2d(before, width, 3, stride, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
    return nn.Sequential(*layers)


class Captioner(nn.Module):
    """Images (N, 3, H, W) in [0, 1] to the numbers of words, float (N, T): the likeliest word at each place, fill after the end.

    What `stem` gives does not change while the network learns, so that a training may keep it.
    """

    def __init__(
        self,
        decoder: decoders.Decoder,
        width: int,
        frozen: int,
        widths: Sequence[int],
        strides: Sequence[int],
        size: int,
        length: int,
        dropout: float,
    ) -> None:
        """`widths`, `strides`: of the convolutions that learn in place of the blocks that are not frozen; none for these. `size`: pixels."""
        super().__init__()
        stride = STRIDE
        self.backbone = Beginning(frozen) if widths else Backbone(frozen)
        if widths:
            channels, stride = OUTPUTS[frozen]
            self.neck, stride = neck(channels, widths, strides), stride * math.prod(strides)
        grid = -(-size // stride)
        self.project = nn.Linear(widths[-1] if widths else CHANNELS[1], width)
        self.places = nn.Parameter(torch.zeros(grid * grid, width))
        self.norm = nn.LayerNorm(width)
        self.dropout = Dropout(dropout)
        self.decoder = decoder
        self.length = length

    def stem(self, images: Tensor) -> Tensor:
        """What the frozen blocks see: (N, C, h, w)."""
        return self.backbone.stem(images)

    def see(self, stem: Tensor) -> Tensor:
        """The regions that the decoder is given, row by row: (N, L, D)."""
        found = self.neck(stem) if hasattr(self, "neck") else self.backbone.features[self.backbone.frozen :](stem)
        regions = self.project(self.dropout(found.flatten(2).transpose(1, 2)))
        normed: Tensor = self.norm(regions + self._places(found.shape[2:]))
        return normed

    def _places(self, size: torch.Size) -> Tensor:
        """Of another size of map than that of training: places between."""
        if size[0] * size[1] == len(self.places):
            return self.places
        side = round(len(self.places) ** 0.5)
        grid = self.places.T.view(1, -1, side, side)
        return F.interpolate(grid, tuple(size), mode="bilinear", align_corners=False)[0].flatten(1).T

    def losses(self, stem: Tensor, sentences: Tensor, smoothing: float = 0.0) -> Tensor:
        """The mean cross-entropy of words (B, S, T), nats each, of B images' S sentences; fill and unknown words do not count."""
        # No place is computed that is fill in all of them.
        sentences = sentences[:, :, : int((sentences != PAD).sum(2).max())].long()
        hidden, said = self.decoder.counted(self.see(stem), sentences)
        logits = self.decoder.logits(hidden).float()
        return F.cross_entropy(logits, said, ignore_index=UNKNOWN, label_smoothing=smoothing)

    def logs(self, regions: Tensor, sentences: Tensor) -> Tensor:
        """The log-probability, float32 (B, S, T - 1), of each word of sentences (B, S, T) after the first, among the words that may be said."""
        logits = self.decoder.logits(self.decoder(regions, sentences[:, :, :-1])).float()
        allowed = logits.index_fill(3, torch.tensor(BANNED, device=logits.device), -torch.inf)
        said = sentences[:, :, 1:, None]
        # Fill is none of them; its place has the probability of the end.
        return allowed.log_softmax(3).gather(3, said.masked_fill(said == PAD, END))[..., 0]

    def forward(self, images: Tensor) -> Tensor:
        state = self.decoder.begin(self.see(self.stem(images)))
        words = torch.full((len(images),), START, device=images.device)
        found = []
        for _ in range(self.length - 1):
            logits, state, _ = self.decoder.step(state, words)
            logits[:, list(BANNED)] = -torch.inf
            words = torch.where((words == END) | (words == PAD), PAD, logits.argmax(1))
            found.append(words)
        return torch.stack(found, 1).float()


def build(
    shape: Shape,
    *,
    decoder: Literal["rnn", "lstm", "attention", "transformer"] = "attention",
    width: PositiveInt = 256,
    layers: PositiveInt = 2,
    heads: PositiveInt = 4,
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.3,
    tied: bool = False,
    deep: bool = False,
    frozen: Annotated[int, Field(ge=7, le=BLOCKS)] = BLOCKS,
    neck: tuple[PositiveInt, ...] = (),
    strides: tuple[Literal[1, 2], ...] = (),
    backward: Backward = "auto",
) -> Captioner:
    """`width`: of words, regions and hidden states. `layers`, `heads`: of the transformer. `tied`: words have the same weights going
    in and coming out. `deep`: attention says a word by what it looks at, too. `frozen`: blocks of the backbone that do not learn; below 19 its last ones do.
    `neck`: widths of convolutions that learn in their place, for pictures that are nothing that ImageNet knows, and `strides`: theirs, 2
    where none are given. `backward`: of the rnn."""
    words, length = shape.outputs, shape.extra.get("length", LENGTH)
    if backward == "manual" and decoder != "rnn":
        raise ValueError("architecture.backward: gradients by hand are those of decoder: rnn")
    if deep and decoder != "attention":
        raise ValueError("architecture.deep: a choice of decoder: attention")
    if strides and len(strides) != len(neck):
        raise ValueError(f"architecture.strides: {len(strides)} of them for {len(neck)} convolutions of the neck")
    if width % heads:
        raise ValueError(f"architecture.heads: {width} channels are not divisible by {heads}")
    made: decoders.Decoder
    match decoder:
        case "transformer":
            made = decoders.Transformer(words, width, dropout, tied, layers, heads, length)
        case "attention":
            made = decoders.Attention(words, width, dropout, tied, deep)
        case _:
            made = decoders.Recurrent(words, width, dropout, tied, decoder == "lstm", backward)
    return Captioner(made, width, frozen, neck, strides or (2,) * len(neck), shape.size, length, dropout)
