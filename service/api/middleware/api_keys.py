"""Lets a request in by its key: `Authorization: Bearer KEY`, with keys of their own for administration."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
from collections.abc import Iterable

from fastapi import Request
from fastapi.security import HTTPBearer
from pydantic import SecretStr
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from model_store.errors import ConfigurationError
from service.api.errors import error_answer
from service.settings import ServiceSettings

_OPEN = frozenset({"/", "/healthz", "/readyz", "/metrics", "/docs", "/openapi.json"})
_OPEN_BELOW = ("/docs/", "/console/")
_ADMINISTRATION = ("/model/", "/compare", "/admin/")
_JOBS = "/jobs/"

DECLARED_KEY = HTTPBearer(
    scheme_name="key",
    description="One of API_KEYS or ADMIN_KEYS. Not needed if the service has no keys.",
    auto_error=False,
)
"""Dependency of a route that takes a key: OpenAPI tells of it, `KeyMiddleware` asks for it."""


def check_keys(settings: ServiceSettings) -> None:
    """Whether these settings may be served.

    Raises:
        ConfigurationError: there is no key, and others than this machine could reach the service.
    """
    name, host = "HOST", settings.host
    if settings.published_host is not None:
        name, host = "PUBLISHED_HOST", settings.published_host
    if not settings.api_keys and not _is_loopback(host):
        raise ConfigurationError(
            f"setting API_KEYS: {name} {host} can be reached by others; set at least one key "
            f"(and ADMIN_KEYS for the model routes), or set {name} to 127.0.0.1"
        )


class KeyMiddleware:
    """Checks the key of every request but those for health, metrics, documentation and the console's page.

    Without API_KEYS everything is open. With them, what changes or compares models, purges or fills the cache
    takes one of ADMIN_KEYS, and everything else takes either kind.
    """

    def __init__(self, app: ASGIApp, settings: ServiceSettings) -> None:
        self._app = app
        self._keys = _digests(settings.api_keys)
        self._admin_keys = _digests(settings.admin_keys)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or refuse it."""
        if scope["type"] != "http" or not self._keys or _is_open(scope):
            await self._app(scope, receive, send)
            return
        given = _given_key(scope)
        is_admin = _is_among(given, self._admin_keys)
        if not is_admin and not _is_among(given, self._keys):
            problem = "there is no key" if given is None else "the key is unknown"
            await self._refuse(scope, receive, send, 401, f"{problem}; send Authorization: Bearer KEY")
        elif not is_admin and _is_administration(scope):
            await self._refuse(scope, receive, send, 403, "this takes one of ADMIN_KEYS")
        else:
            await self._app(scope, receive, send)

    async def _refuse(self, scope: Scope, receive: Receive, send: Send, status: int, detail: str) -> None:
        code = "unauthorized" if status == 401 else "forbidden"
        headers = {"WWW-Authenticate": "Bearer"} if status == 401 else None
        answer = error_answer(Request(scope), status, code, detail, "AuthorizationError", headers)
        await answer(scope, receive, send)


def _is_administration(scope: Scope) -> bool:
    path: str = scope["path"]
    return path.startswith(_ADMINISTRATION) or (path.startswith(_JOBS) and scope["method"] not in ("GET", "HEAD"))


def _is_open(scope: Scope) -> bool:
    path: str = scope["path"]
    return scope["method"] == "OPTIONS" or path in _OPEN or path.startswith(_OPEN_BELOW)


def _given_key(scope: Scope) -> bytes | None:
    scheme, _, key = Headers(scope=scope).get("authorization", "").partition(" ")
    return key.strip().encode("latin-1") if scheme.lower() == "bearer" else None


def _digests(keys: Iterable[SecretStr]) -> list[bytes]:
    return [hashlib.sha256(key.get_secret_value().encode()).digest() for key in keys]


def _is_among(given: bytes | None, digests: Iterable[bytes]) -> bool:
    """In a time that does not depend on which key it is or how much of it is right."""
    digest = hashlib.sha256(given or b"").digest()
    # A list: every known key is compared, also behind one that fits.
    return any([hmac.compare_digest(digest, known) for known in digests]) and given is not None  # noqa: C419


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
