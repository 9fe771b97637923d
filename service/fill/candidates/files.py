"""What a fill's arguments stand for: files, folders of files, or standard input."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import typer

from model_store.errors import InputError
from model_store.tables.rows import FORMS, form_of
from service.fill.candidates.standard_input import StandardInputForm, copied_standard_input

STANDARD_INPUT = "-"

Say = Callable[[str], None]


def _on_standard_error(text: str) -> None:
    typer.echo(text, err=True)


def candidate_paths(
    arguments: Sequence[str],
    fill_folder: Path,
    stdin_form: StandardInputForm = "tsv",
    say: Say = _on_standard_error,
) -> list[Path]:
    """The files in the order of the arguments, those of a folder in the order of their paths.

    A folder stands for all files of known forms below it. Hidden files and those of other forms are left out,
    and their number is said. Standard input is copied into the fill folder first.

    Raises:
        InputError: a file is named twice, a folder holds nothing to read, a symbolic link leads out of a folder,
            or standard input is empty.
        ConfigurationError: the fill folder cannot be written.
    """
    if arguments.count(STANDARD_INPUT) > 1:
        raise InputError("standard input is named twice; it can be read once", source=STANDARD_INPUT)
    paths: dict[Path, Path] = {}
    for argument in arguments:
        for path in _paths(argument, fill_folder, stdin_form, say):
            target = _resolved(path)
            if target in paths:
                raise InputError(f"named twice, also as {paths[target]}; name it once", source=str(path))
            paths[target] = path
    return list(paths.values())


def _paths(argument: str, fill_folder: Path, stdin_form: StandardInputForm, say: Say) -> list[Path]:
    if argument == STANDARD_INPUT:
        # It is None in a process that was started without one.
        if sys.stdin is None:
            raise InputError("there is no standard input; pipe the candidates into it", source=STANDARD_INPUT)
        return [copied_standard_input(sys.stdin.buffer, fill_folder, stdin_form)]
    path = Path(argument)
    return _files_below(path, fill_folder, say) if path.is_dir() else [path]


def _files_below(folder: Path, fill_folder: Path, say: Say) -> list[Path]:
    root, own = _resolved(folder), _resolved(fill_folder)
    every = [path for path in _walked(folder, root, own) if path.is_file() or path.is_symlink()]
    known = sorted(path for path in every if form_of(path) and not path.name.startswith("."))
    if len(known) < len(every):
        left_out = len(every) - len(known)
        say(f"{folder}: files left out, as hidden or of another form: {left_out}")
    if not known:
        raise InputError(f"the folder holds no file to read ({', '.join(FORMS)})", source=str(folder))
    for path in known:
        _check_within(path, root)
    return known


def _walked(folder: Path, root: Path, own: Path) -> Iterator[Path]:
    """All that is no folder, but nothing in hidden folders and nothing that fills wrote themselves."""
    try:
        entries = list(folder.iterdir())
    except OSError as error:
        raise InputError(f"the folder cannot be read ({error.strerror})", source=str(folder)) from error
    for path in entries:
        if not path.is_dir():
            yield path
        elif path.name.startswith(".") or _resolved(path) == own:
            continue
        elif path.is_symlink():
            # What a link within the folder leads to is found without it.
            _check_within(path, root)
        else:
            yield from _walked(path, root, own)


def _check_within(path: Path, root: Path) -> None:
    if not _resolved(path).is_relative_to(root):
        raise InputError(
            "a symbolic link that leads out of the folder; name what it leads to on its own", source=str(path)
        )


def _resolved(path: Path) -> Path:
    try:
        return path.resolve()
    except (OSError, RuntimeError) as error:
        raise InputError(f"cannot be read ({error})", source=str(path)) from error
