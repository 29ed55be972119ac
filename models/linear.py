"""A linear classifier of the pixels: softmax regression or a support vector machine, by the loss that it is trained with.

After the course's linear classifiers (assignment 2 of EECS 498/598, Deep Learning for Computer Vision), which report 38 % on
CIFAR-10; some 39 to 41 % is what a linear map of pixels reaches. `backward: manual` takes the gradients derived by hand.
"""

from torch import nn

from models import Shape
from models.manual import Backward, Classifier, layers


def build(shape: Shape, *, backward: Backward = "auto") -> nn.Module:
    """`backward`: gradients by autograd, or by hand."""
    kit = layers(backward)
    linear = kit.Linear(shape.inputs * shape.size**2, shape.outputs)
    # As the course draws them: all classes start nearly alike.
    nn.init.normal_(linear.weight, std=1e-4)
    nn.init.zeros_(linear.bias)
    return Classifier(nn.Flatten(), linear, backward=backward)
