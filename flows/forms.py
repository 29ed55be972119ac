"""What the forms of Prefect's page offer to choose from: profiles, experiments and sweeps in place of empty fields."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from prefect.deployments.runner import RunnerDeployment

from flows import ROOT
from tasks import config


def profiles(first: str) -> list[str]:
    """The profiles that there are, as flows are given them: `first`, the project's own folder, and those within it."""
    found = [".", *sorted(path.parent.name for path in ROOT.glob("*/params.yaml"))]
    return list(dict.fromkeys([first, *(name for name in found if (ROOT / name / "params.yaml").is_file())]))


def names(among: Iterable[str], section: str) -> list[str]:
    """The keys of a section of these profiles' params.yaml, each once."""
    blocks: list[Any] = [config.read(Path(ROOT / profile) / "params.yaml").get(section) or {} for profile in among]
    return list(dict.fromkeys(name for block in blocks for name in block))


def offer(deployment: RunnerDeployment, first: str) -> RunnerDeployment:
    """Let the deployment's form offer lists for `profile`, `experiment`, and `name`, which is a sweep's."""
    among = profiles(first)
    lists = {"profile": among, "experiment": names(among, "experiments"), "name": names(among, "sweeps")}
    for key, field in deployment._parameter_openapi_schema.properties.items():
        if values := lists.get(key):
            texts = [kind for kind in field.get("anyOf", [field]) if kind.get("type") == "string"]
            for kind in texts:
                kind["enum"] = values
    return deployment
