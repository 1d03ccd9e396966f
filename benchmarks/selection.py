"""How fast queries are chosen, beside scikit-activeml in the same process: time, memory, and whether they are as good.

    python benchmarks/selection.py
    python benchmarks/selection.py --rows core_set:50000,512,2500,10 badge:10000,512,100,100 typi_clust:10000,512,100,10 \
        prob_cover:10000,512,100,10 batch_bald:1000,16,10,10 --num-labelled 500 --num-streamed 1000000 --json \
        > results/speed/selection.json

Both see the same features and probabilities (single precision, images around as many centres as classes) and the same labelled
images; scikit-activeml (`pip install -e '.[bench]'`) fits no classifier, and TypiClust and ProbCover see features of length 1,
which is what ours make of them. Blocks of the two alternate; a ratio is that of two neighbours, shown are the median and the
middle 80 %, after a warm-up on a small pool. Memory is how far a process of its own grows while it chooses. Quality, the lower
the better: the covering radius of core-set; the k-means++ cost of BADGE, the mean squared distance of gradients to the nearest
chosen one; of TypiClust the mean distance of a chosen image to its 20 nearest neighbours in the pool; of ProbCover the share of
the pool that balls of one radius, the one that ours took, leave uncovered; of BatchBALD less what the batch's labels say of
which of 20 linear heads is right, in nats, both telling 10,000 answers apart. "Weibull fit" is that of the largest distances of
every class, side by side, beside a loop of SciPy's `weibull_min.fit` with the same locations; its quality is the negative
log-likelihood of a distance. "Scoring" takes the least confident of a stream of probabilities, of which a block of 10,000 is
there at a time. One thread.
"""

import json
import math
import multiprocessing
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import mean, median, quantiles
from typing import Annotated, Any, Literal, NamedTuple, get_args

import numpy as np
import torch
import tyro

sys.path.insert(0, str(Path(__file__).parents[1]))
from benchmarks.hyper_step import machine
from rich import box
from rich.console import Console
from rich.table import Table
from scipy.stats import weibull_min
from threadpoolctl import threadpool_limits
from torch import Tensor

from hyperlearning.acquisition.badge import badge, slopes
from hyperlearning.acquisition.batch_bald import batch_bald
from hyperlearning.acquisition.core_set import core_set
from hyperlearning.acquisition.distances import blocks, squares, unit, without_noise
from hyperlearning.acquisition.prob_cover import prob_cover, pure_radius
from hyperlearning.acquisition.query import Choose, Views
from hyperlearning.acquisition.stream import highest_of_stream
from hyperlearning.acquisition.typical import typi_clust
from hyperlearning.acquisition.uncertainty import least_confidence
from hyperlearning.acquisition.weibull import Weibulls, fit_tails
from hyperlearning.core.seeding import generator
from hyperlearning.systems.active.peers import has_peers, peer_choice

Name = Literal["core_set", "badge", "typi_clust", "prob_cover", "batch_bald"]
NAMES: dict[str, Name] = {own: own for own in get_args(Name)}
Block = Callable[[int], Tensor]
"""Chooses by a seed."""

TITLES = {
    "core_set": "core-set",
    "badge": "BADGE",
    "typi_clust": "TypiClust",
    "prob_cover": "ProbCover",
    "batch_bald": "BatchBALD",
}
QUALITIES = {
    "core_set": "covering radius",
    "badge": "k-means++ cost",
    "typi_clust": "distance to neighbours",
    "prob_cover": "share uncovered",
    "batch_bald": "less information",
}
STREAMED = 10_000
HEADS = 20


@dataclass(frozen=True, kw_only=True)
class Config:
    """What is measured."""

    rows: tuple[str, ...] = (
        "core_set:2000,64,100,10",
        "badge:1000,64,50,10",
        "typi_clust:1000,64,50,10",
        "prob_cover:1000,64,50,10",
        "batch_bald:200,16,10,10",
    )
    """Strategy, images, features, images wanted, classes; one row each."""
    num_labelled: int = 50
    """Labelled images."""
    num_tails: int = 100
    """Classes whose largest distances are fitted; none leave the row out."""
    tail: int = 50
    """Distances of each."""
    num_streamed: int = 100_000
    """Images of the stream that is scored; none leave the row out."""
    num_blocks: int = 3
    """Pairs of neighbouring blocks, 2 or more."""
    peer: bool = True
    """Measure scikit-activeml too."""
    json_only: Annotated[bool, tyro.conf.arg(name="json")] = False
    """Print JSON to standard output and nothing else."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One strategy at one size.

    Attributes:
        strategy: Its title.
        num_pool: Images to choose from.
        num_features: Features of each.
        num_classes: Classes of each.
        num_wanted: Images chosen.
        seconds: Of ours.
        reference_seconds: Of scikit-activeml.
        ratio: Median over pairs of blocks of how many times longer scikit-activeml takes.
        ratio_low: Lower end of the middle 80 %.
        ratio_high: Upper end.
        memory_mb: How far memory grows, of ours.
        reference_memory_mb: Likewise of scikit-activeml.
        quality: What queries are compared by, the lower the better.
        value: That of ours, mean over blocks.
        reference_value: Likewise of scikit-activeml.
    """

    strategy: str
    num_pool: int
    num_features: int
    num_classes: int
    num_wanted: int
    seconds: float
    reference_seconds: float | None = None
    ratio: float | None = None
    ratio_low: float | None = None
    ratio_high: float | None = None
    memory_mb: float | None = None
    reference_memory_mb: float | None = None
    quality: str | None = None
    value: float | None = None
    reference_value: float | None = None


