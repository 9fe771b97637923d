"""Runs the HTTP server."""

from __future__ import annotations

import gc
import logging
import signal
import socket
import sys
from contextlib import suppress

import uvicorn

from model_store.errors import ConfigurationError
from service import background
from service.api.middleware.api_keys import check_keys
from service.app import create_app, startup_problem
from service.engine.versions.served import ServedModel
from service.observability.logs import configure_logs
from service.server.head_limits import BoundedHeadProtocol
from service.server.shutdown import DrainingServer
from service.settings import ServiceSettings


def freeze_heap() -> None:
    """Collect garbage once more, also what stayed before, and exempt from now on all that is left.

    The modules and the model are some hundred thousand objects. A full collection goes through all of them and
    holds every request up meanwhile, for 0.2 seconds and more (measured: docs/log.md).
    """
    gc.unfreeze()
    gc.collect()
    gc.freeze()


def serve(settings: ServiceSettings) -> None:
    """Serve until SIGTERM or Ctrl-C; requests under way are answered first.

    Standard output gets one line after every attempt to load the model: `ready: URL (model version N)` or
    `not ready: REASON`. Whoever starts the service can wait for it.

    Raises:
        ConfigurationError: the address is taken or is not ours.
    """
    configure_logs(settings.log_level, settings.log_format)
    background.watch_threads()
    # Before anything listens.
    check_keys(settings)
    with _listening_socket(settings) as listener:
        host, port = listener.getsockname()[:2]
        address = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
        sys.stderr.write(f"listening on {address} (documentation at /docs)\n")
        sys.stderr.flush()
        app = create_app(settings, lambda model: _announce(model, address))
        configuration = uvicorn.Config(
            app,
            # uvicorn's own configuration writes requests to standard output, which has another reader.
            log_config=None,
            log_level=settings.log_level,
            timeout_graceful_shutdown=settings.shutdown_seconds,
            http=BoundedHeadProtocol,
        )
        server = DrainingServer(configuration)
        # The error itself says what to do; the framework would log the way to it, line by line.
        logging.getLogger("uvicorn.error").addFilter(lambda _: startup_problem(app) is None)
        freeze_heap()
        # uvicorn raises the signal again once it has shut down in order.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        # It exits by itself where the application does not start.
        with suppress(KeyboardInterrupt, SystemExit):
            server.run(sockets=[listener])
    if not server.started:
        problem = startup_problem(app)
        if problem is not None:
            raise problem
        raise ConfigurationError("the service did not start; the log above has the reason")


def _announce(model: ServedModel, address: str) -> None:
    if model.loaded_scorer is None:
        line = f"not ready: {model.problem}"
    else:
        line = f"ready: {address} (model version {model.loaded_scorer.model_version})"
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
    freeze_heap()


def _listening_socket(settings: ServiceSettings) -> socket.socket:
    try:
        family, *_, address = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.create_server(address[:2], family=family)
    # UnicodeError: a name that cannot be one of a host.
    except (OSError, UnicodeError) as error:
        raise ConfigurationError(
            f"cannot listen on {settings.host}:{settings.port} ({error}); set HOST and PORT"
        ) from error
    # Its connections inherit it. Otherwise an answer's body waits until the client has acknowledged the head,
    # which it delays by 40 ms.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener
