"""What the training loop asks of classification: cross-entropy, the hinge loss, or a teacher's answers."""

from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from models import manual
from tasks import kinds
from tasks.common.errors import Error
from tasks.datasets.data import Info
from tasks.kinds.classify import distillation, metrics
from tasks.learning.objective import OneLoss
from tasks.learning.optimizers import Updates
from tasks.learning.tensors import autocast


class Objective(OneLoss):
    """Cross-entropy or hinge loss on logits (N, K), with a gradient by hand where the network's are."""

    falling = kinds.falling("classify")

    def __init__(self, recipe: Any, info: Info, network: nn.Module, precision: str, predecessor: nn.Module | None = None) -> None:
        """Raises Error for a student whose network has a training step of its own."""
        super().__init__(recipe, info, network, precision, predecessor)
        self.smoothing, self.classes = recipe.label_smoothing, len(info.classes)
        self.soft = recipe.augment.mixup > 0
        self.hinge = recipe.loss == "hinge"
        self.by_hand = any(isinstance(m, manual.Classifier) and m.backward == "manual" for m in network.modules())
        if recipe.teacher and hasattr(network, "training_step"):
            raise Error("a network with a training step of its own can be no student; leave out train.teacher and `after`")

    def step(self, inputs: Tensor, targets: Tensor, updates: Updates) -> dict[str, Tensor]:
        if self.recipe.teacher is None:
            return super().step(inputs, targets, updates)
        assert self.predecessor is not None
        with autocast(inputs.device, self.precision):
            loss = distillation.loss(self.network, self.predecessor, inputs, self.recipe.teacher)
            updates["network"](loss)
        return {"loss": loss.detach().float()}

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        scores = outputs.float()
        if self.hinge:
            return manual.hinge(scores, targets) if self.by_hand else F.multi_margin_loss(scores, targets) * self.classes
        function = manual.cross_entropy if self.by_hand else F.cross_entropy
        return function(scores, targets, label_smoothing=self.smoothing)

    def targets(self, raw: Tensor) -> Tensor:
        return F.one_hot(raw, self.classes).float() if self.soft else raw

    def metrics(self, outputs: Tensor, raw: Tensor) -> dict[str, float]:
        """The unsmoothed loss stands beside the measures, so that recipes compare."""
        loss = (F.multi_margin_loss(outputs, raw) * self.classes if self.hinge else F.cross_entropy(outputs, raw)).item()
        return {"loss": loss, **metrics.classify(outputs.cpu().numpy(), raw.cpu().numpy())}
