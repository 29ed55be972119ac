"""Images on their way into a network and out of it."""

from collections.abc import Callable

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from tasks.datasets.data import Data
from tasks.learning.tensors import predict, to_bytes, to_float
from tasks.profile import Profile
from tests.tasks.training import ready

MakeProfile = Callable[..., Profile]


@given(st.lists(st.integers(0, 255), min_size=12, max_size=12))
def test_bytes_survive_the_way_through_floats(values: list[int]) -> None:
    images = torch.tensor(values, dtype=torch.uint8).view(1, 2, 2, 3)
    assert np.array_equal(to_bytes(to_float(images)), images.numpy())


def test_predictions_do_not_depend_on_the_batch(make_profile: MakeProfile) -> None:
    profile = make_profile()
    network = ready(profile, "classes").network
    images = Data(profile.processed("tiny-classes"), "val").images
    whole = predict(network, images, precision="fp32")
    assert whole.shape == (24, 3)
    np.testing.assert_allclose(predict(network, images, batch_size=7, precision="fp32"), whole, atol=1e-5)
