"""The penalty on what a hypernetwork emits for old tasks: all of them as one batch, beside a loop over them.

    python benchmarks/hypernetworks_continual.py
    python benchmarks/hypernetworks_continual.py --json > results/speed/hypernetworks-continual.json

Once all old tasks are emitted as one batch, and once their squares follow from factors without emitting anything
(`learners/hypernet_continual/factored`). The loop is the plain one: for every old task its weights by name, their squared
distances to stored ones, one sum that is back-propagated through. All are first checked to give the same gradients up to
rounding. Blocks alternate in one process; a ratio is that of two neighbours, shown are the median and the middle 80 %.
One thread.
"""

import json
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median, quantiles
from typing import Annotated

import torch
import tyro

sys.path.insert(0, str(Path(__file__).parents[1]))
from benchmarks.hyper_step import machine
from rich import box
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from hyperlearning.core.seeding import generator
from hyperlearning.learners.hypernet_continual.learner import KeepOutputs, Update
from hyperlearning.learners.hypernet_continual.output_penalty import OutputPenalty
from hyperlearning.networks.hypernetworks.hypernetwork import Hypernetwork

_WARM_UP = 3


@dataclass(frozen=True, kw_only=True)
class RegulariserConfig:
    """What is measured."""

    num_tasks: tuple[int, ...] = (1, 4, 10)
    """Old tasks; rows each."""
    units: tuple[int, ...] = (400, 400)
    """Hidden units of the target network, of images of 784 pixels."""
    hidden: tuple[int, ...] = (10, 10)
    """Hidden units of the hypernetwork."""
    chunk_size: int = 42_000
    """Numbers of a chunk."""
    num_blocks: int = 15
    """Pairs of neighbouring blocks, 2 or more."""
    json_only: Annotated[bool, tyro.conf.arg(name="json")] = False
    """Print JSON to standard output and nothing else."""


@dataclass(frozen=True, kw_only=True)
class RegulariserRow:
    """One thing that is timed.

    Attributes:
        what: What it is.
        how: How the library does it.
        num_tasks: Old tasks.
        seconds: Of the library, median.
        loop_seconds: By the loop, median.
        ratio: Median over pairs of blocks of how many times longer the loop takes.
        ratio_low: Lower end of the middle 80 %.
        ratio_high: Upper end.
        mebibytes: Held for the penalty while a task is learned.
    """

    what: str
    how: str
    num_tasks: int
    seconds: float
    loop_seconds: float
    ratio: float
    ratio_low: float
    ratio_high: float
    mebibytes: float


def regulariser_rows(config: RegulariserConfig) -> list[RegulariserRow]:
    """Measures the penalty's gradient alone, and a whole update with it, for every number of old tasks."""
    torch.set_num_threads(1)
    rows = []
    for num_tasks in config.num_tasks:
        hyper = _hypernetwork(config, num_tasks)
        penalties = {
            "as one batch": OutputPenalty(strength=0.01),
            "from factors": OutputPenalty(strength=0.01, targets="factored"),
        }
        for penalty in penalties.values():
            penalty.before_task(hyper, num_tasks)
        old_TE = hyper.embeddings[:num_tasks].detach().clone()
        stored = [{name: tensor[0].detach() for name, tensor in hyper.emit(own[None]).items()} for own in old_TE]
        with torch.no_grad():
            for tensor in hyper.parameters():
                tensor.add_(0.01 * torch.randn_like(tensor))
        for how, penalty in penalties.items():
            pairs = {
                "the penalty": (_batch(hyper, penalty), _loop(hyper, stored, old_TE)),
                "an update": (
                    _batched_update(hyper, penalty, num_tasks),
                    _looped_update(hyper, stored, old_TE, num_tasks),
                ),
            }
            for what, (own, loop) in pairs.items():
                _check_equal(hyper, own, loop)
                timed = _timed(what, how, num_tasks, own, loop, config.num_blocks, penalty.num_held * 4 / 2**20)
                rows.append(timed)
    return rows


def _hypernetwork(config: RegulariserConfig, num_tasks: int) -> Hypernetwork:
    sizes = (784, *config.units)
    layers: list[nn.Module] = []
    for one, other in pairwise(sizes):
        layers += [nn.Linear(one, other), nn.ReLU()]
    target = nn.Sequential(*layers, nn.Linear(sizes[-1], 10))
    return Hypernetwork(
        target,
        num_tasks + 1,
        embedding_size=96,
        hidden=config.hidden,
        chunk_size=config.chunk_size,
        chunk_embedding_size=96,
        generator=generator(0, "benchmark"),
    )


