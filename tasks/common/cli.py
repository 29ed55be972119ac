"""How every step's command line runs."""

import atexit
import errno
import gc
import inspect
import os
import re
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn, TypeVar

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


Given = TypeVar("Given", Path, str, None)


def readable(given: Given) -> Given:
    """A callback of Typer's for options that name a file to read.

    Raises Error for a pipe, which would be waited for for ever, a device, or a folder. What is not there is left to the command, which
    may know the word as a name.
    """
    if given is not None and os.path.exists(given) and not os.path.isfile(given):
        raise Error(f"{given}: no regular file; give the path of one")
    return given


def run(command: Callable[..., Any] | typer.Typer) -> NoReturn:
    """Run a typed function, or several as a Typer app, as a command line.

    Raises SystemExit at its end; where the function is the program's own, ends the process.

    An Error, which the user can put right, and a full disk are said in a sentence, without a traceback.
    """
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    # The collector then skips what was imported so far, which makes later imports about a second faster.
    gc.freeze()
    try:
        _run(command)
    except SystemExit as ended:
        if getattr(command, "__module__", "") == "__main__":
            leave(ended.code)
        raise


def _run(command: Callable[..., Any] | typer.Typer) -> NoReturn:
    if isinstance(command, typer.Typer):
        app = command
    else:
        app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
        # Typer would break lines of later paragraphs where the source breaks them.
        app.command(help=re.sub(r"(?<!\n)\n(?=\w)", " ", inspect.getdoc(command) or ""))(command)
    try:
        sys.exit(app())
    except Error as error:
        sys.exit(f"error: {error}")
    except OSError as error:
        if error.errno == errno.ENOSPC:
            sys.exit(f"error: the disk is full: {error.filename or error}; make room and run the same command again")
        raise


def leave(code: str | int | None) -> NoReturn:
    """End the process as `sys.exit` does, without taking libraries down one by one, which takes PyTorch a second.

    Threads are waited for, what was registered with `atexit` runs, and the streams are flushed.
    """
    if isinstance(code, str):
        print(code, file=sys.stderr)
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):  # nobody reads it any more, or it is closed
            stream.flush()
    os._exit(1 if isinstance(code, str) else code or 0)
