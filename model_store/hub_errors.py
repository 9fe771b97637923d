"""What the model hub's client raises where it cannot fetch something."""

from __future__ import annotations


def hub_errors() -> tuple[type[BaseException], ...]:
    """Classes to catch.

    Before its version 1 the client is made of requests, whose errors are all `OSError`; then of httpx, whose are
    not.
    """
    from huggingface_hub.errors import HfHubHTTPError

    return (*HfHubHTTPError.__bases__, OSError)
