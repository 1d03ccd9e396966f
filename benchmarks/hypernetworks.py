"""Hypernetworks: many targets in one call beside one after another, and a training step beside hypnettorch's.

    python benchmarks/hypernetworks.py
    python benchmarks/hypernetworks.py --json > results/speed/hypernetworks.json
    python benchmarks/hypernetworks.py --golden > tests/learners/hypernet_continual/hypnettorch.json

hypnettorch 0.0.4 declares no dependencies, and is no longer maintained: give it an environment of its own that has this package
(`pip install --no-deps hypnettorch==0.0.4` and `pip install tensorboardX`); its rows are left out where it is absent. `--golden`
writes what its hypernetworks and its regulariser make of small numbers.

"Targets" are emitted, run and differentiated down to the hypernetwork's own weights: 32 conditions in one call, and in a loop.
The step is that of Split MNIST after four tasks: a chunked hypernetwork of 466,000 weights, a target of 784-400-400-10, 128
images, the output penalty on the four, Adam; both begin with the same weights and are checked to have the same losses. Blocks of
the two alternate; a ratio is that of two neighbours, shown are the median and the middle 80 %. Memory is what a process of its
own grows by at most. One thread.
"""

import json
import multiprocessing
import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from statistics import median, quantiles
from typing import Annotated, Any

import torch
import tyro

sys.path.insert(0, str(Path(__file__).parents[1]))
from benchmarks.hyper_step import machine
from rich import box
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from hyperlearning.learners.hypernet_continual.factored import Factored
from hyperlearning.networks.hypernetworks.hypernetwork import Hypernetwork

CONDITIONS, BATCH, TASKS, BETA = 32, 128, 5, 0.01
Block = Callable[[], object]


@dataclass(frozen=True, kw_only=True)
class Config:
    """What is measured."""

    rows: tuple[str, ...] = ("SIREN", "Conv4", "hypnettorch")
    """Which of them."""
    num_blocks: int = 7
    """Pairs of neighbouring blocks, 2 or more."""
    golden: bool = False
    """Print golden values of hypnettorch and nothing else."""
    json_only: Annotated[bool, tyro.conf.arg(name="json")] = False
    """Print JSON to standard output and nothing else."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One thing that is timed.

    Attributes:
        what: What it is.
        reference: What it stands beside.
        ms: Of the library.
        reference_ms: Of the reference.
        ratio: Median over pairs of blocks of how many times longer the reference takes.
        ratio_low: Lower end of the middle 80 %.
        ratio_high: Upper end.
        memory_mb: What a process grows by with the library's.
        reference_memory_mb: With the reference's.
    """

    what: str
    reference: str
    ms: float
    reference_ms: float
    ratio: float
    ratio_low: float
    ratio_high: float
    memory_mb: float | None = None
    reference_memory_mb: float | None = None


class Sine(nn.Module):
    """The activation of SIREN."""

    def forward(self, inputs: Tensor) -> Tensor:
        """Applies it."""
        return torch.sin(30 * inputs)


def siren() -> nn.Sequential:
    """2-32-32-1."""
    return nn.Sequential(nn.Linear(2, 32), Sine(), nn.Linear(32, 32), Sine(), nn.Linear(32, 1))


def conv4(width: int) -> nn.Sequential:
    """Four convolutions of few-shot learning, for characters, and five logits."""
    layers: list[nn.Module] = []
    for channels in (1, width, width, width):
        layers += [nn.Conv2d(channels, width, 3, padding=1), nn.BatchNorm2d(width, track_running_stats=False)]
        layers += [nn.ReLU(), nn.MaxPool2d(2)]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(width, 5))


def measure(config: Config) -> Iterator[Row]:
    """Measures everything beside its reference."""
    torch.set_num_threads(1)
    for points in (16, 64, 784) if "SIREN" in config.rows else ():
        what = f"SIREN 2-32-32-1, {points} points each"
        yield _row(what, "a loop over conditions", config, _many, _loop, ("siren", points))
    for width in (8, 16, 64) if "Conv4" in config.rows else ():
        what = f"Conv4 of {width} maps, 5 images each"
        yield _row(what, "a loop over conditions", config, _many, _loop, ("conv4", width))
    if "hypnettorch" in config.rows and has_hypnettorch():
        _check_steps()
        yield _row("a training step, Split MNIST, fifth task", "hypnettorch", config, _our_step, _their_step, ())


def _problem(kind: str, size: int) -> tuple[Hypernetwork, Tensor]:
    torch.manual_seed(0)
    if kind == "siren":
        return Hypernetwork(siren(), CONDITIONS), torch.rand(CONDITIONS, size, 2)
    return Hypernetwork(conv4(size), CONDITIONS, hidden=(16,)), torch.rand(CONDITIONS, 5, 1, 28, 28)


def _many(kind: str, size: int) -> Block:
    hyper, inputs = _problem(kind, size)
    all_of_them, own = torch.arange(CONDITIONS), list(hyper.parameters())
    return lambda: torch.autograd.grad(hyper(inputs, all_of_them).square().mean(), own)


