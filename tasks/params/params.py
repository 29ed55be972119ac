"""All of a profile's `params.yaml`, and what its blocks ask of one another."""

import difflib
from collections.abc import Collection
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, ValidationError, ValidationInfo, model_validator

from tasks import kinds
from tasks.common.errors import Error
from tasks.datasets.sources import DATASETS
from tasks.params import explain
from tasks.params.block import Block, Name, Share
from tasks.params.experiment import NONE, AnyPrepare, Experiment, Winner, checks_networks, merged
from tasks.params.face_settings import Annotate
from tasks.params.preparation import Download
from tasks.params.recipe import Recipe
from tasks.params.spaces import WEIGHED, Ray
from tasks.params.study import Study
from tasks.params.sweep import Sweep


class Calibrate(Block):
    """What is chosen on validation for an experiment on faces: when its answer is uncertain, and which faces are flagged."""

    coverage: Share = Field(0.8, description="share of the validation faces that get an answer")
    loss: Share = Field(0.05, description="accuracy that faces lose by blur, or by smallness, from which on they are flagged")


def _form(block: Any) -> str:
    """Which of both an experiment's block is."""
    sweep = block.get("sweep", NONE) if isinstance(block, dict) else getattr(block, "sweep", NONE)
    return "<Experiment>" if sweep == NONE else "<Winner>"


AnyExperiment = Annotated[Annotated[Experiment, Tag("<Experiment>")] | Annotated[Winner, Tag("<Winner>")], Discriminator(_form)]


