"""Look inside a network with a photograph of one's own: `python -m tasks.look saliency NETWORK PHOTOGRAPH OUT`.

NETWORK is an experiment that is trained here, or weights that came along, such as `squeezenet`. OUT is a PNG file of the photograph's size;
what was done stands beside it as JSON.
"""

import difflib
import sys
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer

from tasks import config
from tasks.apply import read
from tasks.common import devices
from tasks.common.errors import Error
from tasks.common.files import sha256, write_json
from tasks.imaging.images import Undecodable, as_channels, center_square, resize, write_png
from tasks.inside import CLASSIFIERS, maps
from tasks.inside.saliency import shown
from tasks.learning import weights
from tasks.learning.tensors import predict, to_float
from tasks.params.params import known_to_user
from tasks.params.study import EMBEDDED, embedded_classifiers
from tasks.profile import Profile

# Pixels of a side that may be asked for. Below, networks have no features left; above, maps take minutes and gigabytes.
SMALLEST, LARGEST = 16, 1024
FIVE = 5
app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.callback()
def _commands() -> None:
    """Look inside a network with a photograph of one's own."""


def find_network(profile: Profile, name: str) -> tuple[torch.nn.Module, weights.Configuration, Path]:
    """A classifier by the name of an experiment that is trained here, or of weights that came along, and its file.

    Raises Error for an unknown name, an experiment that is not trained, and a network that is no classifier.
    """
    path = EMBEDDED / f"{name}.safetensors"
    if name in profile.params.experiments and (profile.weights(name).is_file() or not path.is_file()):
        path = profile.weights(name)
        if not path.is_file():
            raise Error(f"{path}: {name} is not trained; train it: dvc repro train@{name}; or take squeezenet")
    else:
        known_to_user(name, sorted({*profile.params.experiments, *embedded_classifiers()}), "network")
    network, configuration = weights.load(weights.verified(path), devices.choose(profile.params.device))
    if configuration.task != CLASSIFIERS:
        raise Error(f"{name}: no classifier, so it has no scores of classes; take squeezenet, or an experiment that classifies")
    return network.requires_grad_(False), configuration, path


def find_class(configuration: weights.Configuration, name: str) -> int:
    """The number of a class, by its name in any case. Raises Error, with the nearest names, for one that the network does not have."""
    names = [known.lower() for known in configuration.classes]
    if name.lower() in names:
        return names.index(name.lower())
    words = [known for known in names if name.lower() in known.split()]
    near = [*dict.fromkeys([*words, *difflib.get_close_matches(name.lower(), names, FIVE)])][:FIVE]
    offered = ", ".join(configuration.classes[names.index(one)] for one in near) or ", ".join(configuration.classes[:FIVE])
    raise Error(f"{name}: no class of {configuration.experiment}; the nearest of its {len(names)} are {offered}")


def saliency(
    profile: Profile,
    network: str,
    photograph: Path,
    out: Path,
    label: str | None = None,
    method: str = "gradient",
    size: int | None = None,
    settings: maps.Settings = maps.DEFAULT,
) -> dict[str, Any]:
    """Write the map of a photograph's middle square, and return what was done, as it stands beside the picture.

    `label`: the class that is explained, the most probable one by default. `size`: pixels of a side of what the network sees, its own
    by default. Raises Error for what does not exist or does not fit, before any work.
    """
    known_to_user(method, maps.METHODS, "method")
    if out.suffix.lower() != ".png":
        raise Error(f"{out}: pictures are written as PNG; give a name that ends in .png")
    if out.resolve() == photograph.resolve():
        raise Error(f"{out}: the picture would replace the photograph; give another name")
    built, configuration, path = find_network(profile, network)
    wanted = size or configuration.size
    if not SMALLEST <= wanted <= LARGEST:
        raise Error(f"size: {wanted}, but allowed are {SMALLEST} to {LARGEST} pixels")
    asked = None if label is None else find_class(configuration, label)
    try:
        pixels, _ = read(photograph.read_bytes())
    except FileNotFoundError:
        raise Error(f"{photograph}: no such file") from None
    except (Undecodable, OSError) as error:
        raise Error(f"{photograph}: {error}") from None
    square = as_channels(center_square(pixels, wanted), configuration.inputs)
    device = next(built.buffers()).device if not [*built.parameters()] else next(built.parameters()).device
    logits = torch.from_numpy(predict(built, square[None], device, precision="fp32"))[0]
    probabilities = logits.softmax(0)
    number = int(logits.argmax()) if asked is None else asked
    found = maps.in_batches(
        method, built, to_float(torch.tensor(square[None])).to(device), torch.tensor([number], device=device), settings
    )
    grey = shown(found[0].cpu().numpy())[..., None]
    side = min(pixels.shape[:2])
    out.parent.mkdir(parents=True, exist_ok=True)
    write_png(out, resize(np.repeat(grey, 3, axis=2), side, side))
    names = configuration.classes or tuple(map(str, range(configuration.outputs)))
    best = probabilities.argsort(descending=True)[:FIVE].tolist()
    done = {
        "study": "saliency",
        "network": network,
        "weights": sha256(path),
        "photograph": {
            "file": photograph.name,
            "sha256": sha256(photograph),
            "width": pixels.shape[1],
            "height": pixels.shape[0],
        },
        "size": wanted,
        "method": method,
        "class": names[number],
        "probability": float(probabilities[number]),
        "top": {names[i]: float(probabilities[i]) for i in best},
        "samples": settings.samples,
        "seed": settings.seed,
    }
    write_json(out.with_suffix(".json"), done)
    return done


@app.command("saliency")
def main(
    network: Annotated[str, typer.Argument(help="an experiment that is trained here, or embedded weights: squeezenet")],
    photograph: Annotated[Path, typer.Argument(help="a photograph of any size; its middle square is looked at")],
    out: Annotated[Path, typer.Argument(help="the map, a name.png; name.json beside it says what was done")],
    label: Annotated[
        str | None, typer.Option("--class", help="the class that is explained; the most probable by default")
    ] = None,
    method: Annotated[str, typer.Option(help=", ".join(maps.METHODS))] = "gradient",
    size: Annotated[int | None, typer.Option(help=f"pixels of a side that the network sees, {SMALLEST} to {LARGEST}")] = None,
    samples: Annotated[int, typer.Option(min=1, max=256, help="of SmoothGrad and integrated gradients")] = 16,
    seed: Annotated[int, typer.Option(min=0, help="of SmoothGrad's noise")] = 0,
) -> None:
    """Which pixels count for a network's answer: white ones count most."""
    settings = maps.Settings(samples, seed=seed)
    done = saliency(config.load(networks=False), network, photograph, out, label, method, size, settings)
    top = ", ".join(f"{name} {share:.2f}" for name, share in done["top"].items())
    print(f"{out}: {method} of {done['class']}; the network sees {top}", file=sys.stderr)


if __name__ == "__main__":
    from tasks.common.cli import run

    run(app)
