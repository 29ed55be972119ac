"""Promote a result: its weights become ones that git carries, `python -m tasks.promote EXPERIMENT [--name NAME]`.

models/weights/NAME.safetensors holds the network of the first seed, with its card in the file's header; NAME.json is the same card with
the file's hash, for people. What annotates and finds photographs takes these by default, so that it works offline in a clean clone. What a
network's user does not need stays out of its file, or what a package carries (`tasks.light`).
"""

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from safetensors import safe_open
from safetensors.torch import save_file

from tasks import config, light
from tasks.common.errors import Error
from tasks.common.files import atomic, sha256, write_json
from tasks.faces import centerface
from tasks.learning import weights
from tasks.learning.pretrained import SOURCES
from tasks.profile import Profile

# What a card keeps of metrics.json.
KEPT = ("dataset", "n_train", "n_val", "n_test", "data_origin", "metrics", "val_metrics", "parameters", "epochs", "git_commit")
# Of networks whose own trainer knows the weights that they begin at.
CENTERFACE = {"source": "package", "files": [centerface.FILE], "licence": "MIT"}
BEGUN = {"centerface": CENTERFACE, "averaged_centerface": CENTERFACE}
# Git carries every version for ever.
LARGEST = 16 << 20
# Files of more bytes than this are halved.
SMALL = 1 << 20


def promote(profile: Profile, experiment: str, name: str | None = None, half: bool | None = None, to: Path | None = None) -> Path:
    """Write the weights and the card of an evaluated experiment under `name`, and return the weights' path.

    `half`: weights in fp16, half the size; by default where they have more than a megabyte. `to`: another folder than models/weights.
    Raises Error for an experiment that is unknown, not evaluated, or evaluated with other weights, and for weights too large for git.
    """
    chosen = profile.experiment(experiment)
    folder = profile.results(experiment)
    metrics, training = _read(folder / "metrics.json", experiment), _read(folder / "training.json", experiment)
    if (metrics["git_commit"], metrics["train_seconds"]) != (training["git_commit"], training["train_seconds"]):
        raise Error(f"{folder / 'metrics.json'}: measured with other weights than these; run: dvc repro evaluate@{experiment}")
    seed = training["seeds"][0]
    source = profile.weights(experiment, seed)
    network, configuration = weights.load(source)
    prepared = _read(profile.evaluated(experiment) / "dataset.json", experiment)
    card = {
        "experiment": experiment,
        "profile": profile.name,
        "network": chosen.network,
        "architecture": chosen.architecture,
        "classes": list(configuration.classes),
        "seed": seed,
        "licence": {"weights": "AGPL-3.0-or-later, as the code", "data": prepared["licence"]},
        **{key: metrics[key] for key in KEPT},
    }
    if begun := [SOURCES[str(module.pretrained)].file for module in network.modules() if hasattr(module, "pretrained")]:
        card["pretrained"] = {"source": metrics.get("pretrained", "none"), "files": begun}
    elif chosen.network in BEGUN:
        card["pretrained"] = BEGUN[chosen.network]
    # Written by a stage of its own where the network is one that says how sure it is.
    if (calibration := folder / "calibration.json").exists():
        card["calibration"] = _read(calibration, experiment)
    half = source.stat().st_size > SMALL if half is None else half
    path = (to or profile.root / "models" / "weights") / f"{name or experiment}.safetensors"
    if (size := source.stat().st_size // (2 if half else 1)) > LARGEST:
        raise Error(f"{source}: {size / 2**20:.0f} MB, over the {LARGEST >> 20} MB that git is given; promote a smaller network")
    # Another training of the experiment that the file is named after.
    known = profile.params.experiments.get(name or experiment)
    if known and (known.network, known.architecture, known.data) == (chosen.network, chosen.architecture, chosen.data):
        configuration = configuration.model_copy(update={"experiment": name or experiment})
    kept = light.split(network, light.LEFT_OUT.get(configuration.task, ()))
    weights.save(path, kept, configuration, card, half)
    write_json(path.with_suffix(".json"), {"sha256": sha256(path), **card})
    return path


def recalibrate(profile: Profile, experiment: str, name: str | None = None, to: Path | None = None) -> Path:
    """Put an experiment's calibration into the card of its weights under `name`, which were promoted before, and return the weights' path.

    The weights stay as they are, to the last bit: only the file's header is another. `to`: another folder than models/weights. Raises
    Error for an experiment that is not calibrated, and for weights that are not there or are those of another training.
    """
    folder = profile.results(experiment)
    calibration, training = _read(folder / "calibration.json", experiment), _read(folder / "training.json", experiment)
    path = weights.verified((to or profile.root / "models" / "weights") / f"{name or experiment}.safetensors")
    with safe_open(path, framework="pt") as file:
        metadata, tensors = file.metadata(), {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (no mapping)
    card = weights.card(path)
    if (card.get("experiment"), card.get("git_commit")) != (experiment, training["git_commit"]):
        raise Error(f"{path}: not the weights that {folder} is about; promote them: python -m tasks.promote {experiment}")
    card["calibration"] = calibration
    with atomic(path) as temporary:
        save_file(tensors, temporary, metadata={**metadata, "card": json.dumps(card, allow_nan=False)})
    write_json(path.with_suffix(".json"), {"sha256": sha256(path), **card})
    return path


def retire(path: Path, to: str) -> Path:
    """Keep what opens files of a promoted codec, weights at `path`, under the name `to` beside it, and return that path.

    Another codec may then be promoted in its place, and files of before are still opened. Raises Error for weights that write no files.
    """
    task = weights.configuration(weights.verified(path)).task
    if task not in light.WRITING:
        raise Error(f"{path}: weights of the task {task}, which writes no files; those of {', '.join(light.WRITING)} do")
    kept = path.with_stem(to)
    with safe_open(path, framework="pt") as file:
        names = [name for name in file.keys() if name.split(".")[0] not in light.WRITING[task]]  # noqa: SIM118 (no mapping)
        tensors, metadata = {name: file.get_tensor(name) for name in names}, file.metadata()
    with atomic(kept) as temporary:
        save_file(tensors, temporary, metadata=metadata)
    write_json(kept.with_suffix(".json"), {"sha256": sha256(kept), **weights.card(kept)})
    return kept


def _read(path: Path, experiment: str) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise Error(f"{path}: no such file; evaluate the experiment first: dvc repro evaluate@{experiment}") from None
    return found


def main(
    experiment: Annotated[str, typer.Argument(help="a key of `experiments` in params.yaml, trained and evaluated before")],
    name: Annotated[str | None, typer.Option(help="of the file in models/weights; the experiment's by default")] = None,
    half: Annotated[bool | None, typer.Option(help="weights in fp16, half the size; by default above a megabyte")] = None,
    calibration: Annotated[
        bool, typer.Option("--calibration", help="only the calibration, into weights promoted before")
    ] = False,
    retires: Annotated[
        str | None, typer.Option("--retire", metavar="NEW", help="only keep what opens a promoted codec's files, under this name")
    ] = None,
) -> None:
    """Copy an experiment's weights (of its first seed) to models/weights, with a card: data, metrics, calibration, licence, hash."""
    profile = config.load()
    if retires:
        path = retire(profile.root / "models" / "weights" / f"{name or experiment}.safetensors", retires)
    else:
        path = recalibrate(profile, experiment, name) if calibration else promote(profile, experiment, name, half)
    print(
        f"promoted {experiment}: {path} ({path.stat().st_size / 2**20:.1f} MB); commit it with {path.stem}.json", file=sys.stderr
    )


if __name__ == "__main__":
    from tasks.common.cli import run

    run(main)
