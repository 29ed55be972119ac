"""A fully connected classifier: [linear - ReLU - dropout?] x N - linear.

After the course's two-layer network (one hidden layer, 50 % on CIFAR-10) and its fully connected networks of any depth with
dropout (assignments 2 and 3 of EECS 498/598, Deep Learning for Computer Vision; 50 %). `backward: manual` takes the gradients
derived by hand (models/manual.py).
"""

from typing import Annotated

from pydantic import Field, PositiveInt
from torch import nn

from models import Shape
from models.layers import Init, initialise
from models.manual import Backward, Classifier, layers


def build(
    shape: Shape,
    *,
    widths: tuple[PositiveInt, ...] = (128,),
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0,
    init: Init = "kaiming",
    backward: Backward = "auto",
) -> nn.Module:
    """`widths`: units of each hidden layer. `dropout`: share of them that is silent in a step of training. `init`: how weights
    are drawn (`models.layers.initialise`). `backward`: gradients by autograd, or by hand."""
    kit = layers(backward)
    modules: list[nn.Module] = [nn.Flatten()]
    units = shape.inputs * shape.size**2
    for width in widths:
        modules += [kit.Linear(units, width), kit.ReLU()]
        modules += [nn.Dropout(dropout)] if dropout else []
        units = width
    network = Classifier(*modules, kit.Linear(units, shape.outputs), backward=backward)
    initialise(network, init)
    return network
