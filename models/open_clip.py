"""CLIP (Radford et al. 2021) as open_clip publishes its weights: a vision transformer and a causal text transformer.

Nothing is trained here: the network is built to fit a file's tensors, whose names are those of open_clip's `CLIP` with a `VisionTransformer`,
such as ViT-B-32 (151 M parameters; zero-shot on ImageNet 62.9 % with LAION-400M's weights, as their publishers report). Heads are 64 wide in
all of them. OpenAI's own weights and some of open_clip's have x * sigmoid(1.702 x) in place of GELU (`quick`), which no tensor says.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.layers import Standardize

MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
HEAD = 64  # width of a head
# What some files hold beside the weights, and which is known from the weights.
KNOWN = ("attn_mask", "input_resolution", "context_length", "vocab_size")


@dataclass(frozen=True)
class Sizes:
    """How large the two transformers are; `side` and `patch` in pixels."""

    space: int
    width: int
    layers: int
    patch: int
    side: int
    text_width: int
    text_layers: int
    words: int
    length: int


class _QuickGELU(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x * torch.sigmoid(1.702 * x)


class _Feed(nn.Module):
    def __init__(self, width: int, quick: bool) -> None:
        super().__init__()
        self.c_fc, self.c_proj = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.gelu = _QuickGELU() if quick else nn.GELU()

    def forward(self, x: Tensor) -> Tensor:
        return self.c_proj(self.gelu(self.c_fc(x)))


class _Block(nn.Module):
    def __init__(self, width: int, quick: bool) -> None:
        super().__init__()
        self.ln_1, self.ln_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attn = nn.MultiheadAttention(width, width // HEAD, batch_first=True)
        self.mlp = _Feed(width, quick)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        inner = self.ln_1(x)
        x = x + self.attn(inner, inner, inner, need_weights=False, attn_mask=mask)[0]
        return x + self.mlp(self.ln_2(x))


class _Transformer(nn.Module):
    def __init__(self, width: int, layers: int, quick: bool) -> None:
        super().__init__()
        self.resblocks = nn.ModuleList(_Block(width, quick) for _ in range(layers))

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        for block in self.resblocks:
            x = block(x, mask)
        return x


class _Vision(nn.Module):
    def __init__(self, sizes: Sizes, quick: bool) -> None:
        super().__init__()
        width = sizes.width
        self.conv1 = nn.Conv2d(3, width, sizes.patch, sizes.patch, bias=False)
        self.class_embedding = nn.Parameter(torch.zeros(width))
        self.positional_embedding = nn.Parameter(torch.zeros((sizes.side // sizes.patch) ** 2 + 1, width))
        self.ln_pre, self.ln_post = nn.LayerNorm(width), nn.LayerNorm(width)
        self.transformer = _Transformer(width, sizes.layers, quick)
        self.proj = nn.Parameter(torch.zeros(width, sizes.space))

    def forward(self, images: Tensor) -> Tensor:
        patches = self.conv1(images).flatten(2).transpose(1, 2)
        first = self.class_embedding.expand(len(images), 1, -1)
        x = self.ln_pre(torch.cat([first, patches], 1) + self.positional_embedding)
        return self.ln_post(self.transformer(x)[:, 0]) @ self.proj


class OpenClip(nn.Module):
    """Both encoders. Images are float (N, 3, side, side) in [0, 1]; sentences are numbers (N, length) of `tasks.finding.byte_pairs`."""

    def __init__(self, sizes: Sizes, quick: bool) -> None:
        super().__init__()
        self.sizes = sizes
        self.standardize = Standardize(MEAN, STD)
        self.visual = _Vision(sizes, quick)
        self.transformer = _Transformer(sizes.text_width, sizes.text_layers, quick)
        self.token_embedding = nn.Embedding(sizes.words, sizes.text_width)
        self.positional_embedding = nn.Parameter(torch.zeros(sizes.length, sizes.text_width))
        self.ln_final = nn.LayerNorm(sizes.text_width)
        self.text_projection = nn.Parameter(torch.zeros(sizes.text_width, sizes.space))
        self.logit_scale = nn.Parameter(torch.tensor(math.log(1 / 0.07)))
        self.mask: Tensor
        self.register_buffer("mask", torch.full((sizes.length, sizes.length), -torch.inf).triu(1), persistent=False)

    def encode_images(self, images: Tensor) -> Tensor:
        """Unit vectors (N, D) of images."""
        return F.normalize(self.visual(self.standardize(images)), dim=-1)

    def encode_sentences(self, numbers: Tensor) -> Tensor:
        """Unit vectors (N, D) of sentences: what stands at the end sign, which has the largest number."""
        count = numbers.shape[1]
        x = self.token_embedding(numbers) + self.positional_embedding[:count]
        x = self.ln_final(self.transformer(x, self.mask[:count, :count]))
        return F.normalize(x[torch.arange(len(x)), numbers.argmax(-1)] @ self.text_projection, dim=-1)


def sizes_of(tensors: Mapping[str, Tensor]) -> Sizes:
    """The sizes that the tensors of a file have. Raises ValueError for a file of another layout."""
    try:
        width, _, patch, _ = tensors["visual.conv1.weight"].shape
        places = tensors["visual.positional_embedding"].shape[0] - 1
        length, text_width = tensors["positional_embedding"].shape
        sizes = Sizes(
            space=tensors["text_projection"].shape[1],
            width=width,
            layers=_layers(tensors, "visual.transformer.resblocks."),
            patch=patch,
            side=patch * math.isqrt(places),
            text_width=text_width,
            text_layers=_layers(tensors, "transformer.resblocks."),
            words=tensors["token_embedding.weight"].shape[0],
            length=length,
        )
    except (KeyError, ValueError, IndexError) as error:
        raise ValueError(f"not in the layout of open_clip's ViT ({error})") from None
    if math.isqrt(places) ** 2 != places or sizes.width % HEAD or sizes.text_width % HEAD:
        raise ValueError(f"not in the layout of open_clip's ViT: {places} patches, {sizes.width} and {text_width} wide")
    return sizes


def _layers(tensors: Mapping[str, Tensor], prefix: str) -> int:
    return len({name.removeprefix(prefix).split(".")[0] for name in tensors if name.startswith(prefix)})


def from_tensors(tensors: Mapping[str, Tensor], quick: bool) -> OpenClip:
    """The network of a file's tensors, in evaluation mode, fp32. Raises ValueError for a file of another layout."""
    own = {name.removeprefix("module."): tensor for name, tensor in tensors.items()}
    own = {name: tensor.float() for name, tensor in own.items() if name not in KNOWN}
    with torch.device("meta"):
        network = OpenClip(sizes_of(own), quick)
    network.to_empty(device="cpu")
    # What no file holds was made without values.
    network.standardize = Standardize(MEAN, STD)
    network.mask = torch.full((network.sizes.length, network.sizes.length), -torch.inf).triu(1)
    try:
        missing = network.load_state_dict(own, strict=False)
    except RuntimeError as error:
        raise ValueError(f"not in the layout of open_clip's ViT ({str(error).splitlines()[-1].strip()})") from None
    lacking = [name for name in missing.missing_keys if not name.startswith("standardize.")]
    if lacking or missing.unexpected_keys:
        named = ", ".join([*lacking, *missing.unexpected_keys][:3])
        raise ValueError(f"not in the layout of open_clip's ViT: {len(lacking)} tensors are missing, {len(missing.unexpected_keys)} unknown, such as {named}")  # fmt: skip
    return network.eval()
