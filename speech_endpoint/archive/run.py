"""An archive on a Ray cluster: Ray Data hands blocks to workers that hold the models.

The driver holds no recording, no transcript and no list of files: a task lists and shares out, a
worker is given the number of a block and answers with four others.
"""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Container, Iterator
from dataclasses import dataclass, fields

import ray
import ray.data
import ray.exceptions
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from speech_endpoint.archive.blocks import Block, pack
from speech_endpoint.archive.store import Store
from speech_endpoint.archive.worker import BlockDone, Job, Worker
from speech_endpoint.errors import ModelUnavailable

BLOCKS_AHEAD = 2
"""Handed to a worker that is at work: it never waits for the next, and few are lost with it."""


@dataclass(frozen=True, slots=True)
class Resources:
    """What workers take of a cluster."""

    max_workers: int
    cpus: float = 1.0
    """Each."""
    gpus: float = 0.0
    """Each; a fraction shares a GPU."""


@dataclass(frozen=True, slots=True)
class Planned:
    """What there is to do."""

    n_recordings: int
    n_bytes: int
    n_done: int
    """Recordings of blocks that were done before."""
    n_bytes_done: int
    n_pending: int
    """Blocks to be done."""


def plan(job: Job, pattern: str | None, max_workers: int) -> Planned:
    """Share out what no plan holds yet, and count.

    Args:
        job: source and destination.
        pattern: of paths below the source; None: known suffixes.
        max_workers: as many as may be at work.

    Raises:
        UnknownArchive: nothing can be listed there.
    """
    job.store.tidy()
    known = {recording.name for block in job.store.blocks() for recording in block.recordings}
    found = job.source.find(pattern, leave_out=job.store.url)
    job.store.add_plan(pack((each for each in found if each.name not in known), max_workers))
    done = job.store.done()
    counts = Counter[str]()
    job.store.set_pending(_not_done(job.store, done, counts))
    return Planned(**{field.name: counts[field.name] for field in fields(Planned)})


def _not_done(store: Store, done: Container[str], counts: Counter[str]) -> Iterator[Block]:
    for block in store.blocks():
        is_done = block.id in done
        n_recordings = len(block.recordings)
        counts.update(n_recordings=n_recordings, n_bytes=block.n_bytes)
        counts.update(n_done=is_done * n_recordings, n_bytes_done=is_done * block.n_bytes)
        if not is_done:
            counts.update(n_pending=1)
            yield block


def plan_on_cluster(job: Job, pattern: str | None, resources: Resources) -> Planned:
    """As `plan`, in a process that ends, on this machine. What it holds is given back."""
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    task = ray.remote(plan).options(num_cpus=0, scheduling_strategy=here)
    try:
        planned: Planned = ray.get(task.remote(job, pattern, resources.max_workers))
    except ray.exceptions.RayTaskError as error:
        raise error.cause from None
    return planned


def connect(address: str) -> None:
    """Join a cluster, or start one on this machine.

    Args:
        address: of a cluster; "local": a new one of this machine alone.
    """
    # Ray would report to its makers which libraries are used, and on what.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    ray.init(address=address, log_to_driver=False, logging_level="ERROR")
    logging.getLogger("ray.data").setLevel(logging.ERROR)


def transcribe(job: Job, n_pending: int, resources: Resources) -> Iterator[BlockDone]:
    """Do the blocks that are not done; each once, whatever dies but this process.

    If this process dies, the next one goes on.

    Args:
        job: source and destination.
        n_pending: blocks, as `Planned` has it.
        resources: of the workers.

    Raises:
        ModelUnavailable: a worker cannot load the models.
    """
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    # A number a task, kept by this process: a node that dies takes no input with it, and what is
    # lost, or waited for at the end, is one block.
    numbers = ray.data.from_items(list(range(n_pending)), override_num_blocks=n_pending)
    done = numbers.map(
        Worker,
        fn_constructor_args=(job,),
        compute=ray.data.ActorPoolStrategy(
            min_size=1,
            max_size=resources.max_workers,
            max_tasks_in_flight_per_actor=BLOCKS_AHEAD,
        ),
        num_cpus=resources.cpus,
        num_gpus=resources.gpus,
    )
    for row in done.iter_rows():
        block = BlockDone(**row)
        if block.failure:
            raise ModelUnavailable(block.failure)
        yield block


def resources_of_cluster(n_workers: int | None, cpus: float, gpus: float | None) -> Resources:
    """What workers may take of the cluster that is connected to.

    Args:
        n_workers: at most; None: as many as fit.
        cpus: each.
        gpus: each; None: a whole one where the cluster has any.
    """
    there = ray.cluster_resources()
    n_gpus = there.get("GPU", 0.0)
    each = (1.0 if n_gpus else 0.0) if gpus is None else gpus
    fit = n_gpus / each if each else there.get("CPU", 1.0) / cpus
    return Resources(n_workers or max(1, int(fit)), cpus, each)
