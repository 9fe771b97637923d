"""Training, in the demo's own process, so that its progress is part of the one line."""

from __future__ import annotations

from scripts.demo.findings import Findings, plain_probe_row
from scripts.demo.plan import PREPARING_STEP, learning
from scripts.demo.progress_line import ProgressLine
from scripts.demo.published_versions import PublishedVersion, PublishedVersions
from scripts.demo.request import DemoRequest
from training.stages.progress import progress_listener


def learn(request: DemoRequest, findings: Findings, line: ProgressLine) -> None:
    """Do what `python -m training continual` does, resuming where an earlier call of it stopped."""
    with PublishedVersions(request.run_folder) as versions, progress_listener(line):
        from training.commands.continual import learn_sequence

        def look(_: str) -> None:
            for version in versions.new():
                line.say(_published(version))
                line.finish_step(learning(version.marketplace))

        state = learn_sequence(
            request.data,
            request.sequence,
            request.preset,
            request.overrides(),
            request.store,
            request.run,
            look,
        )
        findings.publications = versions.all()
    line.finish_step(learning(request.sequence[-1]) if request.sequence else PREPARING_STEP)
    findings.continual = state.test_matrix
    findings.untrained_cosine = state.zero_shot_test
    _read_manifests(request, findings)


def _published(version: PublishedVersion) -> str:
    after = "" if version.seconds is None else f" {version.seconds:.0f} s after training began"
    return f"version {version.number} knows {version.marketplace}, published{after}: {version.reason}"


def _read_manifests(request: DemoRequest, findings: Findings) -> None:
    from model_store.versions.store import ModelStore

    store = ModelStore(request.store)
    manifests = [store.manifest(version.number) for version in findings.publications]
    newest = manifests[-1]
    findings.trainable_parameters = [
        manifest.marketplace(name).trainable_parameters
        for manifest, name in zip(manifests, request.sequence, strict=True)
    ]
    findings.marketplaces = [
        {
            "name": entry.name,
            "language": entry.language,
            **(entry.threshold.model_dump() if entry.threshold else {}),
        }
        for entry in newest.marketplaces
    ]
    findings.plain_probes = {
        name: plain_probe_row(name, manifests) for name in newest.names if name in newest.plain_probes
    }
