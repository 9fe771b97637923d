"""`training add`: one more marketplace on top of the newest version."""

from __future__ import annotations

from pathlib import Path

from model_store.errors import InputError
from model_store.versions.loading import LoadedVersion, load_version
from model_store.versions.store import ModelStore
from training.commands.continual import load_splits, method_of_the_paper, print_matrices
from training.configuration import Overrides, TrainingConfiguration, checked_configuration, merged
from training.console import notes
from training.methods.base import MethodContext
from training.runs.driver import check_translators
from training.runs.files import RunFiles, run_name, store_folder
from training.runs.published_run import learn_and_publish
from training.runs.publishing import RunState
from training.stages.environment import run_folder_of


def add_marketplace(
    data: str, marketplace: str, overrides: Overrides, store: Path | None, run: str | None
) -> None:
    """Train one step with the newest version as its teacher, and publish."""
    root = store_folder(store)
    model_store = ModelStore(root)
    parent = load_version(root)
    if marketplace in parent.manifest.names:
        raise InputError(
            f"version {parent.manifest.number} knows {marketplace!r} already; "
            "each marketplace is learnt once", field="marketplace"
        )  # fmt: skip
    configuration = _configuration(parent, overrides)
    parent.network.set_new_adapters(configuration.adapter)
    check_translators(configuration, parent.manifest.names, [marketplace])
    splits = load_splits(data, [marketplace], configuration)
    older = RunFiles(run_folder_of(root, parent.manifest.run))
    kept = {name: older.evaluation_rows(name) for name in parent.manifest.names}
    sequence = [*parent.manifest.names, marketplace]
    facts = {"data": data, "sequence": sequence, "parent": parent.manifest.number}
    files = RunFiles(run_folder_of(root, run or run_name(configuration, facts)))
    files.begin(configuration, facts)
    notes.print(f"run {files.folder}, on top of version {parent.manifest.number}")
    state = learn_and_publish(
        method_of_the_paper(MethodContext.on_top_of(parent, configuration, files.steps)),
        splits,
        model_store,
        files,
        notes.print,
        parent=parent.manifest.number,
        state=RunState.of(parent.manifest),
        kept=kept,
    )
    print_matrices(state, sequence)


def _configuration(parent: LoadedVersion, overrides: Overrides) -> TrainingConfiguration:
    content = merged(dict(parent.manifest.training_configuration), overrides)
    configuration = checked_configuration(content, f"version {parent.manifest.number}")
    for field in ("base_encoder", "pair_encoding", "head"):
        if field in overrides:
            raise InputError(
                f"is fixed by version {parent.manifest.number}: begin a new run to change it", field=field
            )
    widths = {entry.bottleneck for entry in parent.manifest.marketplaces[-1:]}
    if configuration.adapter_start == "previous" and configuration.adapter.bottleneck not in widths:
        raise InputError(
            f"a copy of the previous adapter (adapter_start) is {widths.pop()} wide", field="adapter.bottleneck"
        )
    return configuration
