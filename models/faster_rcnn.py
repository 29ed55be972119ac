"""Faster R-CNN (Ren et al. 2015) on MobileNetV2: a network proposes regions, a second stage says what they hold.

Features of stride 16 and 32 are added up to (N, D, 14, 14) of 224 px. At each place a 3x3 convolution scores A anchors as object or not and
corrects them (section 3.1); the best ones, thinned by non-maximum suppression, are proposals. RoIAlign cuts 7x7 features out of each, from
which two linear layers say the class, background among them, and correct the box once more. Matching, sampling, box coding and
losses as published; anchors are smaller, for images of 224 px, and both stages learn at once. At least 28 % map50 is expected on VOC 2007.
"""

from typing import Annotated

import torch
from pydantic import Field, PositiveFloat, PositiveInt
from torch import Tensor, nn
from torch.nn import functional as F

from models import Shape
from models.boxes import Detector, clip, ops
from models.mobilenet import CHANNELS, Backbone, Frozen

KIND = "detect"
PRETRAINED = True
STRIDE = 16
ROI = 7  # features a side of a region
# Anchors (section 3.1.2): object from IoU 0.7 on, background below 0.3; a half of the sample at most is objects.
RPN_OBJECT, RPN_BACKGROUND, RPN_SAMPLE, RPN_SHARE = 0.7, 0.3, 128, 0.5
# Regions (Fast R-CNN, Girshick 2015, section 2.3): object from IoU 0.5 on; a quarter of the sample at most.
ROI_OBJECT, ROI_SAMPLE, ROI_SHARE = 0.5, 32, 0.25
CANDIDATES, PROPOSALS, RPN_IOU = 300, 64, 0.7
SCALES = (10.0, 10.0, 5.0, 5.0)  # of the second stage's corrections, which are small
LARGEST = 4.0  # of the logarithm of a correction of size


def anchors(height: int, width: int, sizes: tuple[float, ...], ratios: tuple[float, ...]) -> Tensor:
    """Corners (H * W * A, 4) around the middle of each cell of stride 16; a ratio is height by width, at the area of the size."""
    size, ratio = (t.flatten() for t in torch.meshgrid(torch.tensor(sizes), torch.tensor(ratios), indexing="ij"))
    w, h = size / ratio.sqrt(), size * ratio.sqrt()
    around = torch.stack([-w, -h, w, h], 1) / 2  # (A, 4)
    y, x = torch.meshgrid(torch.arange(height) + 0.5, torch.arange(width) + 0.5, indexing="ij")
    middles = torch.stack([x, y, x, y], -1) * STRIDE
    return (middles.unsqueeze(2) + around).flatten(0, 2)


def encode(boxes: Tensor, references: Tensor) -> Tensor:
    """The correction (..., 4) that turns references into boxes: shift by size, and logarithm of the factor of size (equation 2)."""
    size, other = references[..., 2:] - references[..., :2], boxes[..., 2:] - boxes[..., :2]
    shift = (boxes[..., :2] + boxes[..., 2:] - references[..., :2] - references[..., 2:]) / 2
    return torch.cat([shift / size, (other / size).log()], -1)


def decode(corrections: Tensor, references: Tensor) -> Tensor:
    """`encode` backwards."""
    size, middle = references[..., 2:] - references[..., :2], (references[..., :2] + references[..., 2:]) / 2
    middle = middle + corrections[..., :2] * size
    half = size * corrections[..., 2:].clamp(max=LARGEST).exp() / 2
    return torch.cat([middle - half, middle + half], -1)


def overlaps(boxes: Tensor, targets: Tensor) -> Tensor:
    """IoU (N, B, M) of boxes (N, B, 4) with targets (N, M, 6); -1 with those that are none."""
    iou = ops().box_iou(boxes, targets[..., :4])
    return iou.masked_fill(targets[:, None, :, 4] < 0, -1.0)


def assign_anchors(iou: Tensor) -> tuple[Tensor, Tensor]:
    """Which anchors (N, B) are objects, and which background, by their overlaps (N, B, M): from 0.7 on, or an object's best one."""
    best = iou.amax(2)
    most = iou.amax(1, keepdim=True)
    objects = (best >= RPN_OBJECT) | ((iou == most) & (most > 0)).any(2)
    return objects, (best < RPN_BACKGROUND) & ~objects


def sample(objects: Tensor, background: Tensor, count: int, share: float) -> tuple[Tensor, Tensor]:
    """At most `count` of each row of (N, B), drawn at random: up to `share` of objects, the rest of background."""

    def draw(among: Tensor, most: Tensor) -> Tensor:
        keys = torch.rand(among.shape, device=among.device).masked_fill(~among, -1.0)
        rank = keys.argsort(1, descending=True).argsort(1)
        return among & (rank < most)

    chosen = draw(objects, torch.full_like(objects[:, :1], int(count * share), dtype=torch.long))
    return chosen, draw(background, count - chosen.sum(1, keepdim=True))


class FasterRCNN(Detector):
    """N images, B anchors, P proposals, D channels, K classes."""

    def __init__(
        self,
        shape: Shape,
        frozen: int,
        width: int,
        sizes: tuple[float, ...],
        ratios: tuple[float, ...],
        hidden: int,
        dropout: float,
        floor: float,
        iou: float,
        most: int,
    ) -> None:
        super().__init__()
        self.backbone = Backbone(frozen)
        self.sizes, self.ratios, self.classes = sizes, ratios, shape.outputs
        self.floor, self.iou, self.most = floor, iou, most
        count = len(sizes) * len(ratios)
        self.middle = nn.Conv2d(CHANNELS[0], width, 1)
        self.top = nn.Conv2d(CHANNELS[1], width, 1)
        self.propose = nn.Sequential(nn.Conv2d(width, width, 3, padding=1), nn.ReLU())
        self.objectness = nn.Conv2d(width, count, 1)
        self.corrections = nn.Conv2d(width, 4 * count, 1)
        self.judge = nn.Sequential(
            nn.Flatten(), nn.Linear(width * ROI**2, hidden), nn.ReLU(), nn.Dropout(dropout), nn.Linear(hidden, hidden), nn.ReLU()
        )
        self.labels = nn.Linear(hidden, shape.outputs + 1)  # the last one is background
        self.boxes = nn.Linear(hidden, 4 * shape.outputs)
        for layer in (self.objectness, self.corrections, self.labels, self.boxes):
            nn.init.normal_(layer.weight, std=0.01)
            nn.init.zeros_(layer.bias)  # type: ignore[arg-type]

    def stem(self, images: Tensor) -> Tensor:
        return self.backbone.stem(images)

    def first_stage(self, stem: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Features (N, D, H, W), anchors (B, 4), their logits (N, B) and corrections (N, B, 4)."""
        middle, top = self.backbone(stem)
        features = self.middle(middle) + F.interpolate(self.top(top), scale_factor=2.0, mode="nearest")
        hidden = self.propose(features)
        logits = self.objectness(hidden).permute(0, 2, 3, 1).flatten(1).float()
        corrections = self.corrections(hidden).permute(0, 2, 3, 1).reshape(len(stem), -1, 4).float()
        height, width = features.shape[-2:]
        boxes = anchors(height, width, self.sizes, self.ratios).to(stem.device)
        return features.float(), boxes, logits, corrections

    @torch.no_grad()
    def proposals(self, anchors: Tensor, logits: Tensor, corrections: Tensor, size: tuple[int, int]) -> Tensor:
        """Regions (N, P, 4) within the image, best first; rows of no area where there are fewer."""
        best, where = logits.topk(min(CANDIDATES, logits.shape[1]), 1)
        picked = corrections.gather(1, where.unsqueeze(-1).expand(-1, -1, 4))
        boxes = clip(decode(picked, anchors[where]), *size)  # (N, C, 4)
        # Slivers at the border are no regions.
        large = ((boxes[..., 2:] - boxes[..., :2]) >= 2).all(-1)
        best = best.masked_fill(~large, -torch.inf)
        image = torch.arange(len(boxes), device=boxes.device).unsqueeze(1).expand_as(best)
        kept = ops().batched_nms(boxes.flatten(0, 1), best.flatten(), image.flatten(), RPN_IOU)
        survived = torch.zeros_like(large).flatten().index_fill(0, kept, True).view_as(large)
        best = best.masked_fill(~survived, -torch.inf)
        best, first = best.topk(min(PROPOSALS, best.shape[1]), 1)
        regions = boxes.gather(1, first.unsqueeze(-1).expand(-1, -1, 4)) * best.isfinite().unsqueeze(-1)
        return F.pad(regions, (0, 0, 0, PROPOSALS - regions.shape[1]))

    def second_stage(self, features: Tensor, image: Tensor, regions: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (R, K + 1) and corrections (R, K, 4) of regions (R, 4) of the images (R,)."""
        rois = torch.cat([image.unsqueeze(1).to(regions.dtype), regions], 1)
        # One sample a bin: a bin is larger than a cell of the features only in regions over 112 pixels.
        cut = ops().roi_align(features, rois, ROI, 1 / STRIDE, sampling_ratio=1, aligned=True)
        hidden = self.judge(cut)
        return self.labels(hidden).float(), self.boxes(hidden).float().unflatten(1, (self.classes, 4))

    def losses(self, features: Tensor, targets: Tensor) -> dict[str, Tensor]:
        maps, boxes, logits, corrections = self.first_stage(features)
        size = (maps.shape[-2] * STRIDE, maps.shape[-1] * STRIDE)
        regions = self.proposals(boxes, logits.detach(), corrections.detach(), size)
        # The objects themselves are regions to learn from, before any proposal is good.
        regions = torch.cat([regions, targets[..., :4]], 1)
        image, place, label, truth = self.choose(regions, targets)
        said, moved = self.second_stage(maps, image, regions[image, place])
        return rpn_losses(boxes, logits, corrections, targets) | roi_losses(said, moved, regions[image, place], label, truth)

    @torch.no_grad()
    def choose(self, regions: Tensor, targets: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """A sample of regions (N, P, 4): their image, place, label (background: K) and object, of shapes (R,) and (R, 4)."""
        best, which = overlaps(regions, targets).max(2)
        there = (regions[..., 2:] > regions[..., :2]).all(-1)
        objects, background = sample((best >= ROI_OBJECT) & there, (best < ROI_OBJECT) & there, ROI_SAMPLE, ROI_SHARE)
        image, place = (objects | background).nonzero(as_tuple=True)
        truth = targets[image, which[image, place]]
        label = truth[:, 4].long().masked_fill(~objects[image, place], self.classes)
        return image, place, label, truth[:, :4]

    def candidates(self, features: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
        """Every region's box for each class, and its score: (N, P, K, 4), (N, P, K)."""
        maps, boxes, logits, corrections = self.first_stage(features)
        regions = self.proposals(boxes, logits, corrections, size)
        image = torch.arange(len(regions), device=regions.device).repeat_interleave(PROPOSALS)
        said, moved = self.second_stage(maps, image, regions.flatten(0, 1))
        corners = decode(moved / moved.new_tensor(SCALES), regions.flatten(0, 1).unsqueeze(1))
        there = (regions[..., 2:] > regions[..., :2]).all(-1)
        scores = said.softmax(-1)[:, : self.classes].unflatten(0, regions.shape[:2]) * there.unsqueeze(-1)
        return clip(corners, *size).unflatten(0, regions.shape[:2]), scores


def rpn_losses(anchors: Tensor, logits: Tensor, corrections: Tensor, targets: Tensor) -> dict[str, Tensor]:
    """Equation 1, both parts divided by the size of the sample, which weighs them as its lambda of 10 does."""
    with torch.no_grad():
        iou = overlaps(anchors.expand(len(targets), -1, -1), targets)
        objects, background = sample(*assign_anchors(iou), RPN_SAMPLE, RPN_SHARE)
        image, place = objects.nonzero(as_tuple=True)
        truth = targets[image, iou[image, place].argmax(1), :4]
        count = (objects | background).sum().clamp(min=1)
    chosen = objects | background
    judged = F.binary_cross_entropy_with_logits(logits[chosen], objects[chosen].float(), reduction="sum")
    moved = F.smooth_l1_loss(corrections[image, place], encode(truth, anchors[place]), beta=1 / 9, reduction="sum")
    return {"rpn_class": judged / count, "rpn_box": moved / count}


def roi_losses(said: Tensor, moved: Tensor, regions: Tensor, label: Tensor, truth: Tensor) -> dict[str, Tensor]:
    """Cross-entropy over classes and background, and smooth L1 of the correction of the object's own class (Fast R-CNN, equation 1)."""
    objects = (label < moved.shape[1]).nonzero()[:, 0]
    aim = encode(truth[objects], regions[objects]) * moved.new_tensor(SCALES)
    distance = F.smooth_l1_loss(moved[objects, label[objects]], aim, reduction="sum")
    return {"class": F.cross_entropy(said, label), "box": distance / max(len(label), 1)}


def build(
    shape: Shape,
    *,
    frozen: Frozen = 14,
    width: PositiveInt = 128,
    sizes: tuple[PositiveFloat, ...] = (32.0, 64.0, 128.0),
    ratios: tuple[PositiveFloat, ...] = (0.5, 1.0, 2.0),
    hidden: PositiveInt = 512,
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.3,
    floor: Annotated[float, Field(gt=0, lt=1)] = 0.01,
    iou: Annotated[float, Field(gt=0, le=1)] = 0.45,
    most: PositiveInt = 100,
) -> FasterRCNN:
    """`frozen`: blocks of the backbone that do not learn; `width`: channels of the features; `sizes` in pixels and `ratios` of the
    anchors; `hidden`: of the second stage. `floor`, `iou`, `most`: which detections are kept (`models.boxes.suppress`)."""
    return FasterRCNN(shape, frozen, width, sizes, ratios, hidden, dropout, floor, iou, most)
