"""Self-Net beside plain loops in the same process: task networks, their scores, and the autoencoder of weights.

    python benchmarks/selfnet.py
    python benchmarks/selfnet.py --json > results/speed/selfnet.json

Task networks (1-10-20 convolutions of 5 x 5, 320-50-2) are trained and tested side by side and, as the reference, one after
another with PyTorch's layers and optimizers, on tasks of unequal size of the built-in digits; both are first checked to give the
same weights up to rounding. The autoencoder (21,432-5-21,432) learns vectors of such networks until the same mean cosine as the
authors' loop (`benchmarks/reference_selfnet.py`): on the weights as they are, which is what their code does, and standardised.
Blocks of the two alternate; a ratio is that of two neighbours, shown are the median and the middle 80 %. "Perfect" is what the
multiply-adds that cannot be left out take at the measured peak of matrix products, plus what must move to and from memory at
the measured rate of copies. One thread.
"""

import copy
import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median, quantiles
from typing import Annotated, NamedTuple

import torch
import tyro

sys.path.insert(0, str(Path(__file__).parents[1]))
from benchmarks import reference_selfnet
from benchmarks.hyper_step import machine, measure_peak
from rich import box
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from hyperlearning.core.seeding import generator
from hyperlearning.learners.weight_codecs.self_net import SelfNet, SelfNetRule
from hyperlearning.networks.weight_codec.autoencoder import WeightAutoencoder
from hyperlearning.networks.weight_codec.hashed import CodedNetwork
from hyperlearning.networks.weight_codec.masked import MaskedNetwork
from hyperlearning.networks.weight_codec.rewritten import RewrittenNetwork
from hyperlearning.streams.binary_tasks import TaskData
from hyperlearning.systems.selfnet.settings import TaskSettings, TaskTraining
from hyperlearning.systems.selfnet.task_networks import accuracy, train_by_adam, train_task
from hyperlearning.systems.selfnet.tasks import Tasks, drawn_tasks, first_network
from hyperlearning.systems.selfnet.together import accuracies, order_of, train_together, train_together_by_adam

EPOCHS, BATCH, LR, BUFFER, CODE = 2, 32, 0.05, 5, 128
Block = Callable[[], object]


@dataclass(frozen=True, kw_only=True)
class Config:
    """What is measured."""

    num_tasks: tuple[int, ...] = (5, 50)
    """Networks side by side; rows each."""
    num_blocks: int = 5
    """Pairs of neighbouring blocks, 2 or more."""
    iterations: tuple[int, int] = (1800, 600)
    """The most iterations of the autoencoder's first stage, and of the others, of a whole life."""
    json_only: Annotated[bool, tyro.conf.arg(name="json")] = False
    """Print JSON to standard output and nothing else."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One thing that is timed.

    Attributes:
        what: What it is.
        reference: What it stands beside; none if nothing.
        networks: How many networks it is of.
        seconds: Of the library.
        reference_seconds: Of the reference.
        ratio: Median over pairs of blocks of how many times longer the reference takes.
        ratio_low: Lower end of the middle 80 %.
        ratio_high: Upper end.
        floor_seconds: What the least arithmetic and traffic would take here.
        floor_share: That over the time taken.
    """

    what: str
    reference: str | None
    networks: int
    seconds: float
    reference_seconds: float | None = None
    ratio: float | None = None
    ratio_low: float | None = None
    ratio_high: float | None = None
    floor_seconds: float | None = None
    floor_share: float | None = None


class Floor(NamedTuple):
    """The least that has to be done.

    Attributes:
        multiply_adds: How many.
        moved: Bytes to and from memory.
    """

    multiply_adds: float
    moved: float


