"""A training's checkpoint: all that it needs to go on as if it had never stopped."""

import errno
import logging
import pickle
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tasks.common.files import atomic

logger = logging.getLogger(__name__)


@dataclass
class Run:
    """What a training has done so far: all that a checkpoint holds beside the states of network and optimisers."""

    epoch: int = 0
    seconds: float = 0.0
    history: list[dict[str, float]] = field(default_factory=list)
    kept: int = 0  # the epoch whose weights are kept
    kept_weights: dict[str, Tensor] | None = None
    waited: int = 0  # measured epochs without a better value of early stopping's metrics

    def val(self) -> dict[str, float]:
        """Validation metrics at the epoch that was kept."""
        row = self.history[self.kept - 1]
        return {key.removeprefix("val_"): value for key, value in row.items() if key.startswith("val_")}


def save(path: Path, fingerprint: str, seed: int, run: Run, **states: Any) -> None:
    """Write a checkpoint; it appears whole or not at all. `states`: state dictionaries by name."""
    state = {
        "fingerprint": fingerprint,
        "seed": seed,
        "run": vars(run),
        "rng": torch.get_rng_state(),
        "cuda_rng": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        **states,
    }
    with atomic(path, durable=True) as temporary:
        torch.save(state, temporary)


def load(path: Path | None, fingerprint: str, seed: int) -> dict[str, Any] | None:
    """The content of a checkpoint; None where there is none of this configuration, code, data and seed.

    One that cannot be read is put aside and named, and the training begins anew.
    """
    if path is None or not path.exists():
        return None
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        own = (state["fingerprint"], state["seed"]) == (fingerprint, seed)
    except (OSError, RuntimeError, pickle.UnpicklingError, EOFError, KeyError, ValueError, TypeError, AttributeError) as error:
        # In a file that was cut off torch seeks before the beginning; other errors of the system say nothing of what is in it.
        if isinstance(error, OSError) and error.errno != errno.EINVAL:
            raise
        aside = path.with_name(f"{path.name}.damaged")
        path.replace(aside)
        reason = (str(error) or type(error).__name__).splitlines()[0][:200]
        logger.warning("%s cannot be read (%s); it was renamed to %s, and the training begins anew", path, reason, aside.name)
        return None
    return state if own else None


def restore_randomness(state: dict[str, Any]) -> None:
    """Set torch's generators to where they were. On a machine with fewer GPUs than the checkpoint's, those that are there are set."""
    torch.set_rng_state(state["rng"])
    if torch.cuda.is_available():
        for device, rng in enumerate(state["cuda_rng"][: torch.cuda.device_count()]):
            torch.cuda.set_rng_state(rng, device)
