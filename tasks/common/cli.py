"""How every step's command line runs."""

import gc
import os
import sys
from collections.abc import Callable
from typing import Any

import typer

from tasks.common.errors import Error

# Libraries that report home unless told not to.
QUIET = {
    "DO_NOT_TRACK": "1",
    "DVC_NO_ANALYTICS": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "RAY_USAGE_STATS_ENABLED": "0",
    "GRADIO_ANALYTICS_ENABLED": "False",
    "YOLO_OFFLINE": "true",
    "YOLO_AUTOINSTALL": "false",
}


def run(command: Callable[..., Any] | typer.Typer) -> None:
    """Run a typed function, or several as a Typer app, as a command line.

    What the user can put right is said in a sentence, without a traceback.
    """
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    # What was imported lives to the end: without looking for garbage among it, over and over, the imports to come take a second less.
    gc.freeze()
    if isinstance(command, typer.Typer):
        app = command
    else:
        app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
        app.command()(command)
    try:
        app()
    except Error as error:
        sys.exit(f"error: {error}")
    except OSError as error:
        if error.errno == 28:
            sys.exit(f"error: the disk is full: {error.filename or error}; make room and run the same command again")
        raise
