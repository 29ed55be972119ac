"""Servers on loopback answer their own pages and programs of this machine, and no page of a stranger's."""

import socket
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocketClose

from tasks.common.errors import Error

HOST = "127.0.0.1"
# The names by which a browser on this machine reaches us.
NAMES = (HOST, "localhost")


def check_free(port: int, option: str = "--port") -> None:
    """Raises Error where a port of this machine cannot be listened on, such as one that another program has; `option` chooses another."""
    with socket.socket() as probe:
        # As servers do: a port whose last connections have only just closed is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            reason = f"port {port} cannot be used ({error.strerror})"
            raise Error(f"{reason}; stop what uses it, or choose another with {option}") from None


def origins(port: int) -> list[str]:
    """Where our own pages come from."""
    return [f"http://{name}:{port}" for name in NAMES]


class OwnPages:
    """Middleware that refuses another `Host`, which is a name that was pointed at this machine, and another page's `Origin`.

    A page may call itself by either name. Its port has to be that of the request: other servers of this machine are strangers, too.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket") or own(Headers(scope=scope)):
            await self.app(scope, receive, send)
        elif scope["type"] == "http":
            await PlainTextResponse("this server is for its own pages on this machine", 403)(scope, receive, send)
        else:
            await WebSocketClose(1008)(scope, receive, send)


def own(headers: Headers) -> bool:
    """Whether a request comes from a program of this machine, or from a page of the server that it asks."""
    try:
        host = urlsplit(f"http://{headers.get('host', '')}")
        origin = urlsplit(headers.get("origin", host.geturl()))
        return host.hostname in NAMES and origin.hostname in NAMES and (origin.scheme, origin.port) == ("http", host.port)
    except ValueError:  # a port that is no number
        return False
