"""`params.yaml`, read once into typed, frozen models.

An unknown key, a missing one or a value out of range is refused before any work, naming the key and what is allowed:

    python -m tasks.config [PARAMS]        check a file, and say what is in it
"""

import difflib
import json
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from tasks.common.errors import Error
from tasks.datasets.sources import DATASETS
from tasks.params.block import Block, Name, Share
from tasks.params.experiment import LOSSES, Experiment, Published, Student, Train
from tasks.params.face_settings import Annotate
from tasks.params.preparation import Download, Prepare, PrepareClassify, PrepareDetect, PrepareTranslate
from tasks.params.spaces import Asha, Domain, Objective, Ray, Resources, found, replaced

# What a key of a sweep's space may not name: ASHA counts in epochs, and what was trained on chooses nothing.
FIXED = {
    "train.epochs": "ASHA counts in epochs, which are the same for all trials",
    "train.split": "trials are compared on validation",
}


class Sweep(Block):
    """A search for the best of many experiments: one of them with a space around it. See `tasks.params.spaces`."""

    system: Name = Field(description="the system of the published list that it rebuilds")
    data: Name = Field(description="a key of `preprocess`")
    network: Name = Field(description="a file of models/, without .py")
    architecture: dict[str, Any] = Field(description="the arguments of the network's `build` that are the same for all trials")
    train: Train = Field(description="the recipe of a trial; `epochs` is what a trial that ASHA does not stop gets")
    space: dict[str, Domain] = Field(min_length=1, description="place in architecture or train: where its value is looked for")
    objective: Objective
    trials: int = Field(ge=1, description="that train; those over `train.max_parameters` do not count")
    scheduler: Asha
    time_budget: float = Field(gt=0, description="seconds, those of all runs of a sweep that was interrupted together")
    seed: int = Field(ge=0)
    resources: Resources = Resources()
    concurrency: int | None = Field(None, ge=1, description="trials at once; null: as many as there are resources for")
    max_failed_share: Share = Field(0.2, description="of `trials`; when more fail, so does the sweep")
    published: tuple[Published, ...] = ()

    @model_validator(mode="after")
    def _space_fits(self) -> "Sweep":
        if self.scheduler.grace > self.train.epochs:
            raise ValueError(f"scheduler.grace: {self.scheduler.grace} is more than train.epochs, {self.train.epochs}")
        if self.train.split != "train":
            raise ValueError(f"train.split: {FIXED['train.split']}")
        _check_network(self.network, self.architecture)
        for key, domain in self.space.items():
            if not key.startswith(("architecture.", "train.")) or key in FIXED:
                why = FIXED.get(key, "a key of the space starts with architecture. or train.")
                raise ValueError(f"space.{key}: {why}")
            for value in domain.extremes():
                try:
                    self.variant({key: value})
                except ValidationError as error:
                    raise ValueError(f"space.{key}: {_explain_recipe(error)}") from None
                except ValueError as error:
                    raise ValueError(f"space.{key}: {error}") from None
        return self

    def variant(self, sampled: Mapping[str, Any]) -> tuple[dict[str, Any], Train]:
        """Architecture and recipe with sampled values in their places. Raises ValueError where they do not fit."""
        values: Any = {"architecture": self.architecture, "train": self.train.model_dump()}
        for key, value in sampled.items():
            values = replaced(values, key, value)
        _check_network(self.network, values["architecture"])
        return values["architecture"], Train.model_validate(values["train"])

    def base(self) -> dict[str, Any]:
        """The block's own values at the space's places, where all of them lie in their domains; otherwise empty."""
        values = {"architecture": self.architecture, "train": self.train.model_dump()}
        own = {key: found(values, key) for key in self.space}
        return own if all(domain.contains(own[key]) for key, domain in self.space.items()) else {}


def _check_network(network: str, architecture: Mapping[str, Any]) -> None:
    import models  # torch takes seconds to import

    models.check(network, architecture)


class Winner(Block):
    """The best of a sweep as an experiment of its own: `tasks.train` fits it from scratch."""

    system: Name = Field(description="the system of the published list that it rebuilds")
    sweep: Name = Field(description="a key of `sweeps`, whose best.json is read")
    train: dict[str, Any] = Field(description="changes to the winner's recipe, such as more epochs; {} for none")
    seeds: tuple[int, ...] = Field(min_length=1)
    published: tuple[Published, ...]

    def experiment(self, best: Mapping[str, Any]) -> Experiment:
        """The experiment that a sweep's best.json and the changes make."""
        train = _merged(best["train"], self.train)
        values = {key: best[key] for key in ("data", "network", "architecture")} | {"train": train}
        return Experiment.model_validate({**values, "system": self.system, "seeds": self.seeds, "published": self.published})


