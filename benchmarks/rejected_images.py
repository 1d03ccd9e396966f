r"""What a loop of questions makes of images that are none of ours: learned or ignored, by chance, margin and TypiClust.

    python benchmarks/rejected_images.py --dataset fashion_mnist --foreign kmnist --json > results/labelling/fashion-mnist.json
    python benchmarks/rejected_images.py --dataset mnist --foreign kmnist --json > results/labelling/mnist.json
    python benchmarks/rejected_images.py --dataset fashion_mnist --foreign kmnist --share 0.2 --json \
        > results/labelling/fashion-mnist-20.json
    python benchmarks/rejected_images.py --dataset fashion_mnist --foreign none --share 0 --json \
        > results/labelling/fashion-mnist-ours.json
    python benchmarks/rejected_images.py --dataset mnist --foreign none --share 0 --json > results/labelling/mnist-ours.json

A pool of 1,000 images of ours and as many others as the share says; 64 principal components of pixels; an oracle that is right;
20 questions a round up to 100 answers, 50 from then on. After so many answers: percent of tests that are right, told among our
classes alone; percent of the pool's unanswered images whose class is right or that are said to be none of ours and are; percent
of all questions so far that were ours. Means over seeds with 95 % intervals. One thread.
"""

import json
import sys
from dataclasses import dataclass
from typing import Annotated, Literal, NamedTuple

import torch
import tyro
from rich import box
from rich.console import Console
from rich.table import Table
from torch import Tensor

from hyperlearning.acquisition.strategies import NEED_NO_LABEL, StrategyName
from hyperlearning.core.expect import Count, Share, check_ranges
from hyperlearning.evaluation.intervals import estimate
from hyperlearning.systems.active.features import find_pixel_components
from hyperlearning.systems.active.loop import ActiveLoop
from hyperlearning.systems.active.problem import draw_problem
from hyperlearning.systems.active.questions import NOT_OURS
from hyperlearning.systems.active.settings import PoolSettings

ANSWERS = (20, 40, 60, 80, 100, 150, 200)
_SHOWN = (40, 100, 200)


@dataclass(frozen=True, kw_only=True)
class Config:
    """Label a pool with images that are none of ours, which are learned or ignored."""

    dataset: Literal["mnist", "fashion_mnist", "digits"] = "fashion_mnist"
    """Images of ours."""
    foreign: Literal["none", "kmnist", "fashion_mnist", "mnist"] = "kmnist"
    """Images of other kinds."""
    share: Share = 0.5
    """Of them in the pool."""
    num_seeds: Count = 8
    """Pools, each with all ways to ask."""
    json_only: Annotated[bool, tyro.conf.arg(name="json")] = False
    """Print JSON alone."""

    def __post_init__(self) -> None:
        check_ranges(self)


class Way(NamedTuple):
    """How questions are asked, and what is learned."""

    strategy: StrategyName
    learns_rejects: bool
    balanced: bool = True

    @property
    def title(self) -> str:
        """For the table."""
        return f"{self.strategy}, rejected {'learned' if self.learns_rejects else 'ignored'}" + (
            "" if self.balanced else ", head not balanced"
        )


def ways(share: float) -> list[Way]:
    """Those that differ: nothing is rejected where the pool is ours."""
    found = [Way(name, learns) for learns in (False, True) for name in ("random", "margin", "typi_clust")]
    found += [Way(name, learns, balanced=False) for learns in (False, True) for name in ("random", "margin")]
    return [way for way in found if share or not way.learns_rejects]


class Pool(NamedTuple):
    """What is labelled, and what tests it."""

    features_ND: Tensor
    names: list[str]
    test_features_TD: Tensor
    test_names: list[str]


def drawn(config: Config, seed: int) -> Pool:
    """The pool of a seed."""
    settings = PoolSettings(
        dataset=config.dataset,
        pool_images=1000,
        test_images=2000,
        foreign=config.foreign,
        foreign_share=config.share,
    )
    of = draw_problem(settings, seed)
    components = find_pixel_components(of.images, 64)
    names = [NOT_OURS if label < 0 else str(label) for label in of.labels_N.tolist()]
    test_names = [str(label) for label in of.test_labels.tolist()]
    return Pool(components(of.images), names, components(of.test_images), test_names)


def life(of: Pool, way: Way, seed: int) -> list[tuple[float, float, float]]:
    """After so many answers: tests, rest of the pool, questions that were ours, in percent."""
    loop = ActiveLoop(
        of.features_ND,
        strategy=way.strategy,
        first=way.strategy if way.strategy in NEED_NO_LABEL else "random",
        oracle=lambda places: [of.names[place] for place in places],
        learns_rejects=way.learns_rejects,
        balanced=way.balanced,
        seed=seed,
    )
    lines = []
    for budget in ANSWERS:
        loop.run(budget=budget, batch=20 if budget <= 100 else 50)
        said_T = loop.head().probabilities(of.test_features_TD)[:, : len(loop.classes)].argmax(1).tolist()
        right = [loop.classes[said] == name for said, name in zip(said_T, of.test_names, strict=True)]
        asked, said = {answer.place for answer in loop.answers}, loop.predict().labels
        rest = [said[place] == name for place, name in enumerate(of.names) if place not in asked]
        shares = (sum(right) / len(right), sum(rest) / len(rest), loop.num_labelled / len(asked))
        lines.append((100 * shares[0], 100 * shares[1], 100 * shares[2]))
    return lines


def main(config: Config) -> None:
    """Measures, prints a table, and JSON alone if asked to."""
    torch.set_num_threads(1)
    console = Console(stderr=config.json_only)
    kinds = ("tests", "rest", "ours")
    table = Table("asked by", *(f"{kind}, {num}" for num in _SHOWN for kind in kinds), box=box.SIMPLE)
    rows, pools = [], [drawn(config, seed) for seed in range(config.num_seeds)]
    for way in ways(config.share):
        lived = [life(pool, way, seed) for seed, pool in enumerate(pools)]
        rows.append({**way._asdict(), "title": way.title, "answers": ANSWERS, "lives": lived})
        cells = [
            estimate([lines[ANSWERS.index(num)][kind] for lines in lived])
            for num in _SHOWN
            for kind in range(len(kinds))
        ]
        table.add_row(way.title, *(f"{cell.mean:.1f} ± {cell.ci95:.1f}" for cell in cells))
    console.print(table)
    if config.json_only:
        command = " ".join(["python benchmarks/rejected_images.py", *sys.argv[1:]])
        print(json.dumps({"command": command, "torch": torch.__version__, "kinds": kinds, "rows": rows}))


if __name__ == "__main__":
    main(tyro.cli(Config))
