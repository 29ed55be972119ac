"""The demo page: a photograph of one's own through the trained networks. `python -m apps.demo --help`

What shows the page takes seconds to import (`apps.site`). What is wrong with the command is said before.
"""

import signal
import sys
import threading
from pathlib import Path
from typing import Annotated

import typer

from apps import TEMPORARY
from tasks import config
from tasks.common.own_pages import HOST, check_free


def main(
    port: Annotated[int, typer.Option(help="of the page", min=1, max=65535)] = 7860,
    profile: Annotated[Path, typer.Option(help="the folder whose params.yaml names the networks")] = Path("."),
) -> None:
    """Open a page on this machine to try the trained networks on photographs, until Ctrl-C.

    It offers the experiments of the profile that have weights (make rebuild), and the networks that come with the code.
    """

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    check_free(port)
    loaded = config.load(profile)
    print("the page starts, which takes some seconds", file=sys.stderr, flush=True)
    from apps import site

    with TEMPORARY:
        # Ctrl-C too: a shell starts what it puts into the background with SIGINT ignored.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, interrupt)
        blocks = site.start(loaded, port)
        print(f"http://{HOST}:{port}  (Ctrl-C ends it)", flush=True)
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            print("stopped", flush=True)
        finally:
            blocks.close(verbose=False)


if __name__ == "__main__":
    from tasks.common.cli import run

    run(main)
