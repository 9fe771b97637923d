"""The folder whose files jobs may read, and nothing outside of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath

from model_store.errors import ConfigurationError, InputError
from service.fill.candidates.files import candidate_paths

MAX_NAME_CHARACTERS = 1024


class JobsNotConfiguredError(ConfigurationError):
    """There is no folder whose files jobs may read."""


class CandidateFolder:
    """Files are named relative to it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def paths(self, names: Sequence[str], fill_folder: Path, say: Callable[[str], None]) -> list[Path]:
        """The files that are named, on their own or by a folder below this one.

        Args:
            say: is told of files that are left out.

        Raises:
            InputError: a name that leads out of the folder, also through a symbolic link, or to nothing; a file
                is named twice.
        """
        found = [self.path(name, f"candidates[{place}]") for place, name in enumerate(names)]
        return candidate_paths([str(path) for path in found], fill_folder, say=say)

    def path(self, name: str, field: str) -> Path:
        """One file or folder.

        Raises:
            InputError: as for `paths`.
        """
        pure = PurePosixPath(name)
        if not name or "\x00" in name or pure.is_absolute() or ".." in pure.parts:
            raise InputError(
                f"{name[:100]!r} names nothing below JOBS_FOLDER; write a path relative to it, without '..'",
                field=field,
            )
        path = self._folder / pure
        try:
            target = path.resolve(strict=True)
            readable = target.is_file() or target.is_dir()
        except (OSError, RuntimeError, ValueError) as error:
            raise InputError(f"there is no {name[:100]!r} below JOBS_FOLDER", field=field) from error
        if not target.is_relative_to(self._folder.resolve()):
            raise InputError(f"{name[:100]!r} is a symbolic link that leads out of JOBS_FOLDER", field=field)
        if not readable:
            raise InputError(f"{name[:100]!r} is neither a file nor a folder", field=field)
        return path

    def shown(self, text: str) -> str:
        """A text that may name files, with their names as they were given."""
        return text.replace(f"{self._folder}/", "")
