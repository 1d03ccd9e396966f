"""How fast a hyper step is: every engine variant beside a plain per-member loop, in one process, block by block.

    python benchmarks/hyper_step.py --population 3 --threads 1
    python benchmarks/hyper_step.py --paper --json > speed.json

Before anything is timed, variant and reference must agree on losses and parameters. A ratio is that of two neighbouring
blocks, so that a busy machine slows both; shown are the median of the ratios and the middle 80 % of them.
"""

import json
import os
import platform
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median, quantiles
from typing import Annotated, Any

import torch
import tyro
from rich import box
from rich.console import Console
from rich.table import Table
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.reference_loop import Params, ReferenceLoop, Settings

from hyperlearning.core.losses import mean_squared_error
from hyperlearning.core.params import partition, stack_members
from hyperlearning.learners.hyper_step import HyperBatch, HyperState, HyperStep, make_hyper_step
from hyperlearning.learners.inner_loop import Learner
from hyperlearning.learners.optimizers import optimizer
from hyperlearning.learners.population import Backend, compile_step, fused_unroll, population_forward
from hyperlearning.networks.dan.network import DANNetwork
from hyperlearning.networks.dan.phenotypes import MLPPhenotype

INNER_LR, OUTER_LR = 1e-3, 1e-4
CHECKED_STEPS = 3

Step = Callable[[], None]


@dataclass(frozen=True, kw_only=True)
class Config:
    """What is measured."""

    population: tuple[int, ...] = (1, 3, 16, 64)
    """Members side by side; one row each."""
    threads: tuple[int, ...] = (1, os.cpu_count() or 1)
    """CPU threads; one row each."""
    variants: tuple[str, ...] = ("eager", "compiled", "kernel")
    """Engine variants; "graphs" (CUDA graphs) is added on a GPU, and "kernel" is left out there."""
    layer_sizes: tuple[int, ...] = (1, 16, 16, 1)
    """Nodes per layer."""
    num_channels: int = 16
    """Size of a vector synapse."""
    hidden_sizes: tuple[int, ...] = (15, 8)
    """Hidden units of the phenotype."""
    paper: bool = False
    """Measure the papers' size instead: 1-40-40-1 with 40 channels."""
    batch_size: int = 1
    """Points of an inner step."""
    hyper_batch_size: int = 32
    """Points of a hyper-loss."""
    num_steps: int = 10
    """Hyper steps in a block."""
    num_blocks: int = 11
    """Pairs of neighbouring blocks, 2 or more."""
    json_only: Annotated[bool, tyro.conf.arg(name="json")] = False
    """Print JSON to standard output and nothing else."""

    def __post_init__(self) -> None:
        """Checks what would otherwise fail late."""
        if min(*self.population, *self.threads, self.num_steps, self.num_blocks - 1) < 1:
            raise ValueError("Expected positive `population`, `threads` and `num_steps`, and 2 or more `num_blocks`.")

    @property
    def sizes(self) -> tuple[int, ...]:
        """Nodes per layer of the network measured."""
        return (1, 40, 40, 1) if self.paper else self.layer_sizes

    @property
    def channels(self) -> int:
        """Channels of the network measured."""
        return 40 if self.paper else self.num_channels


@dataclass(frozen=True)
class Problem:
    """A network, a population of it, and data for one step."""

    network: DANNetwork
    plastic: Params
    innate: Params
    start: Params
    batch: HyperBatch


@dataclass(frozen=True)
class Work:
    """What the fewest operations of one step are."""

    flops: float
    tanhs: float


@dataclass(frozen=True)
class Peak:
    """What the machine does in a second at best."""

    flops: float
    tanhs: float


@dataclass(frozen=True)
class Row:
    """One comparison.

    `peak_share` is the fewest operations over the time taken, as a share of the machine's best; `floor_ms` what they
    would take at that best, with PyTorch's own tanh (a faster tanh may go below).
    """

    population: int
    threads: int
    variant: str
    reference_ms: float
    engine_ms: float
    speedup: float
    speedup_low: float
    speedup_high: float
    flops_per_step: float
    tanhs_per_step: float
    peak_share: float
    floor_ms: float


