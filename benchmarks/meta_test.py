"""How fast a meta-test is: last layers that learn one image at a time, beside the plain loop, in one process.

    python benchmarks/meta_test.py --threads 1
    python benchmarks/meta_test.py --json > results/speed/meta-test.json

The plain loop pushes every image through the network (ANML's, drawn anew), takes the gradient of the last layer and makes
a step of `torch.optim.Adam`, as the publications' programs do. Ours computes the features of all images once, and learns
with as many runs side by side as there are threads. Blocks of the two alternate, so that a busy machine slows both; a ratio
is that of two neighbours, shown are the median and the middle 80 %. Before anything is timed both must agree.

`reference_seconds` and `seconds` are for 1,000 sequential updates of one run. `share_of_features` is what the features of
one run add to it: their images are used by all runs, here divided among 50. On a machine that does other work, rows of
several threads say nothing: PyTorch's threads wait for one another and ours do not.
"""

import json
import os
import platform
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median, quantiles
from typing import Annotated

import torch
import tyro
from rich import box
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from hyperlearning.learners.last_layer import LastLayers, draw_last_layers, learn_one_by_one

LR, NUM_RUNS, TRAIN_IMAGES = 1e-3, 50, 15
CHECKED_STEPS = 5


@dataclass(frozen=True, kw_only=True)
class Config:
    """What is measured."""

    num_features: tuple[int, ...] = (2304, 576)
    """Features: the published width and a quarter of it; one row each."""
    threads: tuple[int, ...] = (1, os.cpu_count() or 1)
    """CPU threads; one row each."""
    num_classes: int = 600
    """Classes of a run."""
    num_outputs: tuple[int, ...] = (1000, 600)
    """Outputs of the layer: the published number, and the run's classes alone; one row each."""
    num_reference_steps: int = 20
    """Steps of the plain loop in a block."""
    num_steps: int = 900
    """Our steps in a block."""
    num_blocks: int = 7
    """Pairs of neighbouring blocks, 2 or more."""
    json_only: Annotated[bool, tyro.conf.arg(name="json")] = False
    """Print JSON to standard output and nothing else."""

    def __post_init__(self) -> None:
        """Checks what would otherwise fail late."""
        if min(self.num_reference_steps, self.num_steps, self.num_blocks - 1, *self.threads) < 1:
            raise ValueError("Expected positive steps and threads, and 2 or more `num_blocks`.")
        if min(self.num_outputs) < self.num_classes:
            raise ValueError(f"Expected `num_outputs` of {self.num_classes} or more, but got {min(self.num_outputs)}.")
        if any(features % 9 for features in self.num_features):
            raise ValueError(f"Expected `num_features` to be multiples of 9, but got {self.num_features}.")


@dataclass(frozen=True)
class Row:
    """One comparison; times are seconds per 1,000 sequential updates of one run."""

    num_features: int
    num_outputs: int
    threads: int
    runs_side_by_side: int
    share_not_zero: float
    reference_seconds: float
    reference_on_features_seconds: float
    seconds: float
    share_of_features: float
    speedup: float
    speedup_low: float
    speedup_high: float
    speedup_on_features: float
    minutes_for_50_runs: float


