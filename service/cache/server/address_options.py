"""The options that a URL of the cache's server may have after its question mark, and what their values may be."""

from __future__ import annotations

import re
import ssl
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import parse_qsl

_SECRETS = frozenset({"username", "password", "ssl_password", "sentinel_username", "sentinel_password"})


class WrongUrlError(ValueError):
    """Says what is wrong; never repeats what may be a secret."""


def _number(least: int, most: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not (text.isascii() and text.isdigit() and least <= int(text[:20]) <= most):
            raise WrongUrlError(f"is no number from {least} to {most}")
        return int(text)

    return parse


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < 1e6:
        raise WrongUrlError("is no number of seconds above 0")
    return value


def _flag(text: str) -> bool:
    known = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
    if text.lower() not in known:
        raise WrongUrlError("is neither true nor false")
    return known[text.lower()]


def _file(text: str) -> str:
    path = _expanded(text)
    if not path.is_file():
        raise WrongUrlError(f"names no file: {path}")
    return str(path)


def _folder(text: str) -> str:
    path = _expanded(text)
    if not path.is_dir():
        raise WrongUrlError(f"names no folder: {path}")
    return str(path)


def _expanded(text: str) -> Path:
    try:
        return Path(text).expanduser()
    except RuntimeError as error:
        raise WrongUrlError("begins with the home folder of a user who is unknown") from error


def _one_of(*known: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in known:
            raise WrongUrlError(f"is none of {', '.join(known)}")
        return text

    return parse


def _tls_version(text: str) -> int:
    return {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}[_one_of("1.2", "1.3")(text)]


database_number = _number(0, 65535)
OPTIONS: dict[str, Callable[[str], object]] = {
    "db": database_number,
    "username": str,
    "password": str,
    "client_name": str,
    "protocol": _number(2, 3),
    "socket_timeout": _seconds,
    "socket_connect_timeout": _seconds,
    "socket_keepalive": _flag,
    "health_check_interval": _number(0, 86_400),
    "max_connections": _number(1, 1_000_000),
}
TLS_OPTIONS: dict[str, Callable[[str], object]] = {
    "ssl_ca_certs": _file,
    "ssl_ca_path": _folder,
    "ssl_certfile": _file,
    "ssl_keyfile": _file,
    "ssl_password": str,
    "ssl_cert_reqs": _one_of("required", "optional", "none"),
    "ssl_check_hostname": _flag,
    "ssl_min_version": _tls_version,
}
SENTINEL_OPTIONS: dict[str, Callable[[str], object]] = {"sentinel_username": str, "sentinel_password": str}
NOT_OF_A_CLUSTER = frozenset({"ssl_ca_path", "ssl_password"})
"""What redis-py does not take for a cluster."""
SHOWN = frozenset({*OPTIONS, *TLS_OPTIONS, *SENTINEL_OPTIONS} - _SECRETS)
"""Options whose values are no secrets."""


def query_options(query: str, known: Mapping[str, Callable[[str], object]], scheme: str) -> dict[str, object]:
    """The options of a URL's query by name, as redis-py takes them.

    Raises:
        WrongUrlError: one is unknown, wrong, or given twice.
    """
    found: dict[str, object] = {}
    for name, text in parse_qsl(query, keep_blank_values=True):
        parse = known.get(name)
        if parse is None:
            shown = name if re.fullmatch(r"\w{1,40}", name) else "of that name"
            problem = f"has an option {shown!r} that {scheme}:// does not know; known are {', '.join(known)}"
            raise WrongUrlError(f"{problem}; TLS takes rediss://" if "ssl" in name or "tls" in name else problem)
        if name in found:
            raise WrongUrlError(f"has the option {name!r} twice")
        try:
            found[name] = parse(text)
        except WrongUrlError as error:
            raise WrongUrlError(f"its option {name!r} {error}") from error
    return found


def checked_tls_options(options: Mapping[str, object]) -> dict[str, object]:
    """What follows from the options of TLS, whose files are loaded once: redis-py would try at every connection.

    Raises:
        WrongUrlError: they contradict each other, or a file is none of certificates.
    """
    added: dict[str, object] = {}
    if options.get("ssl_cert_reqs") == "none":
        if options.get("ssl_check_hostname"):
            raise WrongUrlError("ssl_check_hostname needs a certificate; leave ssl_cert_reqs=none out")
        added["ssl_check_hostname"] = False
    context = ssl.create_default_context()
    try:
        if "ssl_ca_certs" in options or "ssl_ca_path" in options:
            context.load_verify_locations(_text(options, "ssl_ca_certs"), _text(options, "ssl_ca_path"))
    except OSError as error:
        raise WrongUrlError(f"its option 'ssl_ca_certs' names no file of certificates ({error})") from error
    certificate, key = _text(options, "ssl_certfile"), _text(options, "ssl_keyfile")
    if key and not certificate:
        raise WrongUrlError("has ssl_keyfile without ssl_certfile")
    if certificate:
        # A function: OpenSSL would ask at the terminal for the password of a key that has one.
        password = _text(options, "ssl_password") or ""
        try:
            context.load_cert_chain(certificate, key, lambda: password)
        except OSError as error:
            raise WrongUrlError(
                f"ssl_certfile and ssl_keyfile cannot be loaded ({error}); give the certificate, its key, and "
                "ssl_password if the key has one"
            ) from error
    return added


def _text(options: Mapping[str, object], name: str) -> str | None:
    value = options.get(name)
    return None if value is None else str(value)