def make_problem(config: Config, population: int, device: str) -> Problem:
    """Draws a network, its members and a batch."""
    source = torch.Generator().manual_seed(0)

    def phenotype(num_channels: int, *, generator: torch.Generator | None) -> MLPPhenotype:
        return MLPPhenotype(num_channels, hidden_sizes=config.hidden_sizes, generator=generator)

    skips = tuple((layer, layer + 2) for layer in range(len(config.sizes) - 2))
    network = DANNetwork(
        config.sizes, num_channels=config.channels, phenotype=phenotype, skips=skips, generator=source
    ).to(device)
    start, innate = partition(network, network.is_innate)
    sizes = (config.batch_size, config.batch_size, config.hyper_batch_size, config.hyper_batch_size)
    ends = (config.sizes[0], config.sizes[-1]) * 2
    data = [torch.randn(1, population, b, n, generator=source).to(device) for b, n in zip(sizes, ends, strict=True)]
    return Problem(network, stack_members(start, population), innate, start, HyperBatch(*data))


def make_reference(problem: Problem) -> tuple[Step, Callable[[], tuple[Tensor, Params, Params]]]:
    """Makes the plain loop's step, and a look at its last hyper-loss and parameters."""
    loop = ReferenceLoop(
        problem.network,
        problem.plastic,
        problem.innate,
        problem.start,
        Settings(inner_optimizer="sgd", inner_lr=INNER_LR),
    )
    last: list[Tensor] = []

    def step() -> None:
        _, hyper = loop.step(*problem.batch, outer_lr=OUTER_LR)
        last[:] = [hyper]

    return step, lambda: (last[0], loop.plastic, loop.innate)


def make_engine(problem: Problem, variant: str) -> tuple[Step, Callable[[], tuple[Tensor, Params, Params]]]:
    """Makes an engine variant's step, and a look at its last hyper-loss and parameters."""
    inner, outer = optimizer("sgd"), optimizer("adam")
    backends: dict[str, Backend] = {"eager": "eager", "compiled": "compiled", "kernel": "kernel"}
    forward = population_forward(problem.network, problem.plastic, backend=backends.get(variant, "eager"))
    learner = Learner(forward, mean_squared_error, inner, INNER_LR, fused_unroll(forward))
    hyper_step = make_hyper_step(learner, outer)
    if variant == "compiled":
        hyper_step = compile_step(hyper_step, forward, backend="compiled", num_calls=1)
    if variant == "graphs":
        hyper_step = _with_cuda_graphs(hyper_step)
    moments = inner.init(problem.plastic), outer.init(problem.innate)
    state = HyperState(problem.plastic, moments[0], problem.innate, problem.start, moments[1])
    last: list[Any] = [state, None]
    rate = torch.tensor(OUTER_LR, device=problem.batch.inputs.device)

    def step() -> None:
        last[:] = hyper_step(last[0], problem.batch, rate)

    return step, lambda: (last[1].hyper, last[0].plastic, last[0].innate)


def check_agreement(problem: Problem, variant: str) -> None:
    """Runs reference and variant side by side for a few steps.

    Raises:
        AssertionError: If losses differ by 1 part in 10,000, or a parameter by a tenth of a step of Adam.
    """
    reference, look_at_reference = make_reference(problem)
    engine, look_at_engine = make_engine(problem, variant)
    for _ in range(CHECKED_STEPS):
        reference()
        engine()
    (loss, *params), (own_loss, *own_params) = look_at_reference(), look_at_engine()
    torch.testing.assert_close(own_loss, loss, rtol=1e-4, atol=1e-6)
    for own, expected, lr in zip(own_params, params, (INNER_LR, OUTER_LR), strict=True):
        torch.testing.assert_close(own, expected, rtol=1e-4, atol=0.1 * lr)