def _loop(kind: str, size: int) -> Block:
    hyper, inputs = _problem(kind, size)
    own = list(hyper.parameters())

    def block() -> object:
        outputs = torch.stack([hyper(inputs[at], at) for at in range(CONDITIONS)])
        return torch.autograd.grad(outputs.square().mean(), own)

    return block


def has_hypnettorch() -> bool:
    """Whether the peer is there."""
    return find_spec("hypnettorch") is not None


def _images() -> tuple[Tensor, Tensor]:
    source = torch.Generator().manual_seed(1)
    return torch.rand(BATCH, 784, generator=source), torch.randint(2, (BATCH,), generator=source)


def _their_hypernetwork() -> tuple[Any, Any]:
    from hypnettorch.hnets import ChunkedHMLP  # type: ignore[import-not-found]
    from hypnettorch.mnets import MLP  # type: ignore[import-not-found]

    torch.manual_seed(0)
    target = MLP(n_in=784, n_out=10, hidden_layers=[400, 400], no_weights=True, verbose=False)
    hyper = ChunkedHMLP(
        target.param_shapes,
        42_000,
        chunk_emb_size=96,
        cond_in_size=96,
        num_cond_embs=TASKS,
        layers=(10, 10),
        verbose=False,
    )
    return target, hyper


def _their_step() -> Callable[[], float]:
    from hypnettorch.utils.hnet_regularizer import (  # type: ignore[import-not-found]
        calc_fix_target_reg,
        get_current_targets,
    )

    target, hyper = _their_hypernetwork()
    images, labels = _images()
    targets = get_current_targets(TASKS - 1, hyper)
    optimizer = torch.optim.Adam([*hyper.unconditional_params, hyper.conditional_params[TASKS - 1]], 0.001)

    def step() -> float:
        optimizer.zero_grad()
        weights = hyper.forward(cond_id=TASKS - 1)
        loss = cross_entropy(target.forward(images, weights=weights)[:, -2:], labels)
        total = loss + BETA * calc_fix_target_reg(hyper, TASKS - 1, targets=targets)
        total.backward()
        optimizer.step()
        return float(total.detach())

    return step


def _same_hypernetwork() -> Hypernetwork:
    """Ours, with the very numbers that theirs begins with; a target of which all numbers are 1 or -1 has no scales."""
    target = nn.Sequential(nn.Linear(784, 400), nn.ReLU(), nn.Linear(400, 400), nn.ReLU(), nn.Linear(400, 10))
    with torch.no_grad():
        for tensor in target.parameters():
            tensor.fill_(1)[0] = -1
    hyper = Hypernetwork(target, TASKS, embedding_size=96, hidden=(10, 10), chunk_size=42_000, chunk_embedding_size=96)
    if has_hypnettorch():
        copy_over(_their_hypernetwork()[1], hyper, num_conditions=TASKS)
    return hyper


@torch.no_grad()
def copy_over(theirs: Any, ours: Hypernetwork, *, num_conditions: int) -> None:
    """Gives ours the weights of a hypernetwork of theirs, which has a chunk's embedding before a condition's."""
    weights = list(theirs.internal_params)
    ours.embeddings.copy_(torch.stack(weights[:num_conditions]))
    del weights[:num_conditions]
    if ours.chunk_head is not None:
        chunks = ours.get_parameter("writers.target.embeddings")
        size = chunks.shape[1]
        weights[0] = torch.cat([weights[0][:, size:], weights[0][:, :size]], 1)
        chunks.copy_(weights.pop())
    head = ours.get_submodule("writers.target.head") if ours.chunk_head is None else ours.chunk_head
    own = [tensor for layer in (*ours.body.layers.children(), head) for tensor in layer.parameters()]
    for tensor, value in zip(own, weights, strict=True):
        tensor.copy_(value)


def _our_step() -> Callable[[], float]:
    hyper = _same_hypernetwork()
    images, labels = _images()
    old = hyper.embeddings[: TASKS - 1].detach()
    penalty = Factored(hyper, old, hyper.reaches().square().float())
    new = nn.Parameter(hyper.embeddings[TASKS - 1 :].detach().clone())
    trained = [tensor for name, tensor in hyper.named_parameters() if name != "embeddings"]
    optimizer = torch.optim.Adam([*trained, new], 0.001, fused=True)

    def step() -> float:
        optimizer.zero_grad()
        weights = {name: made[0] for name, made in hyper.emit(new).items()}
        loss = cross_entropy(hyper.run_one(weights, images)[:, -2:], labels)
        loss.backward()
        moved = penalty.backward(hyper, old, None, BETA / (TASKS - 1))
        optimizer.step()
        return float(loss.detach() + moved)

    return step


def _check_steps() -> None:
    ours, theirs = _our_step(), _their_step()
    losses = [(ours(), theirs()) for _ in range(5)]
    for own, other in losses:
        assert abs(own - other) <= 1e-4 * abs(other), losses


