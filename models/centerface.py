"""CenterFace (Xu et al. 2019, "CenterFace: Joint Face Detection and Alignment Using Face as Point"): a face is the point of its centre.

MobileNetV2's blocks and a feature pyramid of 24 channels end in a map of stride 4, each point of which says how likely a face has its centre
there, how large it is, and by how much the centre is off the point. The publication's five landmarks are left out. It begins at the
published weights, whose batch norms are part of their convolutions, so that it learns further without any; blocks up to stride 4 stay as
published. Its training is ours (`tasks.kinds.detect.centerface`).
"""

from itertools import pairwise
from typing import Annotated

import torch
from pydantic import Field, PositiveInt
from torch import Tensor, nn
from torch.nn import functional as F

from models import Shape
from models.boxes import Detector, clip
from models.mobilenet import StridedDepthwise

KIND = "detect"
TRAINER = "tasks.kinds.detect.centerface"
STRIDE = 4  # pixels a point
MULTIPLE = 32  # pixels that the sides of what the network sees are a multiple of
GREY = 114 / 255
# MobileNetV2's blocks: expansion, channels, how many, stride of the first.
BLOCKS = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))
LEVELS = (3, 6, 13, 17)  # blocks up to strides 4, 8, 16 and 32
WIDTH = 24  # channels of the pyramid
# Of the loss: sizes and offsets. The publication weighs sizes by 0.1 (eq. 5); a network that begins at its weights then forgets them.
SIZE, OFFSET = 1.0, 1.0
# Of the heat map: what Law & Deng 2018 (CornerNet, eq. 1) have.
SURE, NEAR = 2, 4
OVERLAP = 0.7  # a box whose centre is off by the radius has at least this IoU
PRIOR = -4.6  # logit of an untrained point, a hundredth


class Block(nn.Sequential):
    """An inverted residual: convolutions with their biases, (N, C, H, W) to (N, C', H / stride, W / stride)."""

    def __init__(self, inputs: int, outputs: int, expansion: int, stride: int, learns: bool) -> None:
        inner = inputs * expansion
        expand = [nn.Conv2d(inputs, inner, 1), nn.ReLU(inplace=True)] if expansion > 1 else []
        depthwise = StridedDepthwise if learns and stride > 1 else nn.Conv2d
        super().__init__(
            *expand,
            depthwise(inner, inner, 3, stride, 1, groups=inner), nn.ReLU(inplace=True),
            nn.Conv2d(inner, outputs, 1),
        )  # fmt: skip
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = super().forward(x)
        return x + out if self.residual else out