def _batch(hyper: Hypernetwork, penalty: OutputPenalty) -> Callable[[], None]:
    return lambda: penalty.backward(hyper, None)


def _penalty_by_loop(hyper: Hypernetwork, stored: list[dict[str, Tensor]], old_TE: Tensor) -> Tensor:
    total = torch.zeros(())
    for wanted, embedding in zip(stored, old_TE, strict=True):
        weights = hyper.emit(embedding[None])
        total = total + sum((weights[name][0] - wanted[name]).square().sum() for name in wanted)
    return 0.01 * total / len(stored)


def _loop(hyper: Hypernetwork, stored: list[dict[str, Tensor]], old_TE: Tensor) -> Callable[[], None]:
    return lambda: _penalty_by_loop(hyper, stored, old_TE).backward()


def _inputs() -> tuple[Tensor, Tensor]:
    source = generator(0, "images")
    return torch.rand(128, 784, generator=source), torch.randint(10, (128,), generator=source)


def _batched_update(hyper: Hypernetwork, penalty: OutputPenalty, num_tasks: int) -> Callable[[], None]:
    objective, optimizer = KeepOutputs(penalty), torch.optim.Adam([torch.zeros(1)])
    images, labels = _inputs()
    embedding = nn.Parameter(hyper.embeddings[num_tasks:].detach().clone())
    update = Update(num_tasks, embedding, images, labels, 0.5, torch.Generator(), optimizer)
    return lambda: objective.backward(hyper, update)


def _looped_update(
    hyper: Hypernetwork, stored: list[dict[str, Tensor]], old_TE: Tensor, num_tasks: int
) -> Callable[[], None]:
    images, labels = _inputs()
    embedding = hyper.embeddings[num_tasks:].detach().clone()

    def run() -> None:
        weights = {name: tensor[0] for name, tensor in hyper.emit(embedding).items()}
        loss = cross_entropy(hyper.run_one(weights, images), labels)
        (loss + _penalty_by_loop(hyper, stored, old_TE)).backward()

    return run


def _check_equal(hyper: Hypernetwork, own: Callable[[], None], loop: Callable[[], None]) -> None:
    found = []
    for run in (own, loop):
        hyper.zero_grad()
        run()
        found.append([tensor.grad for name, tensor in hyper.named_parameters() if name != "embeddings"])
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-5)


def _timed(
    what: str, how: str, num_tasks: int, own: Callable[[], None], loop: Callable[[], None], num_blocks: int, held: float
) -> RegulariserRow:
    times: tuple[list[float], list[float]] = ([], [])
    for number in range(num_blocks + _WARM_UP):
        for run, kept in zip((own, loop), times, strict=True):
            begun = time.perf_counter()
            run()
            if number >= _WARM_UP:
                kept.append(time.perf_counter() - begun)
    ratios = [loop_seconds / seconds for seconds, loop_seconds in zip(*times, strict=True)]
    tenths = quantiles(ratios, n=10)
    return RegulariserRow(
        what=what,
        how=how,
        num_tasks=num_tasks,
        seconds=median(times[0]),
        loop_seconds=median(times[1]),
        ratio=median(ratios),
        ratio_low=tenths[0],
        ratio_high=tenths[-1],
        mebibytes=held,
    )


def main(config: RegulariserConfig) -> None:
    """Measures, and prints."""
    rows = regulariser_rows(config)
    if config.json_only:
        print(json.dumps({"machine": machine("cpu"), "rows": [asdict(row) for row in rows]}, indent=1))
        return
    table = Table(box=box.SIMPLE)
    for column in ("what", "how", "old tasks", "ms", "loop, ms", "ratio", "middle 80 %", "MiB held"):
        table.add_column(column, justify="left" if column in ("what", "how") else "right")
    for row in rows:
        numbers = f"{1e3 * row.seconds:.1f}", f"{1e3 * row.loop_seconds:.1f}", f"{row.ratio:.1f}"
        spread = f"{row.ratio_low:.1f} to {row.ratio_high:.1f}"
        table.add_row(row.what, row.how, str(row.num_tasks), *numbers, spread, f"{row.mebibytes:.1f}")
    Console().print(table)


if __name__ == "__main__":
    main(tyro.cli(RegulariserConfig))
