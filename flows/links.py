"""What a run's page links: its runs in MLflow."""

import json
import os
import re
from pathlib import Path

from prefect.artifacts import create_link_artifact

from tasks.learning import tracking
from tasks.profile import Profile

# The variable with the address of MLflow's page, which `flows.serve` sets.
PAGE = "DARKROOM_MLFLOW"


def page(root: Path) -> str | None:
    """The address of MLflow's page; None where none is known."""
    store = tracking.uri(root)
    return os.environ.get(PAGE) or (store if store.startswith("http") else None)


def link_training(profile: Profile, experiment: str, out: Path) -> None:
    """Link the MLflow run of each seed of a training that was written into `out`."""
    address = page(profile.root)
    runs = json.loads((out / "training.json").read_bytes())["mlflow_runs"]
    for seed, run in runs.items() if address else ():
        if run is None:  # MLflow did not answer, of which the training has warned
            continue
        number = tracking.connect(profile.root).get_run(run).info.experiment_id
        key = re.sub(r"[^a-z0-9]+", "-", f"mlflow-{experiment}-seed-{seed}".lower())
        link, text = f"{address}/#/experiments/{number}/runs/{run}", f"{experiment}, seed {seed}, in MLflow"
        create_link_artifact(link, link_text=text, key=key, description=text)
