"""A profile: a folder with a `params.yaml`, and where its files stand."""

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from tasks.common.errors import Error
from tasks.params.experiment import Experiment, Winner
from tasks.params.params import Params, known_to_user
from tasks.params.sweep import Sweep

# The name of the profile of the project's folder itself.
TOP = "sample"


@dataclass(frozen=True)
class Profile:
    """A folder with a `params.yaml`, and where its files stand."""

    folder: Path
    params: Params

    @cached_property
    def root(self) -> Path:
        """The project's folder."""
        return (self.folder / self.params.root).resolve()

    @property
    def name(self) -> str:
        return TOP if self.params.root == "." else self.folder.resolve().name

    def raw(self, dataset: str) -> Path:
        return self.folder / "data" / "raw" / dataset

    def processed(self, data: str) -> Path:
        return self.folder / "data" / "processed" / data

    def evaluated(self, experiment: str) -> Path:
        """Predictions on test: too large for git."""
        return self.folder / "data" / "evaluated" / experiment

    def results(self, experiment: str) -> Path:
        return self.folder / "results" / experiment

    def weights(self, experiment: str, seed: int | None = None) -> Path:
        """Where the trained weights of an experiment stand; those of its first seed by default."""
        chosen = self.experiment(experiment).seeds[0] if seed is None else seed
        return self.results(experiment) / "weights" / f"seed-{chosen}.safetensors"

    def state(self, step: str) -> Path:
        """Where what can be resumed is kept, outside the stages' outputs, which DVC deletes before a stage runs."""
        return self.root / "runs" / "state" / self.name / step

    def experiment(self, name: str) -> Experiment:
        """Raises Error for an unknown name, and for a winner whose sweep has not run."""
        known_to_user(name, self.params.experiments, "experiment")
        block = self.params.experiments[name]
        return self._winner(name, block) if isinstance(block, Winner) else block

    def _winner(self, name: str, winner: Winner) -> Experiment:
        path = self.results(winner.sweep) / "best.json"
        try:
            return winner.experiment(json.loads(path.read_bytes()), type(self.params.sweeps[winner.sweep].train))
        except FileNotFoundError:
            raise Error(f"{path}: no such file; {name} is the winner of a sweep: dvc repro sweep@{winner.sweep}") from None
        except (ValueError, KeyError) as error:
            raise Error(
                f"{path}: does not fit this version ({error}); run the sweep again: dvc repro sweep@{winner.sweep}"
            ) from None

    def sweep(self, name: str) -> Sweep:
        """Raises Error for an unknown name."""
        known_to_user(name, self.params.sweeps, "sweep")
        return self.params.sweeps[name]