def _row(
    what: str,
    reference: str,
    config: Config,
    ours: Callable[..., Block],
    theirs: Callable[..., Block],
    about: tuple[Any, ...],
) -> Row:
    blocks = ours(*about), theirs(*about)
    for block in blocks:
        block()
    pairs = [tuple(_seconds(block) for block in blocks) for _ in range(config.num_blocks)]
    ratios = [other / own for own, other in pairs]
    tenths = quantiles(ratios, n=10, method="inclusive")
    return Row(
        what=what,
        reference=reference,
        ms=round(1000 * median(own for own, _ in pairs), 3),
        reference_ms=round(1000 * median(other for _, other in pairs), 3),
        ratio=round(median(ratios), 2),
        ratio_low=round(tenths[0], 2),
        ratio_high=round(tenths[-1], 2),
        memory_mb=_memory_mb(ours, about),
        reference_memory_mb=_memory_mb(theirs, about),
    )


def _seconds(block: Block, *, least: float = 0.2) -> float:
    """Of one call, over as many as take `least` seconds."""
    start, calls = time.perf_counter(), 0
    while True:
        block()
        calls += 1
        if (taken := time.perf_counter() - start) >= least:
            return taken / calls


def _memory_mb(make: Callable[..., Block], about: tuple[Any, ...]) -> float | None:
    """How far a process of its own grows in a call, after one; nothing where the system does not say."""
    if not Path("/proc/self/status").exists():
        return None
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return round(pool.apply(_grown, (make, about)), 1)


def _grown(make: Callable[..., Block], about: tuple[Any, ...]) -> float:
    torch.set_num_threads(1)
    before = _status_mb("VmRSS")
    make(*about)()
    return _status_mb("VmHWM") - before


def _status_mb(key: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(key)) / 1024


def golden() -> dict[str, Any]:
    """What hypnettorch makes of small numbers: emitted weights, whole and chunked, and its regulariser with its gradient."""
    from hypnettorch.hnets import HMLP, ChunkedHMLP  # type: ignore[import-not-found]
    from hypnettorch.mnets import MLP  # type: ignore[import-not-found]
    from hypnettorch.utils.hnet_regularizer import (  # type: ignore[import-not-found]
        calc_fix_target_reg,
        get_current_targets,
    )

    torch.manual_seed(0)
    torch.set_default_dtype(torch.float64)
    target = MLP(n_in=3, n_out=2, hidden_layers=[4], no_weights=True, verbose=False)
    sizes = {"cond_in_size": 3, "num_cond_embs": 3, "layers": (5, 4), "verbose": False}
    made = {
        "whole": HMLP(target.param_shapes, **sizes),
        "chunks": ChunkedHMLP(target.param_shapes, 10, chunk_emb_size=2, **sizes),
    }
    found = {}
    for name, hyper in made.items():
        with torch.no_grad():
            for tensor in hyper.internal_params:
                tensor.copy_(torch.randn(tensor.shape).round(decimals=3))
        first = [tensor.detach().clone() for tensor in hyper.internal_params]
        targets = get_current_targets(2, hyper)
        emitted = [torch.cat([one.flatten() for one in hyper.forward(cond_id=at)]).tolist() for at in range(3)]
        with torch.no_grad():
            for tensor in hyper.internal_params[3:]:
                tensor.add_((0.1 * torch.randn(tensor.shape)).round(decimals=3))
        penalty = calc_fix_target_reg(hyper, 2, targets=targets)
        slopes = torch.autograd.grad(penalty, list(hyper.internal_params)[3:], allow_unused=True)
        found[name] = {
            "params": [tensor.tolist() for tensor in first],
            "emitted": emitted,
            "moved_params": [tensor.tolist() for tensor in hyper.internal_params],
            "penalty": float(penalty.detach()),
            "slopes": [None if slope is None else slope.tolist() for slope in slopes],
        }
    return found


def main(config: Config) -> None:
    """Measures, and shows a table or prints JSON."""
    if config.golden:
        print(json.dumps(golden()))
        return
    console = Console(stderr=config.json_only)
    table = Table("what", "beside", "ms", "reference ms", "ratio (80 %)", "MB / reference", box=box.SIMPLE_HEAD)
    rows = []
    for row in measure(config):
        rows.append(row)
        table.add_row(
            row.what,
            row.reference,
            f"{row.ms:.2f}",
            f"{row.reference_ms:.2f}",
            f"{row.ratio:.1f} ({row.ratio_low:.1f}-{row.ratio_high:.1f})",
            f"{row.memory_mb} / {row.reference_memory_mb}",
        )
    console.print(table)
    if config.json_only:
        facts = {
            "machine": machine("cpu"),
            "torch": torch.__version__,
            "load_average": os.getloadavg()[0],
            "command": "python benchmarks/hypernetworks.py --json",
        }
        print(json.dumps({**facts, "rows": [asdict(row) for row in rows]}, indent=2))


if __name__ == "__main__":
    main(tyro.cli(Config))
