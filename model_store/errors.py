"""The one exception hierarchy of the product, and its exit codes.

Every message says what was wrong, where (file, row, field) and what to do.
"""

from __future__ import annotations


class RelevanceError(Exception):
    """Base of every error that this product raises on purpose."""

    exit_code = 1


class InputError(RelevanceError):
    """Data handed in by a user is wrong: the message names file, row or field.

    Args:
        problem: what is wrong and what to do.
        source: file or request part in which it is wrong.
        row: 1-based row of that file, the header counting as row 1 where there is one.
        field: column or field name.
    """

    exit_code = 2

    def __init__(
        self, problem: str, *, source: str | None = None, row: int | None = None, field: str | None = None
    ) -> None:
        place = ", ".join(
            part
            for part in (
                source,
                f"row {row}" if row is not None else None,
                f"field {field!r}" if field else None,
            )
            if part
        )
        super().__init__(f"{place}: {problem}" if place else problem)
        self.problem = problem
        self.source = source
        self.row = row
        self.field = field


class ConfigurationError(RelevanceError):
    """Settings or options contradict each other or name something that does not exist."""

    exit_code = 3


class StoreError(RelevanceError):
    """The model store cannot do what was asked."""

    exit_code = 4


class VersionNotFoundError(StoreError):
    """No such model version, or the store is empty."""


class VersionCorruptError(StoreError):
    """A model version is half written, tampered with or truncated; the message names the file."""


class TranslationError(RelevanceError):
    """A translation is missing or failed; the message names the language pair."""

    exit_code = 5


class ReplayError(RelevanceError):
    """A continual method still holds rows of a step that has ended; the message names method and marketplace."""

    exit_code = 9


class CacheUnavailableError(RelevanceError):
    """The offline cache (Redis or Valkey) did not answer."""

    exit_code = 6


class PartialFlipError(RelevanceError):
    """A fill failed when readers saw new generations already, or may have: the message says which."""

    exit_code = 10


class VerificationError(RelevanceError):
    """What a job made differs too much from what it is to replace; nothing was replaced."""

    exit_code = 8


class OverloadedError(RelevanceError):
    """More work waits than may; the same request can be sent again after `retry_after_seconds`."""

    exit_code = 7

    def __init__(self, message: str, retry_after_seconds: int = 5) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class DeadlineExceededError(RelevanceError):
    """There was no answer within the time that the request, or the service, allows."""

    exit_code = 7


class ShuttingDownError(RelevanceError):
    """The service ends and takes no more work."""

    exit_code = 7


def hub_errors() -> tuple[type[BaseException], ...]:
    """Classes to catch.

    Before its version 1 the client is made of requests, whose errors are all `OSError`; then of httpx, whose are
    not.
    """
    from huggingface_hub.errors import HfHubHTTPError

    return (*HfHubHTTPError.__bases__, OSError)
