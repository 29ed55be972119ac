"""A real HTTP server on loopback that misbehaves in the ways that servers do."""

import hashlib
import http.server
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@dataclass
class Page:
    """What is served at a path, and how."""

    body: bytes
    etag: str | None = '"one"'
    cuts: list[int] = field(default_factory=list)  # each request sends so many bytes of its answer, then cuts the connection
    busy: int = 0  # answers 503 so many times
    ranges: bool = True  # honours Range
    announce: bool = True  # says Content-Length
    slow: float = 0.0  # seconds between pieces of 10,000 bytes


@dataclass
class Server:
    url: str
    pages: dict[str, Page] = field(default_factory=dict)
    seen: list[tuple[str, str | None]] = field(default_factory=list)  # path, Range

    def ranges(self, path: str) -> list[str | None]:
        return [range_ for seen, range_ in self.seen if seen == path]


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_: Server

    def do_GET(self) -> None:
        path, wanted = self.path.split("?")[0], self.headers["Range"]
        self.server_.seen.append((path, wanted))
        page = self.server_.pages.get(path)
        if page is None:
            return self.send_error(404)
        if page.busy:
            page.busy -= 1
            return self.send_error(503)
        start, status = 0, 200
        if wanted and page.ranges and self.headers["If-Range"] in (None, page.etag):
            start, status = int(wanted.removeprefix("bytes=").removesuffix("-")), 206
        if start >= len(page.body) and status == 206:
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(page.body)}")
            self.send_header("Content-Length", "0")
            return self.end_headers()
        body = page.body[start:]
        self.send_response(status)
        if status == 206:
            self.send_header("Content-Range", f"bytes {start}-{len(page.body) - 1}/{len(page.body)}")
        if page.etag:
            self.send_header("ETag", page.etag)
        if page.announce:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if page.cuts:
            body, self.close_connection = body[: page.cuts.pop(0)], True
        self.close_connection |= not page.announce
        try:
            for i in range(0, len(body), 10_000):
                self.wfile.write(body[i : i + 10_000])
                time.sleep(page.slow)
        except OSError:
            self.close_connection = True

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def serve() -> Iterator[Server]:
    served = Server("")
    handler = type("Bound", (Handler,), {"server_": served})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as httpd:
        served.url = f"http://127.0.0.1:{httpd.server_port}"
        thread = threading.Thread(target=httpd.serve_forever, args=(0.01,))
        thread.start()
        yield served
        httpd.shutdown()
        thread.join()
