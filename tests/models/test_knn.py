"""Nearest neighbours against scikit-learn's, and the choice of k."""

import numpy as np
import pytest
import torch
from sklearn.neighbors import KNeighborsClassifier

import models
from models import Shape
from models.knn import NearestNeighbours

SHAPE = Shape(1, 3, 4)


def remembered(distance: str = "euclidean", count: int = 60) -> tuple[NearestNeighbours, torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    labels = torch.arange(count) % 3
    images = torch.randint(0, 256, (count, 1, 4, 4)) / 255
    images[:, 0, 0, 0] = labels / 2
    network = models.build("knn", SHAPE, {"distance": distance, "candidates": (1, 3, 5)})
    assert isinstance(network, NearestNeighbours)
    network.training_step(images, labels, {})
    return network, images, labels


@pytest.mark.parametrize("distance", ["euclidean", "cosine"])
def test_votes_are_those_of_scikit_learn(distance: str) -> None:
    network, images, labels = remembered(distance)
    queries = torch.randint(0, 256, (25, 1, 4, 4)) / 255
    flat, known = (x.flatten(1).double().numpy() for x in (queries, images))
    if distance == "cosine":
        flat, known = (x - x.mean(1, keepdims=True) for x in (flat, known))
    for k in (1, 3, 5):
        network.k = torch.tensor(k)
        reference = KNeighborsClassifier(k, metric=distance, algorithm="brute").fit(known, labels.numpy())
        shares = reference.predict_proba(flat)
        expected = (shares * k + 1) / (k + 3)
        np.testing.assert_allclose(network(queries).exp().numpy(), expected, atol=0.06)


def test_equal_votes_go_to_the_nearest() -> None:
    network = models.build("knn", Shape(1, 2, 1), {"candidates": (2,), "folds": 2})
    network.training_step(torch.tensor([0.1, 0.9]).view(2, 1, 1, 1), torch.tensor([0, 1]), {})  # type: ignore[operator]
    assert network(torch.tensor([0.2, 0.8]).view(2, 1, 1, 1)).argmax(1).tolist() == [0, 1]


def test_k_is_the_best_of_cross_validation() -> None:
    network, images, labels = remembered()
    row = network.training_step(images, labels, {})
    accuracies = {k: float(row[f"accuracy_k{k}"]) for k in (1, 3, 5)}
    assert int(network.k) == max(accuracies, key=accuracies.__getitem__)
    # By hand: five folds of twelve, each against the other 48.
    flat = images.flatten(1).numpy()
    right = 0
    for fold in np.array_split(np.arange(60), 5):
        others = np.setdiff1d(np.arange(60), fold)
        reference = KNeighborsClassifier(1).fit(flat[others], labels.numpy()[others])
        right += (reference.predict(flat[fold]) == labels.numpy()[fold]).sum()
    assert accuracies[1] == pytest.approx(right / 60)


def test_a_remembered_image_finds_itself() -> None:
    network, images, labels = remembered()
    network.k = torch.tensor(1)
    assert torch.equal(network(images).argmax(1), labels)


def test_it_is_loaded_with_as_many_images_as_were_saved() -> None:
    network, images, _ = remembered()
    other = models.build("knn", SHAPE, {"candidates": (1, 3, 5)})
    other.load_state_dict(network.state_dict())
    assert torch.equal(other(images), network(images))
