"""Command line of the model store: `python -m model_store list|show|verify|promote|rollback|latest|encoder`."""

from __future__ import annotations

import errno
import json
import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from model_store.errors import ConfigurationError, RelevanceError
from model_store.output import checked_output, print_news
from model_store.settings import ModelStoreSettings
from model_store.versions.store import ModelStore

INTERRUPTED = 130
CANNOT_BE_WRITTEN = ConfigurationError.exit_code
UNFORESEEN = 1

_REMEDIES = {
    errno.ENOSPC: "make space, or name a folder on another disk",
    errno.EDQUOT: "make space, or name a folder on another disk",
    errno.EACCES: "name a place that this user may read and write",
    errno.EPERM: "name a place that this user may read and write",
    errno.EROFS: "name a place that can be written",
    errno.EMFILE: "raise the limit of open files (ulimit -n)",
}


def run(app: typer.Typer) -> NoReturn:
    """Run a typer application; whatever it raises becomes one line on standard error and an exit code.

    `python -X dev` shows the traceback of what nobody foresaw.
    """
    sys.exit(_exit_code(app))


def _exit_code(app: typer.Typer) -> int:
    try:
        with checked_output():
            try:
                app(standalone_mode=True)
            finally:
                if sys.stdout is not None:
                    sys.stdout.flush()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else UNFORESEEN if end.code else 0
    except RelevanceError as error:
        print_news(f"error: {error}")
        return error.exit_code
    except KeyboardInterrupt:
        print_news("interrupted; the same command resumes")
        return INTERRUPTED
    except BrokenPipeError:  # its reader, such as head, has seen enough
        return UNFORESEEN
    except OSError as error:
        print_news(f"error: {machine_problem(error)}")
        return CANNOT_BE_WRITTEN
    except Exception as error:
        if sys.flags.dev_mode:
            raise
        reason = " ".join(str(error).split())[:500]
        print_news(
            f"error: {type(error).__name__}: {reason}; nobody foresaw this; see its traceback with python -X dev"
        )
        return UNFORESEEN
    return 0


def machine_problem(error: OSError) -> str:
    """What the machine refused, of which file, and what to do."""
    remedy = _REMEDIES.get(error.errno or 0, "check that path, or name another one")
    if error.strerror is None:
        return f"{error}; {remedy}"
    files = " -> ".join(str(name) for name in (error.filename, error.filename2) if name is not None)
    return f"{f'{files}: ' if files else ''}{error.strerror}; {remedy}"


app = typer.Typer(no_args_is_help=True, add_completion=False, help=__doc__, pretty_exceptions_enable=False)

Store = Annotated[Path | None, typer.Option(help="model store; MODEL_STORE or var/model-store by default")]
Version = Annotated[str, typer.Argument(help="a version's number, or latest")]
Json = Annotated[bool, typer.Option("--json", help="print JSON")]


def _store(store: Path | None) -> ModelStore:
    return ModelStore(store if store is not None else ModelStoreSettings().model_store)


@app.command("list")
def list_versions(store: Store = None, as_json: Json = False) -> None:
    """List all versions and mark the served one."""
    model_store = _store(store)
    manifests = [model_store.manifest(number) for number in model_store.numbers()]
    if as_json:
        typer.echo(json.dumps([json.loads(manifest.model_dump_json(include=_LISTED)) for manifest in manifests]))
        return
    latest = model_store.latest() if manifests and any(m.promotion.promoted for m in manifests) else None
    for manifest in manifests:
        mark = "*" if manifest.number == latest else " "
        names = " ".join(manifest.names)
        typer.echo(f"{mark} {manifest.number:4d}  {manifest.created_at:%Y-%m-%d %H:%M}  {names:<20}  "
                   f"{manifest.promotion.reason_and_warnings}")  # fmt: skip


_LISTED = {"number", "created_at", "parent", "marketplaces", "promotion", "run"}


@app.command()
def show(version: Version = "latest", store: Store = None) -> None:
    """Print a version's manifest, and the warnings of its promotion on standard error."""
    model_store = _store(store)
    manifest = model_store.manifest(model_store.resolve(version))
    typer.echo(manifest.model_dump_json(indent=2))
    for warning in manifest.promotion.warnings:
        typer.echo(f"warning: {warning}", err=True)


@app.command()
def verify(version: Version = "latest", store: Store = None) -> None:
    """Check every file of a version and its base encoder."""
    from model_store.encoders.base_encoders import parse_base_encoder

    model_store = _store(store)
    manifest = model_store.verify(model_store.resolve(version))
    parse_base_encoder(manifest.base_encoder.source).verify(manifest.base_encoder.digest)
    typer.echo(f"version {manifest.number} is whole: {len(manifest.files)} files")


@app.command()
def promote(version: Annotated[int, typer.Argument(help="a version's number")], store: Store = None) -> None:
    """Serve a version, even if the promotion rule kept it back."""
    _store(store).promote(version)
    typer.echo(f"version {version} is served")


@app.command()
def rollback(store: Store = None) -> None:
    """Serve the version that was served before."""
    typer.echo(f"version {_store(store).rollback()} is served")


@app.command()
def latest(store: Store = None) -> None:
    """Print the number of the served version."""
    typer.echo(_store(store).latest())


@app.command()
def encoder(
    source: Annotated[str, typer.Argument(help="packaged, packaged:LAYERS, hub:ID or a folder")] = "packaged:4",
) -> None:
    """Prepare a base encoder, and print its folder and digest."""
    from model_store.encoders.base_encoders import parse_base_encoder

    base = parse_base_encoder(source)
    typer.echo(f"{base.folder}\n{base.digest()}")