class Size(NamedTuple):
    """What one row is of."""

    name: Name
    num_pool: int
    num_features: int
    num_wanted: int
    num_classes: int
    num_labelled: int


def size_of(text: str, num_labelled: int) -> Size:
    """Reads `core_set:2000,64,100,10`.

    Raises:
        ValueError: If it is not of that form.
    """
    of, _, numbers = text.partition(":")
    counts = numbers.split(",")
    name = NAMES.get(of)
    if name is None or len(counts) != 4 or not all(own.isdigit() and int(own) for own in counts):
        raise ValueError(f"Expected one of {', '.join(NAMES)}, a colon, and four numbers, but got {text!r}.")
    num_pool, num_features, num_wanted, num_classes = map(int, counts)
    return Size(name, num_pool, num_features, num_wanted, num_classes, num_labelled)


def pool(size: Size) -> Views:
    """Images around as many centres as there are classes; features of length 1 for what takes them so."""
    source, total = generator(0, "pool"), size.num_labelled + size.num_pool
    centres = torch.randn(size.num_classes, size.num_features, generator=source)
    placed = centres[torch.randint(size.num_classes, (total,), generator=source)]
    placed += torch.randn(total, size.num_features, generator=source)
    features = unit(placed) if size.name in ("typi_clust", "prob_cover") else placed
    labelled = size.num_labelled
    if size.name == "batch_bald":
        heads = centres + 0.5 * torch.randn(HEADS, *centres.shape, generator=source)
        probabilities = (placed[labelled:] @ heads.mT / size.num_features**0.5).softmax(-1)
    else:
        probabilities = (2 * torch.randn(1, size.num_pool, size.num_classes, generator=source)).softmax(-1)
    return Views(
        features_ND=features[labelled:], labelled_features_LD=features[:labelled], probabilities_KNC=probabilities
    )


def ours(size: Size, views: Views) -> Block:
    """The library's choice."""
    choices: dict[Name, Choose] = {
        "core_set": core_set(),
        "badge": badge,
        "typi_clust": typi_clust(),
        "prob_cover": prob_cover(),
        "batch_bald": batch_bald(),
    }
    return lambda seed: choices[size.name](views, size.num_wanted, generator(seed, "chance")).indices_B


def theirs(size: Size, views: Views) -> Block | None:
    """scikit-activeml's choice, begun anew each time; nothing where it is not installed."""
    if not has_peers():
        return None
    choose = peer_choice(size.name, views, size.num_classes)
    return lambda seed: choose(size.num_wanted, seed)


def quality(size: Size, views: Views, chosen: Tensor) -> float:
    """How good a query is, the lower the better, by what its strategy is after."""
    features, labelled = views.need("features_ND"), views.need("labelled_features_LD")
    if size.name == "badge":
        return _gradient_cost(views, chosen)
    if size.name == "batch_bald":
        return -_information(views.need("probabilities_KNC")[:, chosen])
    if size.name == "typi_clust":
        nearest = squares(features[chosen], features).topk(21, largest=False).values[:, 1:]
        return float(nearest.sqrt().mean())
    centres = torch.cat([labelled, features[chosen]])
    nearest = torch.cat([squares(features[rows], centres).amin(1) for rows in blocks(len(features), len(centres))])
    if size.name == "core_set":
        return float(nearest.max().sqrt())
    radius = pure_radius(features, size.num_classes, generator(0, "chance"), purity=0.95)
    return float((nearest >= radius**2).float().mean())


def _gradient_cost(views: Views, chosen: Tensor) -> float:
    features, slope = views.need("features_ND"), slopes(views.need("probabilities_KNC").mean(0))
    lengths = slope.square().sum(-1) * features.square().sum(-1)
    products = (slope @ slope[chosen].T) * (features @ features[chosen].T)
    return float(without_noise(products, lengths, lengths[chosen]).amin(1).mean())


