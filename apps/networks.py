"""The networks that the page offers: those trained here, and those that come with the code."""

import logging
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from torch import nn

import models
from tasks import carried, light
from tasks.common import devices
from tasks.common.errors import Error
from tasks.learning import weights
from tasks.profile import Profile


@dataclass(frozen=True)
class Choice:
    """Weights that the page offers."""

    path: Path
    experiment: str
    origin: str  # where they come from, for people
    data: str  # a key of `preprocess`, or the data set where the profile did not train them
    device: str

    def load(self) -> tuple[nn.Module, weights.Configuration]:
        """The network and its configuration, which stay in memory. Raises Error for a file that is gone, damaged or not ours."""
        try:
            written = self.path.stat().st_mtime_ns
        except FileNotFoundError:
            raise Error(f"the weights {self.path.name} of {self.origin} are gone; load the page again") from None
        return _load(self.path, written, self.device)

    def about(self) -> str:
        """One line: what the network is, and its parameters. Raises Error as `load` does."""
        network, c = self.load()
        return f"{models.about(c.network)} {models.count_parameters(network):,} parameters."

    def describe(self) -> str:
        """One line: experiment, profile, commit, data. Raises Error as `load` does."""
        network, c = self.load()
        commit = c.git_commit[:7] + ("-dirty" if c.git_commit.endswith("-dirty") else "")
        data = f"{self.data} (version {c.data_hash[:8]})"
        learned = f"trained on {data}" if models.count_parameters(network) else "nothing to train"
        return f"{c.experiment}, seed {c.seed} · {self.origin} · commit {commit} · {learned}"


@lru_cache(maxsize=4)
def _load(path: Path, written: int, device: str) -> tuple[nn.Module, weights.Configuration]:
    """`written`: when, so that weights of a later rebuild are read again."""
    return light.load(carried.verified(path), devices.choose(device))


def trained(profile: Profile, kind: str, every_seed: bool = False) -> dict[str, Choice]:
    """The networks of a kind of task that were trained here, by the name that the page shows: the first seed of each, or every one."""
    found = {}
    for name, experiment in profile.params.experiments.items():
        if profile.params.preprocess[experiment.data].task != kind:
            continue
        pattern = "*" if every_seed else str(experiment.seeds[0])
        files = sorted((profile.results(name) / "weights").glob(f"seed-{pattern}.safetensors"), key=_seed)
        for file in files:
            label = f"{name}, seed {_seed(file)}" if len(files) > 1 else name
            found[label] = Choice(file, name, f"profile {profile.name}", experiment.data, profile.params.device)
    return found


def embedded(
    profile: Profile, kind: str, fits: Callable[[weights.Configuration], bool] = lambda configuration: True
) -> dict[str, Choice]:
    """The networks of a kind of task that come with the code, by the name that the page shows; only headers of files are read."""
    found = {}
    for file in sorted((profile.root / "models" / "weights").glob("*.safetensors")):
        try:
            configuration = weights.configuration(file)
        except Error as error:
            logging.warning("left out: %s", error)
            continue
        if configuration.task == kind and fits(configuration) and not light.opens_only(file):
            card = weights.card(file)
            own = card.get("profile") == profile.name and configuration.experiment in profile.params.experiments
            data = profile.params.experiments[configuration.experiment].data if own else card.get("dataset", "data of elsewhere")
            origin = "embedded in the code"
            found[f"{file.stem} (embedded)"] = Choice(file, configuration.experiment, origin, data, profile.params.device)
    return found


def _seed(file: Path) -> int:
    return int(re.sub(r"\D", "", file.stem) or 0)