class Calibrate(Block):
    """What is chosen on validation for an experiment on faces: when its answer is uncertain, and which faces are flagged."""

    coverage: Share = Field(0.8, description="share of the validation faces that get an answer")
    loss: Share = Field(0.05, description="accuracy that faces lose by blur, or by smallness, from which on they are flagged")


class Params(Block):
    """All of a profile's `params.yaml`."""

    root: Literal[".", ".."] = Field(description="where the code stands, seen from this file's folder")
    device: str = Field(pattern=r"^(auto|cpu|cuda(:\d+)?|mps)$")
    download: dict[Name, Download]
    preprocess: dict[Name, Prepare]
    experiments: dict[Name, Experiment]
    calibrate: dict[Name, Calibrate] = Field({}, description="experiments on faces whose trust is measured")
    comparisons: dict[Name, tuple[Name, ...]] = Field(
        {}, description="experiments whose learning curves the report draws together"
    )
    annotate: dict[Name, Annotate] = Field({}, description="photographs whose faces are annotated")
    sweeps: dict[Name, Sweep] = Field({}, description="searches for the best of many experiments")
    winners: dict[Name, Winner] = Field({}, description="the best of a sweep each, as an experiment")
    students: dict[Name, Student] = Field({}, description="experiments that learn the answers of another one, not the labels")
    ray: Ray = Ray()

    @model_validator(mode="after")
    def _references_are_known(self) -> "Params":
        for name in self.download:
            _known(name, DATASETS, f"download.{name}", "data set")
        for name, options in self.download.items():
            if name != "coco-mini" and (options.train_images or options.val_images):
                raise ValueError(f"download.{name}: only coco-mini can be bounded by train_images and val_images")
        for name, prepare in self.preprocess.items():
            _known(prepare.dataset, self.download, f"preprocess.{name}.dataset", "key of `download`")
        blocks: dict[str, Experiment | Sweep] = {f"experiments.{name}": block for name, block in self.experiments.items()}
        blocks |= {f"students.{name}": block for name, block in self.students.items()}
        blocks |= {f"sweeps.{name}": block for name, block in self.sweeps.items()}
        for key, experiment in blocks.items():
            _known(experiment.data, self.preprocess, f"{key}.data", "key of `preprocess`")
            task = self.preprocess[experiment.data].task
            loss = experiment.train.loss
            if loss not in LOSSES[task]:
                allowed = " or ".join(LOSSES[task])
                raise ValueError(f"{key}.train.loss: {loss} does not fit {task} data; allowed: {allowed}")
            _detectors_detect(key, experiment, task)
            if loss == "hinge" and (experiment.train.augment.mixup or experiment.train.label_smoothing):
                raise ValueError(f"{key}.train: hinge loss takes neither mixup nor label_smoothing")
            self._augmentation_fits(key, experiment)
        self._names_are_unique()
        self._sweeps_fit()
        self._students_fit()
        for name, block in self.annotate.items():
            _known(block.source, self.download, f"annotate.{name}.source", "key of `download`")
        for name in self.calibrate:
            _known(name, self.experiments, f"calibrate.{name}", "experiment")
        for name, compared in self.comparisons.items():
            own = {**self.experiments, **self.students}
            for member in compared:
                _known(member, own, f"comparisons.{name}", "experiment")
            if len({own[member].data for member in compared}) > 1:
                raise ValueError(f"comparisons.{name}: its experiments are not all trained on the same data")
        return self

    def _names_are_unique(self) -> None:
        names = [*self.experiments, *self.sweeps, *self.winners, *self.students]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(
                f"{twice[0]}: the name of two of experiments, sweeps, winners and students, whose results would be in one folder"
            )

    def _sweeps_fit(self) -> None:
        for name, winner in self.winners.items():
            _known(winner.sweep, self.sweeps, f"winners.{name}.sweep", "sweep")
            try:
                Train.model_validate(_merged(self.sweeps[winner.sweep].train.model_dump(), winner.train))
            except ValidationError as error:
                raise ValueError(f"winners.{name}.{_explain_recipe(error)}") from None

    def _students_fit(self) -> None:
        for name, student in self.students.items():
            _known(student.teacher.experiment, self.experiments, f"students.{name}.teacher.experiment", "experiment")
            teacher = self.experiments[student.teacher.experiment]
            if teacher.data != student.data:
                raise ValueError(
                    f"students.{name}.data: {student.data}, but its teacher learned from {teacher.data}; take one of both"
                )
            if (teacher.train.split, student.train.split) == ("train+val", "train"):
                raise ValueError(f"students.{name}.train.split: its teacher has seen validation, so it must be train+val")

    def _augmentation_fits(self, key: str, experiment: Experiment | Sweep) -> None:
        """A turned picture has the turned target only where the filter has no direction of its own, as Sobel's magnitude."""
        prepare, augment = self.preprocess[experiment.data], experiment.train.augment
        if isinstance(prepare, PrepareTranslate) and prepare.target.filter == "random" and (augment.flip or augment.dihedral):
            raise ValueError(f"{key}.train.augment: a random filter does not turn with the picture; allowed here: crop")