class Gated(nn.Module):
    """ANML's network as published, at any width: two stacks of convolutions, one gating the other."""

    def __init__(self, num_features: int) -> None:
        super().__init__()
        channels = num_features // 9
        self.prediction = _stack(channels)
        self.gates = nn.Sequential(*_stack(channels * 7 // 16), nn.Linear(channels * 7 // 16 * 9, num_features))

    def forward(self, images: Tensor) -> Tensor:
        """Maps images (N, 1, 28, 28) to gated features (N, F)."""
        return self.prediction(images) * torch.sigmoid(self.gates(images))


def _stack(channels: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for fan_in in (1, channels, channels):
        layers += [nn.Conv2d(fan_in, channels, 3), nn.InstanceNorm2d(channels, affine=True), nn.ReLU(), nn.MaxPool2d(2)]
    del layers[-1]  # The last one does not pool.
    return nn.Sequential(*layers, nn.Flatten())


class Problem:
    """A network, the images of one run's classes, and layers to begin with."""

    def __init__(self, config: Config, num_features: int, num_outputs: int, num_runs: int) -> None:
        source = torch.Generator().manual_seed(0)
        torch.manual_seed(0)
        self.network = Gated(num_features).requires_grad_(False)
        strokes = torch.rand(config.num_classes * TRAIN_IMAGES, 1, 7, 7, generator=source) < 0.2
        self.images = strokes.float().repeat_interleave(4, 2).repeat_interleave(4, 3)
        begin = time.perf_counter()
        self.features = torch.cat([self.network(some) for some in self.images.split(50)])
        self.feature_seconds = time.perf_counter() - begin
        self.layers = draw_last_layers(num_runs, num_features, num_outputs, source)
        self.labels = torch.arange(config.num_classes).repeat_interleave(TRAIN_IMAGES)


class PlainLoop:
    """One image, one step, again; continues where it stopped."""

    def __init__(self, problem: Problem, *, through_network: bool = True) -> None:
        self._problem, self._through_network, self._next = problem, through_network, 0
        weight = problem.layers.weight[0]
        self.linear = nn.Linear(weight.shape[0], weight.shape[1])
        self.linear.weight.data.copy_(weight.T)
        nn.init.zeros_(self.linear.bias)
        self._adam = torch.optim.Adam(self.linear.parameters(), lr=LR)

    def run(self, num_steps: int) -> None:
        """Makes steps."""
        for _ in range(num_steps):
            i, problem = self._next % len(self._problem.labels), self._problem
            one = slice(i, i + 1)
            inputs = problem.network(problem.images[one]) if self._through_network else problem.features[one]
            self._adam.zero_grad()
            cross_entropy(self.linear(inputs), problem.labels[one]).backward()
            self._adam.step()
            self._next += 1


def learn(problem: Problem, num_steps: int) -> LastLayers:
    """Trains all runs for some steps, spread over all classes."""
    num_runs, num_images = len(problem.layers.weight), len(problem.labels)
    order = torch.arange(num_steps) * (num_images // num_steps)
    lrs = torch.full((num_runs,), LR, dtype=torch.float64)
    both = (order.repeat(num_runs, 1), problem.labels[order].repeat(num_runs, 1))
    return learn_one_by_one(problem.layers, problem.features, *both, lrs=lrs)


def check_agreement(problem: Problem) -> None:
    """Compares weights after a few steps.

    Raises:
        AssertionError: If more than one in a thousand differs by a hundredth of a step of Adam.
    """
    loop = PlainLoop(problem)
    loop.run(CHECKED_STEPS)
    order = torch.arange(CHECKED_STEPS)[None]
    first = LastLayers(problem.layers.weight[:1], problem.layers.bias[:1])
    rates = torch.tensor([LR], dtype=torch.float64)
    own = learn_one_by_one(first, problem.features, order, problem.labels[order], lrs=rates)
    # Adam's first steps are as large for a feature that is zero but for rounding, so that a few weights may differ.
    off = (own.weight[0] - loop.linear.weight.detach().T).abs()
    assert (off > 0.01 * LR).float().mean() < 0.001, off.mean()


def measure(config: Config, console: Console) -> Iterator[Row]:
    """Yields one row per thread count, width and number of outputs."""
    for threads in dict.fromkeys(config.threads):
        torch.set_num_threads(threads)
        for num_features in config.num_features:
            for num_outputs in dict.fromkeys(config.num_outputs):
                problem = Problem(config, num_features, num_outputs, threads)
                check_agreement(problem)
                row = compare(problem, config, threads)
                console.print(f"  {num_features} features, {num_outputs} outputs, {threads} threads: {row.speedup:.1f}")
                yield row


def compare(problem: Problem, config: Config, threads: int) -> Row:
    """Times blocks of the plain loop, of the plain loop on ready features, and of ours in turn."""
    plain, on_features = PlainLoop(problem), PlainLoop(problem, through_network=False)
    plain.run(2)
    on_features.run(2)
    learn(problem, 2)
    num_features, num_outputs = problem.layers.weight.shape[1:]
    share = problem.feature_seconds / len(problem.labels) * 1000 / NUM_RUNS
    times = [
        (
            1000 * _seconds(lambda: plain.run(config.num_reference_steps)) / config.num_reference_steps,
            1000 * _seconds(lambda: on_features.run(config.num_reference_steps)) / config.num_reference_steps,
            1000 * _seconds(lambda: learn(problem, config.num_steps)) / config.num_steps / threads + share,
        )
        for _ in range(config.num_blocks)
    ]
    ratios = [first / own for first, _, own in times]
    deciles = quantiles(ratios, n=10, method="inclusive")
    own = median(time for _, _, time in times)
    return Row(
        num_features=num_features,
        num_outputs=num_outputs,
        threads=threads,
        runs_side_by_side=threads,
        share_not_zero=(problem.features != 0).float().mean().item(),
        reference_seconds=median(time for time, _, _ in times),
        reference_on_features_seconds=median(time for _, time, _ in times),
        seconds=own,
        share_of_features=share,
        speedup=median(ratios),
        speedup_low=deciles[0],
        speedup_high=deciles[-1],
        speedup_on_features=median(second / own for _, second, own in times),
        minutes_for_50_runs=own * len(problem.labels) / 1000 * NUM_RUNS / 60,
    )


def _seconds(action: Callable[[], object]) -> float:
    begin = time.perf_counter()
    action()
    return time.perf_counter() - begin


def _table(rows: list[Row]) -> Table:
    table = Table(title="Seconds per 1,000 sequential updates of one run", box=box.SIMPLE, padding=0)
    for heading in ("features", "outputs", "threads", "plain", "on features", "ours", "faster", "50 runs, min"):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in rows:
        spread = f"{row.speedup:.1f} ({row.speedup_low:.1f}-{row.speedup_high:.1f})"
        seconds = (row.reference_seconds, row.reference_on_features_seconds, row.seconds)
        table.add_row(
            *map(str, (row.num_features, row.num_outputs, row.threads)),
            *(f"{value:.2f}" for value in seconds),
            spread,
            f"{row.minutes_for_50_runs:.1f}",
        )
    return table


def _machine() -> str:
    about = Path("/proc/cpuinfo")
    lines = about.read_text().splitlines() if about.exists() else []
    models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return f"{models[0] if models else platform.processor() or platform.machine()}, {os.cpu_count()} cores"


def main(config: Config) -> None:
    """Measures, prints a table, and JSON alone if asked to."""
    console = Console(stderr=config.json_only)
    rows = list(measure(config, console))
    console.print(_table(rows))
    if config.json_only:
        record = {"machine": _machine(), "torch": torch.__version__, "num_classes": config.num_classes}
        record |= {
            "load_average": os.getloadavg()[0],
            "command": " ".join(["python benchmarks/meta_test.py", *sys.argv[1:]]),
        }
        print(json.dumps(record | {"rows": [asdict(row) for row in rows]}, indent=2))


if __name__ == "__main__":
    main(tyro.cli(Config))
