"""Prefect's server on loopback, which answers its own pages and programs of this machine alone. `flows.serve` starts it."""

from typing import Annotated

import typer
import uvicorn

from tasks.common.own_pages import HOST, OwnPages


def main(port: Annotated[int, typer.Option(help="of Prefect's page and API", min=1, max=65535)] = 4200) -> None:
    """Run Prefect's server until it is told to end."""
    from prefect.server.api.server import create_app

    uvicorn.run(OwnPages(create_app(final=True)), host=HOST, port=port, log_level="warning")


if __name__ == "__main__":
    from tasks.common.cli import run

    run(main)
