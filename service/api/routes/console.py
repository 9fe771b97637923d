"""`GET /`: the page for people."""

from __future__ import annotations

from importlib.resources import files

from fastapi import APIRouter
from starlette.exceptions import HTTPException
from starlette.responses import Response

router = APIRouter(include_in_schema=False)

_FILES = {
    "index.html": "text/html; charset=utf-8",
    "console.css": "text/css; charset=utf-8",
    "console.js": "text/javascript; charset=utf-8",
    "examples.json": "application/json; charset=utf-8",
}
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}


@router.get("/")
async def page() -> Response:
    """The page."""
    return _file("index.html")


@router.get("/console/{name}")
async def part(name: str) -> Response:
    """Its style, its script and the examples that it begins with."""
    return _file(name)


def _file(name: str) -> Response:
    kind = _FILES.get(name)
    if kind is None:
        raise HTTPException(404, "Not Found")
    content = files("service.console").joinpath(name).read_bytes()
    return Response(content, media_type=kind, headers=_HEADERS)
