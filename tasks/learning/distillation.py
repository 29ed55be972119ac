"""Learning from a teacher's answers in place of labels (Hinton et al. 2015, Distilling the knowledge in a neural network).

The teacher sees each augmented image that the student sees, as Beyer et al. (2022, Knowledge distillation: a good teacher is patient and
consistent) found to be best: a crop without its object then gets an answer of its own, and not the label of the whole.
"""

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tasks.common.errors import Error
from tasks.datasets.data import Info
from tasks.learning import weights
from tasks.learning.training import Updates
from tasks.params.experiment import Student


class Taught(nn.Module):
    """A classifier with a training step of its own: its answers are to be the teacher's."""

    def __init__(self, network: nn.Module, teacher: nn.Module, temperature: float, mirrored: bool = False) -> None:
        super().__init__()
        self.network, self.temperature, self.mirrored = network, temperature, mirrored
        # In a tuple, so that it is no part of the student: of its weights, its average, its checkpoints, its training mode.
        self._teacher = (teacher.eval(),)

    def parts(self) -> dict[str, nn.Module]:
        return {"network": self.network}

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.network(x)
        return out

    def training_step(self, inputs: Tensor, targets: Tensor, updates: Updates) -> dict[str, Tensor]:
        """Cross-entropy with the teacher's probabilities, both at the temperature, times its square (section 2). No label is used."""
        with torch.no_grad():
            logits = self._teacher[0](inputs).float()
            if self.mirrored:
                logits = (logits + self._teacher[0](inputs.flip(3)).float()) / 2
            answers = F.softmax(logits / self.temperature, 1)
        loss = F.cross_entropy(self.network(inputs).float() / self.temperature, answers) * self.temperature**2
        updates["network"](loss)
        return {"loss": loss}


def taught(network: nn.Module, teacher: Path, student: Student, info: Info, device: torch.device) -> Taught:
    """The network as the student of the one in the weights file `teacher`.

    Raises Error for weights that are missing, for a teacher of other data, whose answers mean other classes or may hold what is
    test data here, for one that has seen the student's validation data, and for a network that does not learn by one loss.
    """
    if hasattr(network, "training_step"):
        raise Error("a network with a training step of its own can be no student; let it be one of `experiments`")
    answering, configuration = weights.load(teacher, device)
    again = f"train it again: dvc repro train@{configuration.experiment}"
    if configuration.data_hash != info.hash:
        raise Error(f"{teacher}: trained on other data ({configuration.data_hash}, not {info.hash}); {again}")
    if student.train.split == "train" and configuration.split != "train":
        raise Error(f"{teacher}: its network may have seen validation (split: {configuration.split}), so split must be train+val")
    return Taught(network, answering, student.teacher.temperature, student.teacher.mirrored)