def compare(problem: Problem, variant: str, config: Config) -> tuple[list[float], list[float]]:
    """Times blocks of reference and variant in turn; returns seconds a step of each block."""
    reference, _ = make_reference(problem)
    engine, _ = make_engine(problem, variant)
    for step in (reference, engine):
        _seconds_per_step(step, CHECKED_STEPS, problem)
    pairs = [
        (_seconds_per_step(reference, config.num_steps, problem), _seconds_per_step(engine, config.num_steps, problem))
        for _ in range(config.num_blocks)
    ]
    return [a for a, _ in pairs], [b for _, b in pairs]


def fewest_operations(config: Config, population: int) -> Work:
    """Counts multiply-adds (two operations each) and tanhs of one step that does nothing in vain.

    Per layer the cheaper of two orders is taken: synapses first, or synapses folded with the phenotype's first weights.
    The inner step is a forward pass and gradients of synapses, the outer one a forward pass and gradients of the
    phenotype. Additions of biases, losses and optimizers are not counted.
    """
    last = len(config.sizes) - 1
    flops = tanhs = 0.0
    for layer in range(1, last + 1):
        sources = [layer - 1, *([layer - 2] if layer >= 2 else [])]
        fan_in = sum(config.sizes[source] for source in sources)
        active = sum(config.sizes[source] for source in sources if source)
        neurons = config.sizes[layer]
        for samples, of_synapses in ((config.batch_size, True), (config.hyper_batch_size, False)):
            orders = _multiply_adds(fan_in, active, neurons, config, samples, of_synapses=of_synapses)
            flops += 2 * min(orders)
            tanhs += samples * neurons * (sum(config.hidden_sizes) + 1)
    return Work(population * flops, population * tanhs)


def _multiply_adds(
    fan_in: int, active: int, neurons: int, config: Config, samples: int, *, of_synapses: bool
) -> tuple[int, int]:
    """Multiply-adds of a layer, forward and backward, plain and folded; `active` inputs need gradients."""
    channels, hidden = config.channels, config.hidden_sizes[0]
    tail = samples * neurons * sum(a * b for a, b in pairwise((*config.hidden_sizes, 1)))
    first = samples * neurons * channels * hidden
    into = samples * neurons * channels
    shared = tail * (2 if of_synapses else 3)
    if of_synapses:
        plain = (into * fan_in + first) + (first + into * fan_in + into * active)
    else:
        plain = (into * fan_in + first) + first + (first + into * active if active else 0)
    fold = (fan_in + 1) * neurons * channels * hidden
    through = samples * neurons * hidden
    folded = (fold + through * fan_in) + (fold + through * fan_in + through * active)
    return shared + plain, shared + folded


def measure_peak(device: str) -> Peak:
    """Measures large single-precision matrix products, and tanh on what fits a cache, with the threads now set."""
    size = 1024 if device == "cpu" else 8192
    a, b = torch.randn(2, size, size, device=device)
    values = torch.randn(16_384 if device == "cpu" else 2**26, device=device)
    out = torch.empty_like(values)
    product = min(seconds(lambda: torch.mm(a, b), 1, device) for _ in range(20))
    curve = min(seconds(lambda: torch.tanh(values, out=out), 20, device) for _ in range(20))
    return Peak(2 * size**3 / product, len(values) / curve)


def measure(config: Config, device: str, console: Console) -> Iterator[Row]:
    """Yields one row per thread count, population and variant."""
    variants = config.variants if device == "cpu" else (*(v for v in config.variants if v != "kernel"), "graphs")
    for threads in dict.fromkeys(config.threads):
        torch.set_num_threads(threads)
        peak = measure_peak(device)
        console.print(f"{threads} thread(s): at best {peak.flops / 1e9:.0f} GFLOP/s, {peak.tanhs / 1e9:.2f} Gtanh/s")
        for population in config.population:
            problem, work = make_problem(config, population, device), fewest_operations(config, population)
            for variant in variants:
                torch.compiler.reset()
                check_agreement(problem, variant)
                row = _row(compare(problem, variant, config), work, peak, population, threads, variant)
                console.print(f"  population {population}, {variant}: {row.speedup:.2f} times")
                yield row


