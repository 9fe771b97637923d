"""Ray Data's part of a fill: parts go to a pool of scoring actors, replies come back in any order."""

from __future__ import annotations

import logging
import os
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from pathlib import Path

from model_store.errors import ConfigurationError, RelevanceError
from model_store.tables.rows import last_row
from service.fill.distributed.actor import (
    PART_REPLY,
    PartFailure,
    PartOutcome,
    PartScoring,
    ScoringPlan,
)
from service.fill.distributed.options import RayOptions
from service.fill.distributed.parts import FilePart

try:
    import ray
    import ray.data
    import ray.exceptions
except ImportError as missing:
    raise ConfigurationError(
        "--engine ray: Ray is not installed; pip install 'continual-relevance[ray]'"
    ) from missing

_MOST_ROUNDS_WITHOUT_A_REPLY = 3
_PARTS_IN_FLIGHT = 2
"""Of each actor: the next one is there when one is done."""


@contextmanager
def connected(options: RayOptions) -> Iterator[None]:
    """Ray while the context lasts; what still runs for this fill then ends with it.

    Raises:
        ConfigurationError: the cluster does not answer.
    """
    os.environ["RAY_USAGE_STATS_ENABLED"] = os.environ.get("RAY_USAGE_STATS_ENABLED") or "0"
    try:
        quiet = {"log_to_driver": False, "logging_level": logging.ERROR}
        if options.address is None:
            ray.init(address="local", include_dashboard=False, **quiet)
        else:
            ray.init(address=options.address, **quiet)
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise ConfigurationError(f"--ray-address {options.address or 'local'}: {error}") from error
    # Ray's threads print the news of nodes on standard output, where the report goes.
    with redirect_stdout(sys.stderr):
        try:
            yield
        finally:
            ray.shutdown()


def counted_rows(paths: Sequence[Path]) -> list[int]:
    """`last_row` of each file, counted by the nodes."""
    _configure(most_lost_blocks=0)
    items = [{"place": place, "path": str(path.resolve())} for place, path in enumerate(paths)]
    counted = ray.data.from_items(items, override_num_blocks=len(items)).map(_counted)
    rows = {int(row["place"]): int(row["rows"]) for row in counted.iter_rows()}
    return [rows[place] for place in range(len(paths))]


def part_outcomes(
    parts: Sequence[FilePart], plan: ScoringPlan, options: RayOptions, say: Callable[[str], None]
) -> Iterator[PartOutcome]:
    """Outcomes of all parts, each once. Parts of a lost actor are given to others.

    Raises:
        RelevanceError: what an actor met; or actors are lost again and again, and nothing comes of a part.
        ConfigurationError: the cluster has no room for an actor.
    """
    _configure(most_lost_blocks=-1)
    left = {part.number: part for part in parts}
    without_reply = 0
    while left:
        before, reason = len(left), ""
        try:
            for outcome in _round(list(left.values()), plan, options):
                del left[outcome.number]
                yield outcome
        except ray.exceptions.RayError as error:
            # As where an actor was begun on a node that nobody knew to be lost.
            reason = f" ({str(error).splitlines()[-1]})"
        without_reply = without_reply + 1 if len(left) == before else 0
        if without_reply == _MOST_ROUNDS_WITHOUT_A_REPLY:
            raise RelevanceError(
                f"actors were lost {without_reply} times before any of {len(left)} parts was done{reason}: "
                "see Ray's logs (is there enough memory?), then run the same command again to resume"
            )
        if left:
            say(f"{len(left)} parts of actors that were lost are scored again{reason}")


def actor_count(options: RayOptions) -> int:
    """How many actors score on the cluster as it is now.

    Raises:
        ConfigurationError: it has no room for one.
    """
    resources = ray.cluster_resources()
    return options.actors_within(resources.get("CPU", 0.0), resources.get("GPU", 0.0))


def _round(parts: Sequence[FilePart], plan: ScoringPlan, options: RayOptions) -> Iterator[PartOutcome]:
    items = [{"part": part.model_dump_json()} for part in parts]
    pool = ray.data.ActorPoolStrategy(
        size=min(actor_count(options), len(items)), max_tasks_in_flight_per_actor=_PARTS_IN_FLIGHT
    )
    with warnings.catch_warnings():
        # Announced to go in 2.64, with nothing in its place so far: hence the limit in pyproject.toml.
        warnings.filterwarnings("ignore", message="`ray_remote_args` is deprecated")
        # A lost actor is not started again under its name, where it might wait for a node that never comes
        # back: its parts are missing among the replies, and go to others.
        replies = ray.data.from_items(items, override_num_blocks=len(items)).map_batches(
            PartScoring,
            fn_constructor_args=(plan,),
            batch_size=1,
            compute=pool,
            num_cpus=options.actor_cpus,
            num_gpus=options.actor_gpus,
            max_restarts=0,
            max_task_retries=0,
        )
    for row in replies.iter_rows():
        reply = PART_REPLY.validate_json(row["reply"])
        if isinstance(reply, PartFailure):
            raise reply.error()
        yield reply


def _counted(item: dict[str, object]) -> dict[str, object]:
    return {"place": item["place"], "rows": last_row(Path(str(item["path"])))}


def _configure(most_lost_blocks: int) -> None:
    """What holds for datasets that are made from now on; -1 is any number."""
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.max_errored_blocks = most_lost_blocks
    logging.getLogger("ray.data").setLevel(logging.ERROR)