def _information(said_KBC: Tensor, *, num_drawn: int = 20_000) -> float:
    """What the labels of a batch say of the draw that they are by, in nats, over answers drawn by each draw."""
    num_draws, num_batch, _ = said_KBC.shape
    source, logs = generator(0, "answers"), said_KBC.double().log()
    drawn = said_KBC.flatten(0, 1).multinomial(num_drawn, replacement=True, generator=source)
    answers = drawn.view(num_draws, num_batch, num_drawn)
    gained = []
    for own, answers_BM in enumerate(answers):
        all_KM = torch.stack([logs[:, place, answers_BM[place]] for place in range(num_batch)]).sum(0)
        gained.append(float((all_KM[own] - (all_KM.logsumexp(0) - math.log(num_draws))).mean()))
    return mean(gained)


def measure(config: Config) -> Iterator[Row]:
    """Measures every strategy beside its peer, and then the stream."""
    torch.set_num_threads(1)
    with threadpool_limits(1):
        for text in config.rows:
            yield _row(size_of(text, config.num_labelled), config)
        if config.num_tails:
            yield _tails(config)
    if config.num_streamed:
        yield _streamed(config)


def _row(size: Size, config: Config) -> Row:
    small = size._replace(num_pool=min(size.num_pool, 500), num_wanted=min(size.num_wanted, 20))
    for make in (ours, theirs):  # Caches and imports.
        block = make(small, pool(small))
        if block is not None:
            block(0)
    views = pool(size)
    own, peer = ours(size, views), theirs(size, views) if config.peer else None
    timed = [(_timed(own, seed), None if peer is None else _timed(peer, seed)) for seed in range(config.num_blocks)]
    row = Row(
        strategy=TITLES[size.name],
        num_pool=size.num_pool,
        num_features=size.num_features,
        num_classes=size.num_classes,
        num_wanted=size.num_wanted,
        seconds=round(median(mine.seconds for mine, _ in timed), 4),
        memory_mb=_memory_mb(size, "ours"),
        quality=QUALITIES[size.name],
        value=round(mean(quality(size, views, mine.chosen) for mine, _ in timed), 5),
    )
    pairs = [(mine, other) for mine, other in timed if other is not None]
    if not pairs:
        return row
    return replace(
        row,
        **_ratios([(mine.seconds, other.seconds) for mine, other in pairs]),
        reference_memory_mb=_memory_mb(size, "theirs"),
        reference_value=round(mean(quality(size, views, other.chosen) for _, other in pairs), 5),
    )


def _tails(config: Config) -> Row:
    """Weibull distributions of all classes at once, beside one after another by SciPy."""
    shape = (config.num_tails, config.tail)
    distances_CT = 1 + torch.randn(*shape, generator=generator(0, "tails"), dtype=torch.float64).square()
    inside_CT = torch.ones(shape, dtype=torch.bool)

    def own() -> Weibulls:
        return fit_tails(distances_CT, inside_CT)

    located = (own().location_C.tolist(), distances_CT.numpy())

    def theirs() -> list[Any]:
        return [weibull_min.fit(tail_T, floc=at) for at, tail_T in zip(*located, strict=True)]

    def cost(shapes: Iterable[float], scales: Iterable[float]) -> float:
        found = zip(distances_CT.numpy(), shapes, located[0], scales, strict=True)
        return -float(np.mean([weibull_min.logpdf(tail_T, *fitted) for tail_T, *fitted in found]))

    times = [(_seconds(own), _seconds(theirs) if config.peer else None) for _ in range(config.num_blocks)]
    fitted = own()
    row = Row(
        strategy="Weibull fit",
        num_pool=distances_CT.numel(),
        num_features=1,
        num_classes=config.num_tails,
        num_wanted=config.tail,
        seconds=round(median(mine for mine, _ in times), 5),
        quality="negative log-likelihood",
        value=round(cost(fitted.shape_C.tolist(), fitted.scale_C.tolist()), 5),
    )
    if not config.peer:
        return row
    others = theirs()
    return replace(
        row,
        **_ratios([(mine, other) for mine, other in times if other is not None]),
        reference_value=round(cost([own[0] for own in others], [own[2] for own in others]), 5),
    )


def _ratios(pairs: Sequence[tuple[float, float]]) -> dict[str, float]:
    """How many times longer the peer takes, pair by pair."""
    ratios = [other / mine for mine, other in pairs]
    low, *_, high = quantiles(ratios, n=10, method="inclusive")
    return {
        "reference_seconds": round(median(other for _, other in pairs), 4),
        "ratio": round(median(ratios), 2),
        "ratio_low": round(low, 2),
        "ratio_high": round(high, 2),
    }


