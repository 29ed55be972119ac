"""What is scheduled and seen in the Prefect UI: composition only; the functions are those of `tasks`."""

import os
from pathlib import Path

from tasks.common.cli import QUIET

ROOT = Path(__file__).resolve().parent.parent
# The variable with the folders, besides the project's, that runs of the page may reach, as PATH has them.
FOLDERS = "DARKROOM_FOLDERS"

# Prefect reads its settings when it is imported; its database stands in the project's folder unless the user has one.
# On a busy machine its server, which a run in a shell starts, takes longer to start than the 20 s that it is given.
_SETTINGS = {"PREFECT_HOME": str(ROOT / "runs" / "prefect"), "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120"}
for _name, _value in {**QUIET, **_SETTINGS}.items():
    os.environ.setdefault(_name, _value)
# It does not make the folders above its own.
Path(os.environ["PREFECT_HOME"]).mkdir(parents=True, exist_ok=True)
