"""Reference that is written from the code whenever the site is built: a hook of mkdocs.

A page holds `<!-- generated: NAME -->` where the text goes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import typer
from typer.core import TyperArgument, TyperCommand, TyperGroup, TyperOption
from typer.main import get_command

from model_store.cli import app as model_store_app
from service.app import create_app
from service.cli import app as service_app
from service.settings import ServiceSettings
from training.cli import app as training_app

if TYPE_CHECKING:
    from mkdocs.structure.pages import Page

MARKER = re.compile(r"<!-- generated: ([\w ]+) -->")
APPLICATIONS = {"model_store": model_store_app, "training": training_app, "service": service_app}


def on_page_markdown(markdown: str, page: Page, **_: object) -> str:
    """Fill the markers of one page; mkdocs calls this for each page.

    Raises:
        ValueError: a marker has a name that nothing is generated for.
    """

    def text(found: re.Match[str]) -> str:
        if found[1] not in GENERATED:
            raise ValueError(
                f"{page.file.src_uri}: nothing is called {found[1]!r}; write one of {', '.join(GENERATED)}"
            )
        return GENERATED[found[1]]()

    return MARKER.sub(text, markdown)


def command_line() -> str:
    """Every command with its arguments, options and defaults."""
    parts: list[str] = []
    for package, application in APPLICATIONS.items():
        parts.append(f"## python -m {package}\n")
        for name, command in _commands(get_command(application)):
            parts += [f"### {package} {name}\n", _paragraphs(command.help), _parameters(command)]
    return "\n".join(parts)


def routes() -> str:
    """Every route of the service with its first line of description."""
    paths = create_app(ServiceSettings()).openapi()["paths"]
    lines = ["| route | what it does |", "|---|---|"]
    for path, methods in paths.items():
        lines += [
            f"| `{method.upper()} {path}` | {_cell(about['summary'])} |" for method, about in methods.items()
        ]
    return "\n".join(lines)


GENERATED: dict[str, Callable[[], str]] = {"command line": command_line, "routes": routes}


def _commands(command: object, prefix: str = "") -> Iterator[tuple[str, TyperCommand]]:
    if isinstance(command, TyperGroup):
        for name, child in command.commands.items():
            yield from _commands(child, f"{prefix} {name}".strip())
    elif isinstance(command, TyperCommand):
        yield prefix, command


def _parameters(command: TyperCommand) -> str:
    context = typer.Context(command)
    rows: list[str] = []
    for parameter in command.params:
        if not isinstance(parameter, (TyperArgument, TyperOption)) or parameter.name == "help":
            continue
        name = ", ".join(parameter.opts) if isinstance(parameter, TyperOption) else str(parameter.name).upper()
        default = parameter.get_default(context)
        shown = "required" if parameter.required else "" if default in (None, False, ()) else f"`{default}`"
        rows.append(f"| `{name}` | {shown} | {_cell(parameter.help or '')} |")
    return "\n".join(["| | default | |", "|---|---|---|", *rows, ""]) if rows else ""


def _paragraphs(text: str | None) -> str:
    return f"{text or ''}\n"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
