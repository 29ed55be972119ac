"""Prefect's server on loopback, which answers its own pages and programs of this machine alone. `flows.serve` starts it."""

from collections.abc import Iterable
from typing import Annotated

import typer
import uvicorn
from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocketClose

HOST = "127.0.0.1"


def origins(port: int) -> list[str]:
    """Where our own pages come from."""
    return [f"http://{name}:{port}" for name in (HOST, "localhost")]


class OwnPages:
    """Refuses what a stranger's page sends: another `Origin`, or another `Host`, which is a name that was pointed at this machine."""

    def __init__(self, app: ASGIApp, allowed: Iterable[str]) -> None:
        self.app, self.allowed = app, set(allowed)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        origin = headers.get("origin")
        if f"http://{headers.get('host')}" in self.allowed and (origin is None or origin in self.allowed):
            await self.app(scope, receive, send)
        elif scope["type"] == "http":
            await PlainTextResponse("this server is for its own pages on this machine", 403)(scope, receive, send)
        else:
            await WebSocketClose(1008)(scope, receive, send)


def main(port: Annotated[int, typer.Option(help="of Prefect's page and API", min=1, max=65535)] = 4200) -> None:
    """Run Prefect's server until it is told to end."""
    from prefect.server.api.server import create_app

    uvicorn.run(OwnPages(create_app(final=True), origins(port)), host=HOST, port=port, log_level="warning")


if __name__ == "__main__":
    from tasks.common.cli import run

    run(main)
