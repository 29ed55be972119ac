import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocket, WebSocketDisconnect

from tasks.common.own_pages import OwnPages


async def talk(socket: WebSocket) -> None:
    await socket.accept()
    await socket.send_text("hello")
    await socket.close()


@pytest.fixture
def client() -> TestClient:
    routes = [Route("/", lambda request: PlainTextResponse("hello"), methods=["GET", "POST"]), WebSocketRoute("/talk", talk)]
    return TestClient(Starlette(routes=routes, middleware=[Middleware(OwnPages)]))


OWN = [
    {"Host": "127.0.0.1:4200"},
    {"Host": "localhost:4200", "Origin": "http://localhost:4200"},
    {"Host": "127.0.0.1:4200", "Origin": "http://localhost:4200"},
    {"Host": "localhost", "Origin": "http://127.0.0.1"},
]
FOREIGN = [
    {"Host": "example.org"},
    {"Host": "example.org:4200"},
    {"Host": ""},
    {"Host": "127.0.0.1.example.org:4200"},
    {"Host": "127.0.0.1:port"},
    {"Host": "user@localhost:4200@example.org"},
    {"Host": "127.0.0.1:4200", "Origin": "https://example.org"},
    {"Host": "127.0.0.1:4200", "Origin": "http://example.org:4200"},
    {"Host": "127.0.0.1:4200", "Origin": "null"},
    {"Host": "127.0.0.1:4200", "Origin": ""},
    {"Host": "127.0.0.1:4200", "Origin": "http://127.0.0.1:8888"},
    {"Host": "127.0.0.1:4200", "Origin": "https://127.0.0.1:4200"},
    {"Host": "127.0.0.1:4200", "Origin": "http://127.0.0.1:4200.example.org"},
]


@pytest.mark.parametrize("headers", OWN, ids=str)
def test_own_pages_and_programs_are_answered(client: TestClient, headers: dict[str, str]) -> None:
    assert client.post("/", headers=headers).text == "hello"
    with client.websocket_connect("/talk", headers=headers) as socket:
        assert socket.receive_text() == "hello"


@pytest.mark.parametrize("headers", FOREIGN, ids=str)
def test_strangers_are_refused(client: TestClient, headers: dict[str, str]) -> None:
    for method in ("GET", "POST", "OPTIONS"):
        assert client.request(method, "/", headers=headers).status_code == 403
    with pytest.raises(WebSocketDisconnect), client.websocket_connect("/talk", headers=headers):
        pass