def _detectors_detect(key: str, experiment: Experiment | Sweep, task: str) -> None:
    import models

    if models.detects(experiment.network) != (task == "detect"):
        detectors = ", ".join(n for n in models.names() if models.detects(n))
        raise ValueError(f"{key}.network: {experiment.network} does not fit {task} data; detectors are {detectors}")
    if getattr(models.module(experiment.network), "PRETRAINED", False) != (experiment.train.pretrained is not None):
        raise ValueError(
            f"{key}.train.pretrained: where the weights of {experiment.network}'s backbone come from, as "
            "{source: package}; needed for networks on a backbone, and for no others"
        )
    own, moved = ("scale", "shift", "views"), ("crop", "dihedral", "cutout", "mixup")
    given = experiment.train.augment.model_dump(exclude_defaults=True)
    if unfit := [key for key in given if key in (moved if task == "detect" else own)]:
        fit = "flip, jitter, scale, shift, views" if task == "detect" else "what is not for detect"
        raise ValueError(f"{key}.train.augment: {', '.join(unfit)} does not fit {task} data; allowed: {fit}")
    if experiment.train.trainer and models.trainer(experiment.network) is None:
        raise ValueError(f"{key}.train.trainer: {experiment.network} is trained by our own loop; leave it out")


def _known(name: str, known: Any, key: str, kind: str) -> None:
    if name not in known:
        near = difflib.get_close_matches(name, list(known), 1)
        hint = f"did you mean {near[0]}? " if near else ""
        raise ValueError(f"{key}: unknown {kind} {name!r}; {hint}allowed: {', '.join(known)}")


class Profile(BaseModel):
    """A folder with a `params.yaml`, and where its files stand."""

    model_config = ConfigDict(frozen=True)

    folder: Path
    params: Params

    @cached_property
    def root(self) -> Path:
        """The project's folder."""
        return (self.folder / self.params.root).resolve()

    @property
    def name(self) -> str:
        return "sample" if self.params.root == "." else self.folder.resolve().name

    def raw(self, dataset: str) -> Path:
        return self.folder / "data" / "raw" / dataset

    def processed(self, data: str) -> Path:
        return self.folder / "data" / "processed" / data

    def evaluated(self, experiment: str) -> Path:
        """Predictions on test: too large for git."""
        return self.folder / "data" / "evaluated" / experiment

    def results(self, experiment: str) -> Path:
        return self.folder / "results" / experiment

    def state(self, kind: str) -> Path:
        """Where what can be resumed is kept, outside the stages' outputs, which DVC deletes before a stage runs."""
        return self.root / "runs" / "state" / self.name / kind

    @property
    def experiments(self) -> list[str]:
        """The names of all experiments, those that a sweep found and those that another one teaches among them."""
        return [*self.params.experiments, *self.params.winners, *self.params.students]

    def experiment(self, name: str) -> Experiment:
        """Raises Error for an unknown name, and for a winner whose sweep has not run."""
        try:
            _known(name, self.experiments, "experiment", "experiment")
        except ValueError as error:
            raise Error(str(error)) from None
        if own := self.params.experiments.get(name) or self.params.students.get(name):
            return own
        winner = self.params.winners[name]
        path = self.results(winner.sweep) / "best.json"
        try:
            return winner.experiment(json.loads(path.read_bytes()))
        except FileNotFoundError:
            raise Error(f"{path}: no such file; {name} is the winner of a sweep: dvc repro sweep@{winner.sweep}") from None
        except (ValueError, KeyError) as error:
            raise Error(
                f"{path}: does not fit this version ({error}); run the sweep again: dvc repro sweep@{winner.sweep}"
            ) from None

    def sweep(self, name: str) -> Sweep:
        """Raises Error for an unknown name."""
        try:
            _known(name, self.params.sweeps, "sweep", "sweep")
        except ValueError as error:
            raise Error(str(error)) from None
        return self.params.sweeps[name]


