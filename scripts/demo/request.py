"""What the demo is asked to do, and where that puts its files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from training.configuration import Overrides, parse_overrides

DEFAULT_FOLDER = Path("demo")


@dataclass(frozen=True, slots=True)
class DemoRequest:
    """The command's options. `settings` are `field=value` texts for fields of the preset."""

    data: str
    sequence: tuple[str, ...]
    translation: str
    seed: int
    preset: str
    settings: tuple[str, ...]
    folder: Path
    baseline: bool

    @property
    def run(self) -> str:
        """Name of the training run: the same request resumes it."""
        return "-".join([*self.sequence, f"seed{self.seed}", _slug(self.data), _slug(self.translation)])

    @property
    def store(self) -> Path:
        """Folder of the model store."""
        return self.folder / "model-store"

    @property
    def run_folder(self) -> Path:
        """Folder of the training run in the store."""
        return self.store / "runs" / self.run

    def overrides(self, translation: str | None = None) -> Overrides:
        """Of the preset's fields, with another translation than the one asked for where one is given."""
        return parse_overrides(self.settings, translation=translation or self.translation, seed=self.seed)


def _slug(text: str) -> str:
    return "".join(character if character.isalnum() else "-" for character in text)[-40:].strip("-").lower()