class Peak(NamedTuple):
    """What this machine does at best, a second: operations (two a multiply-add) and bytes copied."""

    flops: float
    bytes: float

    def or_better(self, other: "Peak") -> "Peak":
        """The better of two, measured before and after: a busy machine does less."""
        return Peak(*map(max, self, other))

    def seconds(self, floor: Floor) -> float:
        """What a floor takes."""
        return 2 * floor.multiply_adds / self.flops + floor.moved / self.bytes


def network_floor(images: int, *, steps: int) -> Floor:
    """Training steps of a task network of so many images in all, or, with none, a test.

    Convolutions: all positions forward; backwards one position of each window of four, twice for the second. Dense layers:
    three products, of which a test has one. Moved: images, and in a step weights and velocities, read and written.
    """
    first, second, dense = 24 * 24 * 250, 8 * 8 * 5000, 320 * 50 + 50 * 2
    backward = (first / 4 + second / 4 * 2 + dense * 2) if steps else 0
    return Floor(images * (first + second + dense + backward), 4 * (784 * images + 4 * 21_432 * steps))


def life_floor(config: Config, networks: int) -> Floor:
    """A life of the autoencoder: four products of all vectors with a code's weights an iteration, Adam's seven passes."""
    stages = -(-networks // BUFFER)
    iterations = [config.iterations[0]] + [config.iterations[1]] * (stages - 1)
    seen = sum(own * min(BUFFER * (stage + 1), networks) for stage, own in enumerate(iterations))
    numbers = 2 * 21_432 * 5 + 21_432 + 5
    return Floor(4 * seen * 21_432 * 5, 4 * (7 * numbers * sum(iterations) + 21_432 * seen))


def measure(config: Config) -> Iterator[Row]:
    """Measures everything beside its reference."""
    torch.set_num_threads(1)
    for networks in config.num_tasks:
        tasks = _tasks(networks)
        yield from _training(config, tasks)
        yield _testing(config, tasks)
    vectors = _vectors(max(config.num_tasks))
    for standardised, cosine in ((False, 0.95), (True, 0.99)):
        yield _stage(config, vectors[:BUFFER], standardised, cosine)
    yield _life(config, vectors)


def _tasks(networks: int) -> Tasks:
    return drawn_tasks(TaskSettings(dataset="digits", num_tasks=networks), 0)


def _training(config: Config, tasks: Tasks) -> Iterator[Row]:
    data, base = [tasks.train(number) for number in range(len(tasks))], first_network(0)
    training = TaskTraining(task_epochs=EPOCHS, task_batch=BATCH, task_lr=LR)
    steps = EPOCHS * sum(-(-len(own.labels) // BATCH) for own in data)
    floor = network_floor(EPOCHS * sum(len(own.labels) for own in data), steps=steps)
    _check_agreement(base, data[:BUFFER], training)
    alone, both = ([copy.deepcopy(base) for _ in data] for _ in range(2))

    def one_after_another() -> None:
        _train_alone(alone, data, training)

    def side_by_side() -> None:
        train_together(both, data, training, _orders(data))

    yield _row(config, "training by SGD", "one after another", side_by_side, one_after_another, data, floor)
    for kind in ("coded", "masked"):
        ours, theirs = _adam_blocks(kind, base, data)
        yield _row(config, f"{kind} networks by Adam", "one after another", ours, theirs, data, floor)


def _adam_blocks(kind: str, base: nn.Module, data: list[TaskData]) -> tuple[Block, Block]:
    def networks() -> list[RewrittenNetwork]:
        if kind == "coded":
            return [CodedNetwork(base, code_size=CODE) for _ in data]
        return [MaskedNetwork(base, generator=generator(at, "scores")) for at in range(len(data))]

    alone, both = networks(), networks()

    def one_after_another() -> None:
        source = generator(0, "order")
        for network, own in zip(alone, data, strict=True):
            train_by_adam(network, own, source, lr=LR, num_epochs=EPOCHS, batch=BATCH)

    return lambda: train_together_by_adam(both, data, _orders(data), lr=LR, batch=BATCH), one_after_another


def _orders(data: Sequence[TaskData]) -> list[Tensor]:
    source = generator(0, "order")
    return [order_of(own, EPOCHS, source) for own in data]


def _train_alone(networks: Sequence[nn.Module], data: Sequence[TaskData], training: TaskTraining) -> None:
    source = generator(0, "order")
    for network, own in zip(networks, data, strict=True):
        train_task(network, own, training, source)


def _check_agreement(base: nn.Module, data: Sequence[TaskData], training: TaskTraining) -> None:
    """In double precision, in which rounding does not grow to anything."""
    doubled = [TaskData(own.images.double(), own.labels) for own in data]
    alone, both = ([copy.deepcopy(base).double() for _ in data] for _ in range(2))
    _train_alone(alone, doubled, training)
    train_together(both, doubled, training, _orders(doubled))
    for one, other in zip(alone, both, strict=True):
        a, b = (parameters_to_vector(network.parameters()).detach() for network in (one, other))
        apart = float((a - b).norm() / a.norm())
        assert apart < 1e-9, (
            f"side by side, weights are {apart:.2g} of their length away from those of one after another"
        )


def _testing(config: Config, tasks: Tasks) -> Row:
    data, base = [tasks.test(number) for number in range(len(tasks))], first_network(0)
    vector = parameters_to_vector(base.parameters()).detach()
    vectors = vector + 0.02 * torch.randn(len(data), len(vector), generator=generator(0, "noise"))

    def one_after_another() -> list[float]:
        network, found = copy.deepcopy(base), []
        for own, test in zip(vectors, data, strict=True):
            vector_to_parameters(own, network.parameters())
            found.append(accuracy(network, test))
        return found

    def side_by_side() -> list[float]:
        return accuracies(vectors, data, base)

    assert one_after_another() == side_by_side()
    floor = network_floor(sum(len(own.labels) for own in data), steps=0)
    return _row(config, "testing", "one after another", side_by_side, one_after_another, data, floor)


def _vectors(networks: int) -> Tensor:
    """Weights of trained task networks: the first ones from a common start, the others from their mean."""
    tasks, training = _tasks(networks), TaskTraining(task_epochs=6, task_batch=BATCH, task_lr=LR)
    base, source, vectors = first_network(0), generator(0, "order"), torch.zeros(0, 21_432)
    for numbers in (range(min(BUFFER, networks)), range(BUFFER, networks)):
        data, own = [tasks.train(number) for number in numbers], [copy.deepcopy(base) for _ in numbers]
        if data:
            train_together(own, data, training, [order_of(each, 6, source) for each in data])
            vectors = torch.cat([vectors, *(parameters_to_vector(each.parameters()).detach()[None] for each in own)])
            vector_to_parameters(vectors.mean(0), base.parameters())
    return vectors


def _stage(config: Config, vectors: Tensor, standardised: bool, cosine: float) -> Row:
    """Until a mean cosine; the library's own way is on standardised vectors, the reference's as asked."""
    rule = SelfNetRule(thresholds=(cosine,), lrs=(3e-3,))
    mean, spread = (vectors.mean(0), (vectors - vectors.mean(0)).square().mean().sqrt()) if standardised else (0, 1)
    seen, moved = (vectors - mean) / spread, {"spread": torch.as_tensor(spread), "mean": torch.as_tensor(mean)}
    settings = reference_selfnet.Settings(strength=0.0 if standardised else 1e-4)
    seeds = {"ours": iter(range(1000)), "theirs": iter(range(1000))}

    def ours() -> None:
        net = SelfNet(vectors.shape[1], rule, seed=next(seeds["ours"]))
        net.learn(vectors)
        assert net.stages[-1].reached

    def theirs() -> None:
        seed = next(seeds["theirs"])
        source = torch.Generator().manual_seed(seed)
        first = WeightAutoencoder((vectors.shape[1], rule.code_size), activation="elu", generator=source)
        encoder, decoder = first.encoder[0], first.decoder[0]
        assert isinstance(encoder, nn.Linear)
        assert isinstance(decoder, nn.Linear)
        passes = reference_selfnet.passes_to(cosine, seen, encoder, decoder, settings, **moved, seed=seed)
        assert passes is not None

    seen_as = "on standardised weights" if standardised else "as published"
    name = f"a stage of the autoencoder, to a cosine of {cosine}"
    return _row(config, name, f"the authors' loop, {seen_as}", ours, theirs, list(vectors), None)


def _life(config: Config, vectors: Tensor) -> Row:
    net = SelfNet(vectors.shape[1], SelfNetRule(thresholds=(1.0,), max_iterations=config.iterations))

    def life() -> None:
        for new in vectors.split(BUFFER):
            net.learn(new)

    before, own = _peak(), _timed(life)
    floor = before.or_better(_peak()).seconds(life_floor(config, len(vectors)))
    return Row(
        what=f"the autoencoder's whole life, stages of {BUFFER}",
        reference=None,
        networks=len(vectors),
        seconds=round(own, 3),
        floor_seconds=round(floor, 3),
        floor_share=round(floor / own, 3),
    )


def _row(
    config: Config,
    what: str,
    reference: str,
    ours: Block,
    theirs: Block,
    networks: list[TaskData] | list[Tensor],
    floor: Floor | None,
) -> Row:
    for block in (ours, theirs):  # Caches and kernels.
        block()
    before = _peak()
    seconds = [(_timed(ours), _timed(theirs)) for _ in range(config.num_blocks)]
    peak = before.or_better(_peak())
    ratios = [plain / own for own, plain in seconds]
    low, *_, high = quantiles(ratios, n=10, method="inclusive")
    own, least = median(own for own, _ in seconds), peak.seconds(floor) if floor else None
    return Row(
        what=what,
        reference=reference,
        networks=len(networks),
        seconds=round(own, 4),
        reference_seconds=round(median(plain for _, plain in seconds), 4),
        ratio=round(median(ratios), 2),
        ratio_low=round(low, 2),
        ratio_high=round(high, 2),
        floor_seconds=None if least is None else round(least, 5),
        floor_share=None if least is None else round(least / own, 3),
    )


def _timed(block: Block) -> float:
    began = time.perf_counter()
    block()
    return time.perf_counter() - began


def _peak() -> Peak:
    """Of large matrix products, and of a copy that leaves the inner caches."""
    source = torch.zeros(1 << 22)
    target = torch.empty_like(source)
    copied = min(_timed(lambda: target.copy_(source)) for _ in range(20))
    return Peak(measure_peak("cpu").flops, 2 * 4 * len(source) / copied)


def main(config: Config) -> None:
    """Measures, prints a table, and JSON alone if asked to."""
    console = Console(stderr=config.json_only)
    rows = list(measure(config))
    table = Table("what", "networks", "beside", "s", "reference s", "ratio (80 %)", "perfect s", box=box.SIMPLE)
    for row in rows:
        spread = "" if row.ratio is None else f"{row.ratio:.1f} ({row.ratio_low:.1f}-{row.ratio_high:.1f})"
        floor = "" if row.floor_seconds is None else f"{row.floor_seconds:.4f} ({row.floor_share:.0%})"
        cells = (row.reference or "", f"{row.seconds:.3f}", f"{row.reference_seconds or 0:.3f}", spread, floor)
        table.add_row(row.what, str(row.networks), *cells)
    console.print(table)
    if config.json_only:
        record = {"machine": machine("cpu"), "torch": torch.__version__, "load_average": os.getloadavg()[0]}
        record |= {"command": " ".join(["python benchmarks/selfnet.py", *sys.argv[1:]])}
        print(json.dumps(record | {"rows": [asdict(row) for row in rows]}, indent=2))


if __name__ == "__main__":
    main(tyro.cli(Config))
