"""Two epochs of experiments, in whichever version of the code stands first in the path. `tasks.adoption.proof` starts it.

    python short_run.py FOLDER OUT NAME...

FOLDER is a profile whose data are a small part of the real ones. OUT gets, for each name, a hash of the trained tensors, the metrics, and
what else the experiment's stages measure; for a study, its metrics. Nothing but the steps' functions is used, which both versions have.
"""

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import torch

from tasks import config


def tensors(folder: Path) -> str:
    """SHA-256 over the tensors of a folder of weights; headers, which name commits, are left out."""
    from safetensors import safe_open

    digest = hashlib.sha256()
    for path in sorted(folder.glob("*.safetensors")):
        with safe_open(path, framework="pt") as file:
            for name in sorted(file.keys()):
                tensor = file.get_tensor(name).contiguous()
                digest.update(name.encode())
                digest.update(tensor.flatten().view(torch.uint8).numpy().tobytes() if tensor.numel() else b"")
    return digest.hexdigest()


def experiment(profile: Any, name: str) -> dict[str, Any]:
    """Train and evaluate an experiment, and measure the trust in it where params.yaml asks for that."""
    from tasks import evaluate, train

    train.train(profile, name)
    metrics = evaluate.evaluate(profile, name)["metrics"]
    # Speeds are the machine's.
    timeless = {key: value for key, value in metrics.items() if "second" not in key}
    found = {"weights": tensors(profile.results(name) / "weights"), "metrics": timeless}
    if name in profile.params.calibrate:
        from tasks import calibrate, reliability

        found["calibration"] = calibrate.calibrate(profile, name).model_dump()
        found["reliability"] = reliability.reliability(profile, name)["metrics"]
    return found


def sweep(profile: Any, name: str) -> dict[str, Any]:
    """Run a sweep, and keep what it drew and what came of it."""
    import pandas as pd

    from tasks import sweep as sweeping

    sweeping.sweep(profile, name)
    trials = pd.read_csv(profile.results(name) / "trials.csv").drop(columns=["seconds", "error"])
    best = json.loads((profile.results(name) / "best.json").read_bytes())
    return {
        "trials": json.loads(trials.to_json(orient="records")),
        "best": {key: best[key] for key in ("trial", "val_loss", "sampled")},
    }


def study(profile: Any, name: str) -> dict[str, Any]:
    """Run a study of networks that were trained before it."""
    from tasks import study as studying

    return {"metrics": studying.study(profile, name)["metrics"]}


def main(folder: Path, out: Path, names: list[str]) -> None:
    """Run each of the names; what fails is recorded as its sentence."""
    profile = config.load(folder)
    found: dict[str, Any] = {}
    for name in names:
        try:
            measure = sweep if name in profile.params.sweeps else study if name in profile.params.studies else experiment
            found[name] = measure(profile, name)
        except Exception as error:
            found[name] = {"error": f"{type(error).__name__}: {error}"}
        print(f"{name}: {str(found[name].get('metrics', found[name]))[:150]}", file=sys.stderr, flush=True)
        out.write_text(json.dumps(found, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:])
