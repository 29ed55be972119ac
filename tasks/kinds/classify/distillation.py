"""Learning from a teacher's answers in place of labels (Hinton et al. 2015, Distilling the knowledge in a neural network).

The teacher sees each augmented image that the student sees, as Beyer et al. (2022, Knowledge distillation: a good teacher is patient and
consistent) found to be best: a crop without its object then gets an answer of its own, and not the label of the whole.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tasks.kinds.classify import Teacher


def loss(student: nn.Module, teacher: nn.Module, inputs: Tensor, settings: Teacher) -> Tensor:
    """Cross-entropy with the teacher's probabilities, both at the temperature, times its square (section 2). No label is used.

    `inputs`: float (N, C, H, W).
    """
    with torch.no_grad():
        logits = teacher(inputs).float()
        if settings.mirrored:
            logits = (logits + teacher(inputs.flip(3)).float()) / 2
        answers = F.softmax(logits / settings.temperature, 1)
    return F.cross_entropy(student(inputs).float() / settings.temperature, answers) * settings.temperature**2
