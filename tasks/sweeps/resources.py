"""What a sweep's trials take, and whether it is there."""

import socket
from collections.abc import Mapping

import torch

from tasks.common import devices
from tasks.common.errors import Error
from tasks.common.processors import processors
from tasks.params.sweep import Sweep
from tasks.profile import Profile


def check(profile: Profile, name: str) -> None:
    """Raises Error, naming the key, for resources that are not there and a cluster that does not answer; Ray is not started."""
    address, sweep = profile.params.ray.address, profile.sweep(name)
    if address:
        host, _, port = address.rpartition(":")
        if not host or not port.isdigit():
            raise Error(f"ray.address: {address!r} is not HOST:PORT, such as 10.0.0.1:6379; null runs the sweep on this machine")
        try:
            socket.create_connection((host, int(port)), timeout=5).close()
        except OSError as error:
            raise Error(
                f"ray.address: {address} does not answer ({error}); start it (ray start --head), or set it to null"
            ) from None
        return
    enough(sweep, name, {"cpu": float(processors()), "gpu": float(torch.cuda.device_count())}, "this machine")
    devices.choose(profile.params.device)


def enough(sweep: Sweep, name: str, present: Mapping[str, float], where: str) -> None:
    """Raises Error, naming the key, where a trial takes more than there is."""
    for kind, count in present.items():
        wanted = getattr(sweep.resources, kind)
        if wanted > count:
            raise Error(f"sweeps.{name}.resources.{kind}: a trial takes {wanted:g}, and {where} has {count:g}")


def at_once(sweep: Sweep, present: Mapping[str, float]) -> int:
    """How many trials run at a time."""
    room = [present[kind] / wanted for kind in ("cpu", "gpu") if (wanted := getattr(sweep.resources, kind))]
    return min(max(1, int(min(room))), sweep.concurrency or sweep.trials)