class Params(Block):
    """All of a profile's `params.yaml`."""

    root: Literal[".", ".."] = Field(description="where the code stands, seen from this file's folder")
    device: str = Field(pattern=r"^(auto|cpu|cuda(:\d+)?|mps)$")
    deterministic: bool = Field(False, description="ask torch for deterministic algorithms, which are slower on a GPU")
    defaults: dict[str, Any] = Field({}, description="keys that experiments take over by YAML's merge key, `<<: *defaults`")
    download: dict[Name, Download]
    preprocess: dict[Name, AnyPrepare]
    experiments: dict[Name, AnyExperiment]
    calibrate: dict[Name, Calibrate] = Field({}, description="experiments on faces whose trust is measured")
    comparisons: dict[Name, tuple[Name, ...]] = Field(
        {}, description="experiments whose learning curves the report draws together"
    )
    annotate: dict[Name, Annotate] = Field({}, description="photographs whose faces are annotated")
    sweeps: dict[Name, Sweep] = Field({}, description="searches for the best of many experiments")
    studies: dict[Name, Study] = Field({}, description="what is done with trained networks, and trains nothing")
    ray: Ray = Ray()

    @model_validator(mode="after")
    def _references_are_known(self, info: ValidationInfo) -> "Params":
        networks = checks_networks(info)
        for name, options in self.download.items():
            known(name, DATASETS, f"download.{name}", "data set")
            if name != "coco-mini" and (options.train_images or options.val_images):
                raise ValueError(f"download.{name}: only coco-mini can be bounded by train_images and val_images")
        for name, prepare in self.preprocess.items():
            known(prepare.dataset, self.download, f"preprocess.{name}.dataset", "key of `download`")
        self._names_are_unique()
        for name, sweep in self.sweeps.items():
            self._block_fits(f"sweeps.{name}", sweep, networks)
            if sweep.objective.metric != "loss":
                kinds.check_metric(self.kind(sweep.data), sweep.objective.metric, f"sweeps.{name}.objective.name", WEIGHED)
        for name, experiment in self.experiments.items():
            self._experiment_fits(f"experiments.{name}", experiment, networks)
        self._nothing_comes_after_itself()
        for name, block in self.annotate.items():
            known(block.source, self.download, f"annotate.{name}.source", "key of `download`")
        for name in self.calibrate:
            known(name, self.experiments, f"calibrate.{name}", "experiment")
        for name, study in self.studies.items():
            for key, network in study.networks().items():
                known(network, self.experiments, f"studies.{name}.{key}", "experiment")
        for name, compared in self.comparisons.items():
            for member in compared:
                known(member, self.experiments, f"comparisons.{name}", "experiment")
            if len({self.experiments[member].data for member in compared}) > 1:
                raise ValueError(f"comparisons.{name}: its experiments are not all trained on the same data")
        return self

    def kind(self, data: str) -> str:
        """The kind of task of a key of `preprocess`."""
        return self.preprocess[data].task

    def _names_are_unique(self) -> None:
        names = [*self.experiments, *self.sweeps, *self.studies]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(
                f"{twice[0]}: the name of two of experiments, sweeps and studies, whose results would be in one folder"
            )
        if NONE in names:
            raise ValueError(f"{NONE}: a name that means nothing; give another")

    def _experiment_fits(self, key: str, experiment: Experiment | Winner, networks: bool) -> None:
        for word in ("after", "judge"):
            if (other := getattr(experiment, word)) != NONE:
                known(other, self.experiments, f"{key}.{word}", "experiment")
                if f"experiments.{other}" == key:
                    raise ValueError(f"{key}.{word}: an experiment cannot name itself")
        for published in experiment.published:
            if experiment.data in self.preprocess:
                kinds.check_metric(self.kind(experiment.data), published.metric, f"{key}.published.metric")
        if isinstance(experiment, Winner):
            self._winner_fits(key, experiment, networks)
        else:
            self._block_fits(key, experiment, networks)
        self._predecessor_fits(key, experiment)

    def _block_fits(self, key: str, block: Experiment | Sweep, networks: bool) -> None:
        """Whether data, network and recipe of an experiment or a sweep go together."""
        known(block.data, self.preprocess, f"{key}.data", "key of `preprocess`")
        if not networks:
            return
        import models

        prepare = self.preprocess[block.data]
        kind, module = kinds.find(prepare.task), models.module(block.network)
        own = models.kind(block.network)
        if own != prepare.task and (own is not None or getattr(kind, "OWN_NETWORKS", False)):
            fitting = ", ".join(n for n in models.names() if models.kind(n) in (prepare.task, None)[: 1 + (own is not None)])
            raise ValueError(f"{key}.network: {block.network} does not fit {prepare.task} data; networks for it are {fitting}")
        if getattr(module, "PRETRAINED", False) != (block.train.pretrained is not None):
            raise ValueError(
                f"{key}.train.pretrained: where the weights of {block.network}'s backbone come from, as "
                "{source: package}; needed for networks on a backbone, and for no others"
            )
        if block.train.select != "loss":
            kinds.check_metric(prepare.task, block.train.select, f"{key}.train.select")
        for metric in block.train.early_stopping.metrics if block.train.early_stopping else ():
            kinds.check_metric(prepare.task, metric, f"{key}.train.early_stopping.metrics")
        try:
            kind.check(block, prepare, module)
        except ValueError as error:
            raise ValueError(f"{key}.{error}") from None

    def _winner_fits(self, key: str, winner: Winner, networks: bool) -> None:
        known(winner.sweep, self.sweeps, f"{key}.sweep", "sweep")
        sweep = self.sweeps[winner.sweep]
        for word in ("data", "network"):
            if getattr(winner, word) != getattr(sweep, word):
                raise ValueError(f"{key}.{word}: {getattr(winner, word)}, but its sweep has {getattr(sweep, word)}; take that")
        recipe = type(sweep.train)
        try:
            changed = recipe.model_validate(merged(sweep.train.model_dump(), winner.train))
        except ValidationError as error:
            raise ValueError(f"{key}.{explain.first(error, recipe, 'train')}") from None
        self._block_fits(key, sweep.model_copy(update={"train": changed}), networks)

    def _predecessor_fits(self, key: str, experiment: Experiment | Winner) -> None:
        if experiment.after == NONE:
            return
        before = self.experiments[experiment.after]
        if before.data != experiment.data:
            raise ValueError(
                f"{key}.data: {experiment.data}, but {experiment.after}, which comes before it, learned from {before.data}; take one of both"
            )
        split, theirs = (x.train.split if isinstance(x.train, Recipe) else x.train.get("split") for x in (experiment, before))
        if theirs == "train+val" and split != "train+val":
            raise ValueError(f"{key}.train.split: {experiment.after} has seen validation, so it must be train+val")

    def _nothing_comes_after_itself(self) -> None:
        for name in self.experiments:
            way = [name]
            while (before := self.experiments[way[-1]].after) != NONE:
                if before in way:
                    raise ValueError(
                        f"experiments.{name}.after: a circle: {' after '.join([*way, before])}; one of them has to come first"
                    )
                way.append(before)


def known(name: str, names: Collection[str], key: str, kind: str) -> None:
    """Raises ValueError, with the nearest name, for one that is not among `names`."""
    if name not in names:
        near = difflib.get_close_matches(name, list(names), 1)
        hint = f"did you mean {near[0]}? " if near else ""
        raise ValueError(f"{key}: unknown {kind} {name!r}; {hint}allowed: {', '.join(names)}")


def known_to_user(name: str, names: Collection[str], kind: str) -> None:
    """The same as an Error, for a name that a user typed."""
    try:
        known(name, names, kind, kind)
    except ValueError as error:
        raise Error(str(error)) from None
