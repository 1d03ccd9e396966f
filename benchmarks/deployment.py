"""How many observations a second a life takes in, beside a loop written by hand in the same process.

    python benchmarks/deployment.py
    python benchmarks/deployment.py --json > results/speed/deployment.json

Networks: the loop is the one everybody writes (`zero_grad`, forward, loss, `backward`, `torch.optim.SGD.step`) on the same
module and stream. Closed-form lives: beside what scikit-learn offers for a stream, `SGDRegressor.partial_fit` or
`GaussianNB.partial_fit`, and beside river (`pip install -e '.[bench]'`), `BayesianLinearRegression`, `LinearRegression` or
`GaussianNB`, one example a call. A life says how far off it was before each example, river's are asked for it; scikit-learn's are
not. Blocks of the two alternate, so that a busy machine slows both; a ratio is that of two neighbours, shown are the median and
the middle 80 %. One thread.
"""

import copy
import importlib
import json
import math
import os
import platform
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median, quantiles
from typing import Annotated, Any

import numpy as np
import torch
import tyro
from rich import box
from rich.console import Console
from rich.table import Table
from sklearn.linear_model import SGDRegressor
from sklearn.naive_bayes import GaussianNB
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, mse_loss

from hyperlearning.core import losses
from hyperlearning.core.losses import LossFn
from hyperlearning.learners.closed_form.class_means import ClassMeans
from hyperlearning.learners.closed_form.conjugate_bayes import ConjugateBayes, flat_prior
from hyperlearning.learners.closed_form.discriminant import LinearDiscriminant
from hyperlearning.learners.closed_form.least_mean_squares import NormalisedLMS
from hyperlearning.learners.closed_form.least_squares import RecursiveLeastSquares, RidgeClassifier
from hyperlearning.learners.closed_form.life import ClosedFormLife, Readout
from hyperlearning.learners.deployment import Deployment
from hyperlearning.networks.backbones import mlp
from hyperlearning.systems.images.settings import DataSettings
from hyperlearning.systems.images.settings import NetworkSettings as ImageNetworkSettings
from hyperlearning.systems.regression.settings import NetworkSettings

LR, NUM_LABELS = 1e-3, 10
Block = Callable[[], None]


@dataclass(frozen=True, kw_only=True)
class Config:
    """What is measured."""

    num_features: tuple[int, ...] = (64, 512)
    """Features of the closed-form lives; one row each."""
    num_examples: int = 300
    """Observations in a block."""
    num_blocks: int = 9
    """Pairs of neighbouring blocks, 2 or more."""
    json_only: Annotated[bool, tyro.conf.arg(name="json")] = False
    """Print JSON to standard output and nothing else."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One life.

    Attributes:
        life: What lives.
        reference: What it stands beside.
        per_second: Observations a second.
        reference_per_second: Likewise of the reference.
        ratio: Median over pairs of blocks of how many times more it takes in than the reference.
        ratio_low: Lower end of the middle 80 %.
        ratio_high: Upper end.
    """

    life: str
    reference: str
    per_second: float
    reference_per_second: float
    ratio: float
    ratio_low: float
    ratio_high: float