def _seconds(block: Callable[[], object]) -> float:
    began = time.perf_counter()
    block()
    return time.perf_counter() - began


class Timed(NamedTuple):
    """A block: how long it took, and what it chose, no image twice."""

    seconds: float
    chosen: Tensor


def _timed(block: Block, seed: int) -> Timed:
    began = time.perf_counter()
    chosen = block(seed)
    took = time.perf_counter() - began
    assert len(chosen.unique()) == len(chosen), f"{len(chosen) - len(chosen.unique())} images were chosen twice"
    return Timed(took, chosen)


def _streamed(config: Config, *, num_features: int = 0, num_classes: int = 10, num_wanted: int = 1000) -> Row:
    began = time.perf_counter()
    _score(config.num_streamed, num_classes, num_wanted)
    return Row(
        strategy=f"scoring a stream, {STREAMED:,} at a time",
        num_pool=config.num_streamed,
        num_features=num_features,
        num_classes=num_classes,
        num_wanted=num_wanted,
        seconds=round(time.perf_counter() - began, 4),
        memory_mb=_own_process(_grown_by_stream, config.num_streamed, num_classes, num_wanted),
    )


def _score(num_streamed: int, num_classes: int, num_wanted: int) -> None:
    source = generator(0, "stream")
    sizes = (min(STREAMED, num_streamed - start) for start in range(0, num_streamed, STREAMED))
    said = (torch.randn(1, size, num_classes, generator=source).softmax(-1) for size in sizes)
    highest_of_stream(map(least_confidence, said), num_wanted, generator(0, "chance"))


def _memory_mb(size: Size, whose: Literal["ours", "theirs"]) -> float | None:
    return _own_process(_grown_by_choice, size, whose)


def _own_process(grown: Callable[..., float], *about: Any) -> float | None:
    """Measures in a process that has done nothing else; Linux only."""
    if not Path("/proc/self/clear_refs").exists():
        return None
    with multiprocessing.get_context("spawn").Pool(1) as workers:
        return round(workers.apply(grown, about), 1)


def _grown_by_choice(size: Size, whose: Literal["ours", "theirs"]) -> float:
    torch.set_num_threads(1)
    make = {"ours": ours, "theirs": theirs}[whose]
    small = size._replace(num_pool=500, num_wanted=5)
    views = pool(size)
    with threadpool_limits(1):
        warm, block = make(small, pool(small)), make(size, views)
        assert warm is not None
        assert block is not None
        warm(0)
        return _grown(lambda: block(0))


def _grown_by_stream(num_streamed: int, num_classes: int, num_wanted: int) -> float:
    torch.set_num_threads(1)
    _score(10, num_classes, 5)
    return _grown(lambda: _score(num_streamed, num_classes, num_wanted))


def _grown(block: Callable[[], object]) -> float:
    before = _status_mb("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # The highest mark starts anew.
    block()
    return _status_mb("VmHWM") - before


def _status_mb(key: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(key))


def main(config: Config) -> None:
    """Measures, prints a table, and JSON alone if asked to."""
    console = Console(stderr=config.json_only)
    rows = []
    names = (
        "strategy",
        "pool",
        "features",
        "classes",
        "wanted",
        "s",
        "reference s",
        "ratio (80 %)",
        "MB",
        "reference MB",
    )
    table = Table(*names, "quality", "value", "reference", box=box.SIMPLE)
    for row in measure(config):
        rows.append(row)
        spread = "" if row.ratio is None else f"{row.ratio:.1f} ({row.ratio_low:.1f}-{row.ratio_high:.1f})"
        counts = (f"{row.num_pool:,}", str(row.num_features), str(row.num_classes), f"{row.num_wanted:,}")
        memory = (_shown(row.memory_mb, 0), _shown(row.reference_memory_mb, 0))
        values = (row.quality or "", _shown(row.value, 4), _shown(row.reference_value, 4))
        table.add_row(
            row.strategy, *counts, _shown(row.seconds, 3), _shown(row.reference_seconds, 3), spread, *memory, *values
        )
    console.print(table)
    if config.peer and rows[0].ratio is None:
        console.print("scikit-activeml is not installed (pip install -e '.[bench]'), so that nothing stands beside.")
    if config.json_only:
        record = {"machine": machine("cpu"), "torch": torch.__version__, "load_average": os.getloadavg()[0]}
        record |= {"command": " ".join(["python benchmarks/selection.py", *sys.argv[1:]])}
        print(json.dumps(record | {"rows": [asdict(row) for row in rows]}, indent=2))


def _shown(number: float | None, digits: int) -> str:
    return "" if number is None else f"{number:.{digits}f}"


if __name__ == "__main__":
    main(tyro.cli(Config))
