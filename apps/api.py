"""An HTTP API for faces and emotions, on this machine alone. `python -m apps.api --help`

    POST /               a photograph as the body, or as the field `file` of a form: 201 and its name
    GET  /image/{name}   the photograph with its boxes, PNG
    GET  /bbox/{name}    boxes, emotions, probabilities and flags, JSON

Names cannot be guessed, results are kept in memory for a while and belong to whoever knows the name; photographs are not kept.
"""

import asyncio
import secrets
import time
from collections import OrderedDict
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from fastapi import FastAPI, HTTPException, Request
from fastapi.responses import JSONResponse, Response
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException as StarletteError
from starlette.formparsers import MultiPartException
from starlette.middleware.trustedhost import TrustedHostMiddleware

from apps.faces import MAX_BYTES, Reader
from tasks import config
from tasks.common.errors import Error
from tasks.common.own_pages import HOST, NAMES, OwnPages, check_free
from tasks.faces import face_weights
from tasks.params.face_settings import Annotate
from tasks.profile import Profile

WAITING = 16  # photographs at once; further ones are told to come back
KEEP = 600.0  # seconds
MOST = 200  # results
MOST_BYTES = 256 << 20
UPLOAD = 30.0  # seconds that an upload may take
FORM = 1 << 16  # bytes of a form beside its file


@dataclass(frozen=True)
class Result:
    png: bytes
    boxes: list[dict[str, Any]]
    width: int
    height: int
    until: float


class Results:
    """Results by name; the oldest go when they are too old or too many. Used by the event loop alone."""

    def __init__(self, keep: float, most: int = MOST, most_bytes: int = MOST_BYTES) -> None:
        self.keep, self.most, self.most_bytes = keep, most, most_bytes
        self.kept: OrderedDict[str, Result] = OrderedDict()
        self.bytes = 0

    def add(self, png: bytes, boxes: list[dict[str, Any]], width: int, height: int) -> str:
        name = secrets.token_urlsafe(24)
        self.kept[name] = Result(png, boxes, width, height, time.monotonic() + self.keep)
        self.bytes += len(png)
        self._expire()
        return name

    def get(self, name: str) -> Result | None:
        self._expire()
        return self.kept.get(name)

    def _expire(self) -> None:
        now = time.monotonic()
        while self.kept:
            oldest = next(iter(self.kept.values()))
            if oldest.until > now and len(self.kept) <= self.most and self.bytes <= self.most_bytes:
                break
            self.bytes -= len(self.kept.popitem(last=False)[1].png)


def application(profile: Profile, keep: float = KEEP, waiting: int = WAITING) -> FastAPI:
    """The API of a profile. `keep`: seconds that a result is kept; `waiting`: photographs that are taken at once."""
    reader, results = Reader(profile), Results(keep)
    workers = ThreadPoolExecutor(1, thread_name_prefix="faces")
    under_way = 0

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        workers.shutdown(cancel_futures=True)

    # Its pages of documentation load scripts from elsewhere.
    app = FastAPI(title="Darkroom: faces and emotions", lifespan=lifespan, docs_url=None, redoc_url=None)
    # A page of another host that resolves to this machine is not answered, and no other page of a browser.
    app.add_middleware(OwnPages)
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=[*NAMES])

    @app.post("/", status_code=201)
    async def annotate(request: Request) -> JSONResponse:
        """Find the faces of a photograph and read their emotions."""
        nonlocal under_way
        if under_way >= waiting:
            raise HTTPException(503, "too many photographs at once; come back in a moment", {"Retry-After": "5"})
        under_way += 1
        try:
            content = await _content(request)
            try:
                seen = await asyncio.get_running_loop().run_in_executor(workers, reader.see, content)
                png = await asyncio.get_running_loop().run_in_executor(workers, lambda: seen.png)
            except Error as error:
                raise HTTPException(422, str(error)) from None
        finally:
            under_way -= 1
        name = results.add(png, seen.table(), seen.photograph.width, seen.photograph.height)
        links = {"image": f"/image/{name}", "bbox": f"/bbox/{name}"}
        return JSONResponse(
            {"name": name, "faces": len(seen.rows), "seconds_kept": keep, **links}, 201, {"Location": links["bbox"]}
        )

    @app.get("/image/{name}", response_class=Response, responses={200: {"content": {"image/png": {}}}})
    async def image(name: str) -> Response:
        """The photograph with its boxes."""
        return Response(_known(name).png, media_type="image/png", headers=PRIVATE)

    @app.get("/bbox/{name}")
    async def bbox(name: str) -> JSONResponse:
        """Boxes in pixels of the photograph, emotions, probabilities and flags."""
        result = _known(name)
        return JSONResponse({"width": result.width, "height": result.height, "faces": result.boxes}, headers=PRIVATE)

    def _known(name: str) -> Result:
        if (result := results.get(name)) is None:
            raise HTTPException(404, "no result of this name; results are kept for a while only: send the photograph again")
        return result

    return app


# Results are nobody else's, neither in caches nor as anything but what they are.
PRIVATE = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


async def _content(request: Request) -> bytes:
    """The photograph of a request, read no further than is taken. Raises HTTPException."""
    kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
    form = kind == "multipart/form-data"
    if (
        not form
        and kind
        and not kind.startswith("image/")
        and kind not in ("application/octet-stream", "application/x-www-form-urlencoded")
    ):
        raise HTTPException(415, f"{kind}: send a photograph as the body, or as the field `file` of a form")
    try:
        async with asyncio.timeout(UPLOAD):
            body = await _body(request, MAX_BYTES + (FORM if form else 0))
    except TimeoutError:
        raise HTTPException(408, f"the upload took longer than {UPLOAD:.0f} s") from None
    if form:
        body = await _field(request, body)
    if not body:
        raise HTTPException(400, "there is no photograph in it; send one as the body, or as the field `file` of a form")
    return body


async def _body(request: Request, most: int) -> bytes:
    too_much = HTTPException(413, f"more than the {MAX_BYTES // 2**20} MiB that are taken here")
    declared = request.headers.get("content-length", "0")
    if declared.isdigit() and int(declared) > most:
        raise too_much
    parts = bytearray()
    async for part in request.stream():
        parts += part
        if len(parts) > most:
            raise too_much
    return bytes(parts)


async def _field(request: Request, body: bytes) -> bytes:
    """The field `file` of a form."""

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    try:
        async with Request(request.scope, receive).form(max_files=1, max_fields=8) as form:
            file = form.get("file") or form.get("image")
            return await file.read() if isinstance(file, UploadFile) else b""
    except (MultiPartException, StarletteError) as error:
        raise HTTPException(400, f"not a form: {getattr(error, 'detail', None) or error}") from None


def main(
    port: Annotated[int, typer.Option(help="of the API", min=1, max=65535)] = 8000,
    profile: Annotated[Path, typer.Option(help="the folder of a params.yaml")] = Path("."),
) -> None:
    """Serve the API on this machine, until Ctrl-C: curl --data-binary @photograph.jpg http://127.0.0.1:8000/"""
    import uvicorn

    check_free(port)
    loaded = config.load(profile, experiments=False)
    # Weights that are missing or damaged are said here, and not to whoever sends a photograph.
    face_weights.find(loaded, Annotate(source=""))
    print(f"http://{HOST}:{port}  (Ctrl-C ends it)", flush=True)
    uvicorn.run(application(loaded), host=HOST, port=port, log_level="warning", limit_concurrency=200, timeout_keep_alive=5)


if __name__ == "__main__":
    from tasks.common.cli import run

    run(main)
