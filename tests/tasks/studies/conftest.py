"""A profile with an untrained classifier and one that begins at ImageNet's weights, and a study of it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tasks import config
from tasks.datasets import data as prepared
from tasks.learning import weights
from tasks.profile import Profile


@pytest.fixture
def make_study(make_profile: Callable[..., Profile]) -> Callable[..., Profile]:
    """Make a profile with the study `looked`; keyword arguments are its block's keys. `classes` has fresh weights of the right shape."""

    def make(**block: Any) -> Profile:
        profile = make_profile()
        path = Path(profile.folder / "params.yaml")
        params = yaml.safe_load(path.read_bytes())
        default = {"data": "tiny-classes", "network": "classes", "other": "none"}
        params["studies"] = {"looked": {**default, **block}}
        path.write_text(yaml.safe_dump(params))
        info = prepared.info(profile.processed("tiny-classes"))
        configuration = weights.Configuration(
            experiment="classes", task="classify", network="cnn", architecture={"widths": (8, 8)}, inputs=3, outputs=3, size=16,
            classes=info.classes, mean=info.mean, std=info.std, seed=0, git_commit="", data_hash=info.hash,
        )  # fmt: skip
        weights.save(profile.weights("classes"), configuration.build(), configuration)
        return config.load(profile.folder)

    return make