def measure(config: Config) -> Iterator[Row]:
    """Measures every life beside its reference."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    for name, ours, theirs in _networks(config.num_examples):
        yield _row(config, name, "plain PyTorch loop", ours, theirs)
    for num_features in config.num_features:
        for name, reference, ours, theirs in _closed_form(num_features, config.num_examples):
            yield _row(config, f"{name}, {num_features} features", reference, ours, theirs)


def _networks(num_examples: int) -> Iterator[tuple[str, Block, Block]]:
    numbers = torch.randn(num_examples, 1, 3), torch.randn(num_examples, 1, 2)
    yield "3-8-2 network", *_pair(mlp((3, 8, 2)), {}, *numbers, losses.mean_squared_error, mse_loss)
    dans = NetworkSettings().build(0)
    innate = {name: tensor.detach() for name, tensor in dans.named_parameters() if dans.is_innate(name)}
    points = 5 * torch.randn(num_examples, 1, 1)
    yield "DAN regressor", *_pair(dans, innate, points, points.sin(), losses.mean_squared_error, mse_loss)
    classifier = ImageNetworkSettings(num_outputs=100, num_channels=2).build(DataSettings(), 0)
    innate = {name: tensor.detach() for name, tensor in classifier.named_parameters() if classifier.is_innate(name)}
    images, labels = torch.rand(num_examples, 5, 1, 28, 28), torch.randint(0, 100, (num_examples, 1)).expand(-1, 5)
    yield (
        "image classifier, batches of 5",
        *_pair(classifier, innate, images, labels, losses.cross_entropy, cross_entropy),
    )


def _pair(
    network: nn.Module,
    innate: dict[str, Tensor],
    inputs: Tensor,
    targets: Tensor,
    loss_fn: LossFn,
    plain_loss_fn: Callable[[Tensor, Tensor], Tensor],
) -> tuple[Block, Block]:
    life, plain = Deployment(network, innate, inner_lr=LR, loss_fn=loss_fn), copy.deepcopy(network)
    for name, parameter in plain.named_parameters():
        parameter.requires_grad_(name not in innate)
    sgd = torch.optim.SGD([parameter for parameter in plain.parameters() if parameter.requires_grad], lr=LR)

    def ours() -> None:
        for x, y in zip(inputs, targets, strict=True):
            life.observe(x, y)

    def theirs() -> None:
        for x, y in zip(inputs, targets, strict=True):
            sgd.zero_grad()
            loss = plain_loss_fn(plain(x), y)
            loss.backward()
            sgd.step()
            loss.item()  # Which a life returns too.

    return ours, theirs


def _closed_form(num_features: int, num_examples: int) -> Iterator[tuple[str, str, Block, Block]]:
    features, numbers = torch.randn(num_examples, num_features), torch.randn(num_examples, 1)
    labels = torch.arange(num_examples) % NUM_LABELS
    numeric = {
        "recursive least squares": RecursiveLeastSquares(num_features),
        "normalised least mean squares": NormalisedLMS(num_features),
    }
    models = _river_models()
    for name, readout in numeric.items():
        sgd = SGDRegressor(learning_rate="constant", eta0=LR)
        theirs = _partial_fits(lambda x, y, sgd=sgd: sgd.partial_fit(x, y), features, numbers[:, 0])
        ours = _life(readout, features, numbers)
        yield name, "scikit-learn's SGDRegressor", ours, theirs
        if name in models:
            yield name, f"river's {type(models[name]).__name__}", ours, _river(models[name], features, numbers[:, 0])
    classes = {
        "ridge classifier": RidgeClassifier(num_features, NUM_LABELS),
        "class means": ClassMeans(num_features, NUM_LABELS),
        "streaming discriminant": LinearDiscriminant(num_features, NUM_LABELS),
        "innate discriminant": LinearDiscriminant(num_features, NUM_LABELS, strength=math.inf),
        "conjugate Bayes": ConjugateBayes(NUM_LABELS, flat_prior(num_features)),
    }
    for name, readout in classes.items():
        bayes = GaussianNB()
        theirs = _partial_fits(
            lambda x, y, bayes=bayes: bayes.partial_fit(x, y, classes=np.arange(NUM_LABELS)), features, labels
        )
        ours = _life(readout, features, labels)
        yield name, "scikit-learn's GaussianNB", ours, theirs
        if name in models:
            yield name, f"river's {type(models[name]).__name__}", ours, _river(models[name], features, labels)


def _river_models() -> dict[str, Any]:
    """What river has of the same kind, by our name; nothing, and that is said, if it is not installed."""
    try:
        linear, bayes = (importlib.import_module(f"river.{name}") for name in ("linear_model", "naive_bayes"))
    except ImportError:
        print("river is not installed: its rows are left out (pip install -e '.[bench]').", file=sys.stderr)
        return {}
    return {
        "recursive least squares": linear.BayesianLinearRegression(),
        "normalised least mean squares": linear.LinearRegression(),
        "conjugate Bayes": bayes.GaussianNB(),
    }


def _river(model: Any, features: Tensor, targets: Tensor) -> Block:
    """Asks for each example, then learns it."""
    rows = [dict(enumerate(row)) for row in features.tolist()]
    pairs = list(zip(rows, targets.tolist(), strict=True))

    def block() -> None:
        for x, y in pairs:
            model.predict_one(x)
            model.learn_one(x, y)

    return block


def _life(readout: Readout, features: Tensor, targets: Tensor) -> Block:
    life, pairs = ClosedFormLife(readout), list(zip(features.split(1), targets.split(1), strict=True))

    def block() -> None:
        for x, y in pairs:
            life.observe(x, y)

    return block


def _partial_fits(fit: Callable[[np.ndarray, np.ndarray], object], features: Tensor, targets: Tensor) -> Block:
    pairs = [(x.numpy(), y.numpy()) for x, y in zip(features.split(1), targets.split(1), strict=True)]

    def block() -> None:
        for x, y in pairs:
            fit(x, y)

    return block


def _row(config: Config, name: str, reference: str, ours: Block, theirs: Block) -> Row:
    for block in (ours, theirs):  # Caches and kernels.
        block()
    seconds = [(_timed(ours), _timed(theirs)) for _ in range(config.num_blocks)]
    ratios = [plain / own for own, plain in seconds]
    low, *_, high = quantiles(ratios, n=10, method="inclusive")
    return Row(
        life=name,
        reference=reference,
        per_second=round(config.num_examples / median(own for own, _ in seconds), 1),
        reference_per_second=round(config.num_examples / median(plain for _, plain in seconds), 1),
        ratio=round(median(ratios), 3),
        ratio_low=round(low, 3),
        ratio_high=round(high, 3),
    )


def _timed(block: Block) -> float:
    began = time.perf_counter()
    block()
    return time.perf_counter() - began


def _machine() -> str:
    about = Path("/proc/cpuinfo")
    lines = about.read_text().splitlines() if about.exists() else []
    models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return f"{models[0] if models else platform.processor() or platform.machine()}, {os.cpu_count()} cores"


def main(config: Config) -> None:
    """Measures, prints a table, and JSON alone if asked to."""
    console = Console(stderr=config.json_only)
    rows = list(measure(config))
    table = Table("life", "beside", "observations/s", "reference/s", "ratio (80 %)", box=box.SIMPLE)
    for row in rows:
        spread = f"{row.ratio:.2f} ({row.ratio_low:.2f}-{row.ratio_high:.2f})"
        table.add_row(row.life, row.reference, f"{row.per_second:,.0f}", f"{row.reference_per_second:,.0f}", spread)
    console.print(table)
    if config.json_only:
        record = {"machine": _machine(), "torch": torch.__version__, "load_average": os.getloadavg()[0]}
        record |= {"command": " ".join(["python benchmarks/deployment.py", *sys.argv[1:]])}
        print(json.dumps(record | {"rows": [asdict(row) for row in rows]}, indent=2))


if __name__ == "__main__":
    main(tyro.cli(Config))
