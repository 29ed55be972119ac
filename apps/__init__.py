"""Pages for people, and an HTTP API, on this machine alone."""

import os

from tasks.common.cli import QUIET

# Gradio reads its settings when it is imported.
for _name, _value in {**QUIET, "HF_HUB_OFFLINE": "1"}.items():
    os.environ.setdefault(_name, _value)
