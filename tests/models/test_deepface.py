import pytest
import torch
from torch.nn import functional as F

from models.deepface import largest


@pytest.mark.parametrize(("height", "width"), [(44, 44), (5, 5), (6, 9), (13, 8)])
def test_the_largest_are_those_of_max_pooling(height: int, width: int) -> None:
    torch.manual_seed(0)
    x = torch.randn(2, 3, height, width).contiguous(memory_format=torch.channels_last)
    assert torch.equal(largest(x), F.max_pool2d(x, 5, 2))
    assert largest(x).is_contiguous(memory_format=torch.channels_last)