class CenterFace(Detector):
    """Maps are (N, 5, H/4, W/4): logit of a centre, logarithms of height and width in strides, offset of y and x in strides."""

    def __init__(self, floor: float, iou: float, most: int) -> None:
        super().__init__()
        self.floor, self.iou, self.most = floor, iou, most
        blocks: list[nn.Module] = [nn.Sequential(nn.Conv2d(3, 32, 3, 2, 1), nn.ReLU(inplace=True))]
        channels = 32
        for expansion, width, count, stride in BLOCKS:
            for index in range(count):
                learns = len(blocks) > LEVELS[0]
                blocks.append(Block(channels, width, expansion, stride if index == 0 else 1, learns))
                channels = width
        self.blocks = nn.ModuleList(blocks)
        self.top = nn.Sequential(nn.Conv2d(channels, WIDTH, 1), nn.ReLU(inplace=True))
        # From coarse to fine: what enlarges the level before, and what takes the level's own features.
        self.up, self.lateral = nn.ModuleList(), nn.ModuleList()
        for width in (96, 32, 24):
            self.up.append(nn.Sequential(nn.ConvTranspose2d(WIDTH, WIDTH, 2, 2), nn.ReLU(inplace=True)))
            self.lateral.append(nn.Sequential(nn.Conv2d(width, WIDTH, 1), nn.ReLU(inplace=True)))
        self.last = nn.Sequential(nn.Conv2d(WIDTH, WIDTH, 3, padding=1), nn.ReLU(inplace=True))
        self.centre, self.size, self.offset = (nn.Conv2d(WIDTH, count, 1) for count in (1, 2, 2))
        nn.init.constant_(self.centre.bias, PRIOR)  # type: ignore[arg-type]
        for block in self.blocks[: LEVELS[0] + 1]:
            for parameter in block.parameters():
                parameter.requires_grad_(False)

    def convolutions(self) -> list[nn.Conv2d | nn.ConvTranspose2d]:
        """All layers with weights in the order in which they run."""
        pyramid = [part for pair in zip(self.up, self.lateral) for part in pair]
        parts = [self.blocks, self.top, *pyramid, self.last, self.centre, self.size, self.offset]
        return [m for part in parts for m in part.modules() if isinstance(m, nn.Conv2d | nn.ConvTranspose2d)]

    def stem(self, images: Tensor) -> Tensor:
        """Features of stride 4, (N, 24, H/4, W/4), of images of any size, which are padded at the right and the bottom."""
        height, width = images.shape[-2:]
        x = F.pad(images, (0, -width % MULTIPLE, 0, -height % MULTIPLE), value=GREY) * 255
        for block in self.blocks[: LEVELS[0] + 1]:
            x = block(x)
        return x

    def maps(self, features: Tensor) -> Tensor:
        levels = [features]
        for start, end in pairwise(LEVELS):
            x = levels[-1]
            for block in self.blocks[start + 1 : end + 1]:
                x = block(x)
            levels.append(x)
        x = self.top(levels.pop())
        for up, lateral in zip(self.up, self.lateral):
            x = up(x) + lateral(levels.pop())
        x = self.last(x)
        return torch.cat([head(x.to(head.weight.dtype)) for head in (self.centre, self.size, self.offset)], 1)

    def losses(self, features: Tensor, targets: Tensor) -> dict[str, Tensor]:
        return centre_losses(self.maps(features).float(), targets)

    def candidates(self, features: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
        maps = self.maps(features).float()
        return clip(decode(maps), *size), maps[:, 0].sigmoid().flatten(1).unsqueeze(-1)


def decode(maps: Tensor) -> Tensor:
    """Corners (N, A, 4) in pixels of the boxes that all points say, row by row."""
    rows = torch.arange(maps.shape[2], device=maps.device).view(-1, 1)
    columns = torch.arange(maps.shape[3], device=maps.device)
    half_y, half_x = maps[:, 1:3].exp().unbind(1)
    y, x = rows + maps[:, 3] + 0.5, columns + maps[:, 4] + 0.5
    corners = torch.stack([x - half_x / 2, y - half_y / 2, x + half_x / 2, y + half_y / 2], -1) * STRIDE
    return corners.flatten(1, 2)


def centre_losses(maps: Tensor, targets: Tensor) -> dict[str, Tensor]:
    """Heat map (CornerNet's focal loss), sizes and offsets (L1 at the centres), a face: maps (N, 5, H, W), targets (N, M, 6).

    Points within a difficult face count neither as faces nor as none.
    """
    height, width = maps.shape[-2:]
    heat, free, centres = aims(targets, height, width)
    image, place, row, column = centres
    logits = maps[:, 0]
    sure = logits.sigmoid().clamp(1e-4, 1 - 1e-4)
    found = torch.zeros_like(heat, dtype=torch.bool)
    found[image, row, column] = True
    positive = (1 - sure) ** SURE * sure.log() * found
    negative = (1 - heat) ** NEAR * sure**SURE * (1 - sure).log() * (~found & free)
    count = max(1, len(image))
    corners = targets[image, place, :4]
    sides = (corners[:, [3, 2]] - corners[:, [1, 0]]).clamp(min=1) / STRIDE
    middles = (corners[:, [1, 0]] + corners[:, [3, 2]]) / 2 / STRIDE
    said = maps[image, :, row, column]
    offsets = middles - torch.stack([row, column], 1) - 0.5
    return {
        "centre": -(positive + negative).sum() / count,
        "size": SIZE * F.l1_loss(said[:, 1:3], sides.log(), reduction="sum") / count,
        "offset": OFFSET * F.l1_loss(said[:, 3:5], offsets, reduction="sum") / count,
    }


def aims(targets: Tensor, height: int, width: int) -> tuple[Tensor, Tensor, tuple[Tensor, Tensor, Tensor, Tensor]]:
    """The heat map (N, H, W), 1 at centres and a Gaussian around; where it is known, bool; and image, place in `targets`, row and column of each
    centre. Of two faces with one centre the smaller one counts."""
    heat = targets.new_zeros(len(targets), height, width)
    free = torch.ones_like(heat, dtype=torch.bool)
    rows = torch.arange(height, device=targets.device).view(-1, 1)
    columns = torch.arange(width, device=targets.device)
    taken: dict[tuple[int, int, int], int] = {}
    there = (targets[..., 4] >= 0).nonzero().tolist()
    boxes = targets.tolist()
    areas = {(i, m): (boxes[i][m][2] - boxes[i][m][0]) * (boxes[i][m][3] - boxes[i][m][1]) for i, m in there}
    for i, m in sorted(there, key=lambda one: -areas[one[0], one[1]]):
        x1, y1, x2, y2, _, difficult = (value / STRIDE for value in boxes[i][m])
        if difficult:
            free[i, max(0, int(y1)) : int(y2) + 1, max(0, int(x1)) : int(x2) + 1] = False
            continue
        row, column = min(max(int((y1 + y2) / 2), 0), height - 1), min(max(int((x1 + x2) / 2), 0), width - 1)
        reach = max(radius(y2 - y1, x2 - x1), 0.0)
        top, bottom = max(0, row - int(reach)), row + int(reach) + 1
        left, right = max(0, column - int(reach)), column + int(reach) + 1
        spread = (2 * int(reach) + 1) / 6
        near = (rows[top:bottom] - row) ** 2 + (columns[left:right] - column) ** 2
        part = heat[i, top:bottom, left:right]
        torch.maximum(part, torch.exp(-near / (2 * spread**2)), out=part)
        taken[i, row, column] = m
    # Centres that nothing marks as difficult.
    for i, row, column in taken:
        heat[i, row, column] = 1.0
    index = torch.tensor([(i, m, row, column) for (i, row, column), m in taken.items()], dtype=torch.long, device=targets.device)
    image, place, row_, column_ = index.view(-1, 4).unbind(1)
    return heat, free, (image, place, row_, column_)


def radius(height: float, width: float) -> float:
    """By how much both corners of a box may be off the same way, so that the IoU with it stays `OVERLAP` at least.

    A box that is moved by r both ways overlaps by (h - r)(w - r), so that r is the smaller root of (h - r)(w - r) = 2 hw v / (1 + v).
    """
    both = height + width
    least = height * width * (1 - OVERLAP) / (1 + OVERLAP)
    return (both - max(both**2 - 4 * least, 0.0) ** 0.5) / 2


class Fused(nn.Module):
    """A convolution and its ReLU in one pass over memory, oneDNN's: (N, C, H, W) to (N, C', H', W')."""

    def __init__(self, convolution: nn.Conv2d) -> None:
        super().__init__()
        self.convolution = convolution

    def forward(self, x: Tensor) -> Tensor:
        c = self.convolution
        size = (list(c.padding), list(c.stride), list(c.dilation), c.groups)
        out: Tensor = torch.ops.mkldnn._convolution_pointwise(x, c.weight, c.bias, *size, "relu", [], "")
        return out


class Inference(nn.Module):
    """What remains of the network where it is only asked: all weights in one precision, and boxes of scores that are high enough alone."""

    def __init__(self, network: CenterFace, device: torch.device, precision: torch.dtype) -> None:
        """`network` is changed. `precision`: that of the weights, bfloat16 or float32."""
        super().__init__()
        self.network = network.to(device=device, dtype=precision, memory_format=torch.channels_last).eval()  # type: ignore[call-overload]
        # bf16 has eight bits for the logarithm of a side.
        for head in (self.network.centre, self.network.size, self.network.offset):
            head.float()
        self.dtype = precision
        if device.type == "cpu" and torch.backends.mkldnn.is_available():
            for module in [*self.network.modules()]:
                if isinstance(module, nn.Sequential):
                    _fuse(module)

    def forward(self, images: Tensor, floor: float, most: int) -> list[Tensor]:
        """Images (N, 3, H, W) in [0, 1] to at most `most` boxes of each, float32 (K, 5) in order of falling score: x1, y1, x2, y2, score of
        at least `floor`; in pixels, and they overlap."""
        features = self.network.stem(images.to(self.dtype, memory_format=torch.channels_last))
        maps = self.network.maps(features).float()
        found = []
        for corners, scores in zip(decode(maps), maps[:, 0].sigmoid().flatten(1)):
            best, where = scores.topk(min(most, len(scores)))
            where, best = where[best >= floor], best[best >= floor]
            found.append(torch.cat([corners[where], best[:, None]], 1))
        return found


def _fuse(sequence: nn.Sequential) -> None:
    """Make one layer of each convolution that a ReLU follows."""
    for (name, layer), (after, following) in pairwise([*sequence.named_children()]):
        if isinstance(layer, nn.Conv2d) and isinstance(following, nn.ReLU):
            sequence[int(name)], sequence[int(after)] = Fused(layer), nn.Identity()


def build(
    shape: Shape,
    *,
    floor: Annotated[float, Field(gt=0, lt=1)] = 0.01,
    iou: Annotated[float, Field(gt=0, le=1)] = 0.3,
    most: PositiveInt = 300,
) -> CenterFace:
    """`floor`: detections of smaller scores are left out; `iou`: overlaps beyond which the lesser of two is, as published; `most`: detections an
    image. Raises ValueError for data of several classes."""
    if shape.outputs != 1 or shape.inputs != 3:
        raise ValueError(f"centerface finds faces alone, in colour pictures; the data have {shape.outputs} classes")
    return CenterFace(floor, iou, most)
