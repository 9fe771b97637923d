from __future__ import annotations

from pathlib import Path

from model_store.versions.store import ModelStore
from tests.support.commands import run, small_settings
from tests.support.training.tiny_taxonomy import write_tiny_taxonomy


def test_a_language_dropped_into_a_taxonomy_is_added_without_code(
    tiny_encoder_folder: Path, tmp_path: Path
) -> None:
    folder = write_tiny_taxonomy(tmp_path / "taxonomy")
    late_comer = tmp_path / "tr"
    (folder / "dist" / "pt-BR").rename(late_comer)
    store = tmp_path / "store"
    data = ["--data", f"taxonomy:{folder}:150", "--translation", f"glossary:{folder}"]
    run("training", "continual", *data, "--sequence", "en", *small_settings(tiny_encoder_folder), store=store)
    late_comer.rename(folder / "dist" / "tr")
    run("training", "add", "--data", f"taxonomy:{folder}:150", "--marketplace", "tr", store=store)
    manifest = ModelStore(store).manifest(2)
    assert manifest.names == ["en", "tr"]
    assert manifest.marketplace("tr").language == "tr"
    assert manifest.fusion_name == "step-0002"
