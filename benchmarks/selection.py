"""How fast queries are chosen, beside scikit-activeml in the same process: time, memory, and whether they are as good.

    python benchmarks/selection.py
    python benchmarks/selection.py --rows core_set:50000,512,2500,10 badge:10000,512,100,100 typi_clust:10000,512,100,10 \
        prob_cover:10000,512,100,10 --num-labelled 500 --num-streamed 1000000 --json > results/speed/selection.json

Both see the same features and probabilities (single precision, images around as many centres as classes) and the same labelled
images; scikit-activeml (`pip install -e '.[bench]'`) fits no classifier, and TypiClust and ProbCover see features of length 1,
which is what ours make of them. Blocks of the two alternate; a ratio is that of two neighbours, shown are the median and the
middle 80 %, after a warm-up on a small pool. Memory is how far a process of its own grows while it chooses. Quality, the lower
the better: the covering radius of core-set; the k-means++ cost of BADGE, the mean squared distance of gradients to the nearest
chosen one; of TypiClust the mean distance of a chosen image to its 20 nearest neighbours in the pool; of ProbCover the share of
the pool that balls of one radius, the one that ours took, leave uncovered. "Scoring" takes the least confident of a stream of
probabilities, of which a block of 10,000 is there at a time. One thread.
"""

import json
import multiprocessing
import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import mean, median, quantiles
from typing import Annotated, Any, Literal, NamedTuple, get_args

import torch
import tyro

sys.path.insert(0, str(Path(__file__).parents[1]))
from benchmarks.hyper_step import machine
from rich import box
from rich.console import Console
from rich.table import Table
from threadpoolctl import threadpool_limits
from torch import Tensor

from hyperlearning.acquisition.badge import badge, slopes
from hyperlearning.acquisition.core_set import core_set
from hyperlearning.acquisition.distances import blocks, squares, unit, without_noise
from hyperlearning.acquisition.prob_cover import prob_cover, pure_radius
from hyperlearning.acquisition.query import Choose, Views
from hyperlearning.acquisition.stream import highest_of_stream
from hyperlearning.acquisition.typical import typi_clust
from hyperlearning.acquisition.uncertainty import least_confidence
from hyperlearning.core.seeding import generator
from hyperlearning.systems.active.peers import has_peers, peer_choice

Name = Literal["core_set", "badge", "typi_clust", "prob_cover"]
NAMES: dict[str, Name] = {own: own for own in get_args(Name)}
Block = Callable[[int], Tensor]
"""Chooses by a seed."""

TITLES = {"core_set": "core-set", "badge": "BADGE", "typi_clust": "TypiClust", "prob_cover": "ProbCover"}
QUALITIES = {
    "core_set": "covering radius",
    "badge": "k-means++ cost",
    "typi_clust": "distance to neighbours",
    "prob_cover": "share uncovered",
}
STREAMED = 10_000


@dataclass(frozen=True, kw_only=True)
class Config:
    """What is measured."""

    rows: tuple[str, ...] = (
        "core_set:2000,64,100,10",
        "badge:1000,64,50,10",
        "typi_clust:1000,64,50,10",
        "prob_cover:1000,64,50,10",
    )
    """Strategy, images, features, images wanted, classes; one row each."""
    num_labelled: int = 50
    """Labelled images."""
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
    probabilities = (2 * torch.randn(1, size.num_pool, size.num_classes, generator=source)).softmax(-1)
    labelled = size.num_labelled
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


def measure(config: Config) -> Iterator[Row]:
    """Measures every strategy beside its peer, and then the stream."""
    torch.set_num_threads(1)
    with threadpool_limits(1):
        for text in config.rows:
            yield _row(size_of(text, config.num_labelled), config)
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
    ratios = [other.seconds / mine.seconds for mine, other in pairs]
    low, *_, high = quantiles(ratios, n=10, method="inclusive")
    return replace(
        row,
        reference_seconds=round(median(other.seconds for _, other in pairs), 4),
        ratio=round(median(ratios), 2),
        ratio_low=round(low, 2),
        ratio_high=round(high, 2),
        reference_memory_mb=_memory_mb(size, "theirs"),
        reference_value=round(mean(quality(size, views, other.chosen) for _, other in pairs), 5),
    )


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