def load(folder: Path | str = ".", changes: Mapping[str, Any] | None = None, experiments: bool = True) -> Profile:
    """Read `folder/params.yaml`. Raises Error that names each wrong key, and what is allowed there.

    `changes`: blocks like the file's, which replace what they name and leave the rest. `experiments`: whether they are read;
    without them nothing of torch is imported.
    """
    path = Path(folder) / "params.yaml"
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise Error(f"{path}: no such file; a profile is a folder with a params.yaml (see README)") from None
    except yaml.YAMLError as error:
        raise Error(f"{path}: not YAML: {error}") from None
    if changes:
        values = _merged(values, changes)
    if not experiments and isinstance(values, Mapping):
        values = {**values, "experiments": {}, "calibrate": {}, "comparisons": {}, "sweeps": {}, "winners": {}, "students": {}}
    try:
        return Profile(folder=Path(folder), params=Params.model_validate(values))
    except ValidationError as error:
        raise Error("\n".join(f"{path}: {_explain(e)}" for e in error.errors())) from None


def changes(folder: Path, name: str, overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Changes to an experiment, to the winner of a sweep or to a student, as `load` takes them."""
    params = load(folder).params
    section = "winners" if name in params.winners else "students" if name in params.students else "experiments"
    return {section: {name: overrides}}


def _merged(values: Any, changes: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(values) if isinstance(values, Mapping) else {}
    for key, change in changes.items():
        merged[key] = _merged(merged.get(key), change) if isinstance(change, Mapping) else change
    return merged


# The tags that pydantic puts into the location of a union's member are no keys of the file.
_TAGS = {"classify", "translate", "detect"}


def _explain(error: Any) -> str:
    location = [str(part) for part in error["loc"] if part not in _TAGS]
    key = ".".join(location)
    if error["type"] == "extra_forbidden":
        allowed = list(_fields_at(location[:-1]))
        near = difflib.get_close_matches(location[-1], allowed, 1)
        hint = f"did you mean {near[0]}? " if near else ""
        return f"{key}: unknown key; {hint}allowed: {', '.join(allowed)}"
    message = error["msg"].removeprefix("Value error, ")
    if error["type"] == "missing":
        message = "missing"
    elif error["type"] != "value_error":
        message = f"{message}, not {error['input']!r}"
    return f"{key}: {message}" if key else message


def _explain_recipe(error: ValidationError) -> str:
    """What is wrong in a recipe of its own, by its keys."""
    first = error.errors()[0]
    return _explain({**first, "loc": ("experiments", "-", "train", *first["loc"])}).removeprefix("experiments.-.")


_SECTIONS: dict[str, tuple[type[BaseModel], ...]] = {
    "download": (Download,),
    "preprocess": (PrepareClassify, PrepareTranslate, PrepareDetect),
    "experiments": (Experiment,),
    "sweeps": (Sweep,),
    "winners": (Winner,),
    "students": (Student,),
    "annotate": (Annotate,),
    "calibrate": (Calibrate,),
}


def _fields_at(location: list[str]) -> dict[str, None]:
    """The keys allowed at a place of the file, as an ordered set."""
    if not location:
        return dict.fromkeys(Params.model_fields)
    kinds: tuple[type[BaseModel], ...] = _SECTIONS.get(location[0], ())
    for part in location[2:]:
        kinds = tuple(m for kind in kinds if part in kind.model_fields for m in _models_in(kind.model_fields[part].annotation))
    return {field: None for kind in kinds for field in kind.model_fields}


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for argument in getattr(annotation, "__args__", ()) for model in _models_in(argument)]


def main(params: Path = Path("params.yaml")) -> None:
    """Check a params.yaml (unknown keys, missing ones, values out of range) and list what is in it."""
    profile = load(params.parent)
    for section in ("download", "preprocess", "experiments", "sweeps", "winners", "students", "annotate"):
        print(f"{section}: {', '.join(getattr(profile.params, section)) or '-'}")


if __name__ == "__main__":
    from tasks.common.cli import run

    run(main)
