"""A picture of what a network takes for a class."""

from pathlib import Path
from typing import Any

import torch

from tasks.common.errors import Error
from tasks.common.files import write_json
from tasks.imaging.images import write_png
from tasks.inside import ascent, backbones, visualisation, work
from tasks.inside.classes import find_class
from tasks.learning.tensors import to_bytes, to_float
from tasks.looks.asked import OTHER, check_out, check_size, find_network, record
from tasks.params.params import known_to_user
from tasks.profile import Profile

LARGEST, STEPS = 512, 2000


def visualise(
    profile: Profile,
    network: str,
    label: str,
    out: Path,
    prior: str = "fourier",
    steps: int = 128,
    size: int | None = None,
    seed: int = 0,
) -> dict[str, Any]:
    """Write the picture of a class, and return what was done. A work that was interrupted is gone on with.

    Raises Error for what does not exist or does not fit, before any work.
    """
    known_to_user(prior, ascent.PRIORS, "prior")
    check_out(out)
    if not 1 <= steps <= STEPS:
        raise Error(f"steps: {steps}, but allowed are 1 to {STEPS}")
    looked = find_network(profile, network)
    if looked.configuration.inputs != ascent.CHANNELS:
        raise Error(
            f"{network}: takes images of {looked.configuration.inputs} channel, and pictures of classes have 3; take squeezenet"
        )
    wanted = check_size(size or looked.configuration.size, largest=LARGEST)
    looked.check_size(wanted)
    number = find_class(looked.configuration, label)
    numbers = torch.tensor([number], device=looked.device)
    drawn = ascent.PRIORS[prior](looked.network, numbers, ascent.Settings(steps, wanted, seed=seed))
    asked = {
        "study": "class-visualisation", "network": network, "weights": looked.digest, "class": looked.names[number], "prior": prior,
        "steps": steps, "size": wanted, "seed": seed,
    }  # fmt: skip
    out.parent.mkdir(parents=True, exist_ok=True)
    began = work.finish(drawn, looked.names[number], record(out), asked)
    picture = to_bytes(drawn.picture())
    write_png(out, picture[0])
    images = to_float(torch.from_numpy(picture)).to(looked.device)
    done = {
        **asked,
        "gone_on_from": began,
        "probability": visualisation.shares(looked.network, images, numbers)[0],
        "moved": visualisation.moved_shares(looked.network, images, numbers)[0],
    }
    other = "squeezenet" if looked.configuration.network == OTHER else OTHER
    if looked.configuration.outputs == backbones.IMAGENET:
        judge = backbones.classifier(other, looked.device)
        done |= {"other": other, "probability_other": visualisation.shares(judge, images, numbers)[0]}
    write_json(out.with_suffix(".json"), done)
    return done