def _row(
    seconds: tuple[list[float], list[float]], work: Work, peak: Peak, population: int, threads: int, variant: str
) -> Row:
    reference, engine = seconds
    ratios = [a / b for a, b in zip(reference, engine, strict=True)]
    deciles = quantiles(ratios, n=10, method="inclusive")
    return Row(
        population=population,
        threads=threads,
        variant=variant,
        reference_ms=1e3 * median(reference),
        engine_ms=1e3 * median(engine),
        speedup=median(ratios),
        speedup_low=deciles[0],
        speedup_high=deciles[-1],
        flops_per_step=work.flops,
        tanhs_per_step=work.tanhs,
        peak_share=work.flops / median(engine) / peak.flops,
        floor_ms=1e3 * (work.flops / peak.flops + work.tanhs / peak.tanhs),
    )


def _seconds_per_step(step: Step, num_steps: int, problem: Problem) -> float:
    return seconds(step, num_steps, problem.batch.inputs.device.type)


def seconds(action: Callable[[], object], times: int, device: str) -> float:
    """Times an action: seconds for each of some repetitions in a row."""
    synchronize = torch.cuda.synchronize if device == "cuda" else lambda: None
    synchronize()
    begin = time.perf_counter()
    for _ in range(times):
        action()
    synchronize()
    return (time.perf_counter() - begin) / times


def _with_cuda_graphs(step: HyperStep) -> HyperStep:
    with torch._dynamo.config.patch(trace_autograd_ops=True):
        compiled = torch.compile(step, fullgraph=True, dynamic=False, mode="reduce-overhead")

    def replay(state: HyperState, batch: HyperBatch, outer_lr: Tensor) -> Any:
        torch.compiler.cudagraph_mark_step_begin()
        with torch._dynamo.config.patch(trace_autograd_ops=True):
            state, losses = compiled(state, batch, outer_lr)
        # The graph writes its next results where these lie.
        kept = [{name: tensor.clone() for name, tensor in params.items()} for params in state]
        return HyperState(*kept), type(losses)(*(tensor.clone() for tensor in losses))

    return replay


def _table(rows: list[Row]) -> Table:
    table = Table(title="One hyper step, beside a plain per-member loop", box=box.SIMPLE, padding=0)
    for heading in ("members", "threads", "variant", "plain ms", "engine ms", "faster", "of peak", "perfect"):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in rows:
        spread = f"{row.speedup:.2f} ({row.speedup_low:.2f}-{row.speedup_high:.2f})"
        times = (f"{row.reference_ms:.3f}", f"{row.engine_ms:.3f}", spread)
        table.add_row(
            f"{row.population}", f"{row.threads}", row.variant, *times, f"{row.peak_share:.1%}", f"{row.floor_ms:.3f}"
        )
    return table


def machine(device: str) -> str:
    """Names the processor or the GPU."""
    if device == "cuda":
        return torch.cuda.get_device_name()
    about = Path("/proc/cpuinfo")
    lines = about.read_text().splitlines() if about.exists() else []
    models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return f"{models[0] if models else platform.processor() or platform.machine()}, {os.cpu_count()} cores"


def main(config: Config) -> None:
    """Measures, prints a table, and JSON alone if asked to."""
    console = Console(stderr=config.json_only)
    devices = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
    records = []
    for device in devices:
        rows = list(measure(config, device, console))
        console.print(_table(rows))
        records.append({"machine": machine(device), "torch": torch.__version__, "rows": [asdict(row) for row in rows]})
    if config.json_only:
        print(json.dumps(records[0] if len(records) == 1 else {"devices": records}, indent=2))


if __name__ == "__main__":
    main(tyro.cli(Config))
