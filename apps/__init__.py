"""Pages for people, and an HTTP API, on this machine alone."""

import os
import tempfile

from tasks.common.cli import QUIET

# Uploads and results of the page go there, which is removed with it. Gradio's own folder would be another user's, where one has it.
TEMPORARY = tempfile.TemporaryDirectory(prefix="darkroom-demo-")
os.environ["GRADIO_TEMP_DIR"] = TEMPORARY.name

# Gradio reads its settings when it is imported.
for _name, _value in {**QUIET, "HF_HUB_OFFLINE": "1"}.items():
    os.environ.setdefault(_name, _value)
