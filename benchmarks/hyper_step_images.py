"""How fast a hyper step on images is: every engine variant beside a plain per-member loop, in one process, block by block.

    python benchmarks/hyper_step_images.py --population 3 --threads 1
    python benchmarks/hyper_step_images.py --json > speed.json
    python benchmarks/hyper_step_images.py --profile

The network: three strided convolutions of 16 maps (innate), 32 and 10 neurons whose phenotype is a small convolutional network,
and a skip from the features to the outputs. Before anything is timed, every variant and the reference must agree in double
precision on losses and parameters. A ratio is that of two neighbouring blocks, so that a busy machine slows both; shown are the
median of the ratios and the middle 80 % of them.
"""

import json
import multiprocessing
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
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

from benchmarks.hyper_step import machine, measure_peak, seconds
from benchmarks.reference_images import Neuron, Params, ReferenceImages, Synapses, trunk

from hyperlearning.core.losses import cross_entropy
from hyperlearning.learners.hyper_step import HyperBatch, HyperState, make_hyper_step
from hyperlearning.learners.inner_loop import Learner
from hyperlearning.learners.optimizers import optimizer
from hyperlearning.learners.population import Backend, split_forward
from hyperlearning.networks.dan.conv_phenotype import ConvPhenotype
from hyperlearning.networks.dan.network import DANNetwork
from hyperlearning.networks.trunk import TrunkNetwork

INNER_LR, OUTER_LR = 3e-3, 1e-3
CHECKED_STEPS = 3
SIDE, NUM_MAPS, NUM_NEURONS, NUM_CLASSES = 28, 16, 32, 10
NUM_FEATURES = NUM_MAPS * 4**2

Step = Callable[[], None]
Look = Callable[[], tuple[Tensor, Tensor, Params, Params]]


@dataclass(frozen=True, kw_only=True)
class Config:
    """What is measured."""

    population: tuple[int, ...] = (1, 3, 8)
    """Members side by side; one row each."""
    threads: tuple[int, ...] = (1, 2)
    """CPU threads; one row each."""
    variants: tuple[str, ...] = ("eager", "kernel", "kernel / frugal")
    """Engine backends; after a slash the reference, plain unless it says frugal. "kernel" is left out on a GPU."""
    num_channels: int = 16
    """Size of a vector synapse, a square number."""
    maps: tuple[int, ...] = (8, 8)
    """Feature maps of the phenotype's convolutions."""
    kernel_size: int = 2
    """Side of its kernels."""
    hidden_sizes: tuple[int, ...] = (16,)
    """Units of its dense hidden layers."""
    batch_size: int = 5
    """Images of an inner step."""
    hyper_batch_size: int = 20
    """Images of a hyper-loss."""
    num_steps: int = 10
    """Hyper steps in a block."""
    num_blocks: int = 11
    """Pairs of neighbouring blocks, 2 or more."""
    profile: bool = False
    """Print where the time of each variant goes instead."""
    json_only: Annotated[bool, tyro.conf.arg(name="json")] = False
    """Print JSON to standard output and nothing else."""

    def __post_init__(self) -> None:
        """Checks what would otherwise fail late."""
        if min(*self.population, *self.threads, self.num_steps, self.num_blocks - 1) < 1:
            raise ValueError("Expected positive `population`, `threads` and `num_steps`, and 2 or more `num_blocks`.")


@dataclass(frozen=True)
class Problem:
    """A reference with its first parameters, and data for one step."""

    config: Config
    population: int
    batch: HyperBatch

    @property
    def device(self) -> torch.device:
        """Where it lies."""
        return self.batch.inputs.device

    @property
    def dtype(self) -> torch.dtype:
        """Its precision."""
        return self.batch.inputs.dtype


@dataclass(frozen=True)
class Row:
    """One comparison.

    `peak_share` is the fewest operations over the time taken, as a share of the machine's best; `floor_ms` what they would
    take at that best, and Adam's reads and writes at the speed of copying as much.
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
    phenotype_flops_per_step: float
    adam_bytes_per_step: float
    peak_share: float
    floor_ms: float
    images_per_second: float
    reference_images_per_second: float
    peak_memory_mb: float | None
    reference_peak_memory_mb: float | None


def make_problem(config: Config, population: int, device: str, dtype: torch.dtype = torch.float32) -> Problem:
    """Draws one step's data."""
    source = torch.Generator().manual_seed(0)
    data = []
    for batch in (config.batch_size, config.hyper_batch_size):
        images = torch.rand(1, population, batch, 1, SIDE, SIDE, generator=source, dtype=torch.float64)
        labels = torch.randint(NUM_CLASSES, (1, population, batch), generator=source)
        data += [images.to(device, dtype), labels.to(device)]
    return Problem(config, population, HyperBatch(*data))


def make_loop(problem: Problem, *, frugal: bool) -> ReferenceImages:
    """Makes the plain loop; always with the same first parameters."""
    config = problem.config
    side = round(config.num_channels**0.5)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        innate = trunk(NUM_MAPS)
        neuron = Neuron(side, maps=config.maps, kernel_size=config.kernel_size, hidden_sizes=config.hidden_sizes)
        sizes = (NUM_FEATURES, NUM_NEURONS, NUM_CLASSES)
        members = [Synapses(sizes, config.num_channels) for _ in range(problem.population)]
    moved = [module.to(problem.device, problem.dtype) for module in (innate, neuron, *members)]
    return ReferenceImages(moved[0], moved[1], members, inner_lr=INNER_LR, outer_lr=OUTER_LR, frugal=frugal)


def make_reference(problem: Problem, *, frugal: bool) -> tuple[Step, Look]:
    """Makes the plain loop's step, and a look at its last losses and parameters."""
    loop = make_loop(problem, frugal=frugal)
    last: list[Tensor] = []

    def step() -> None:
        last[:] = loop.step(*(tensor[0] for tensor in problem.batch))

    return step, lambda: (last[0], last[1], loop.plastic, loop.innate)


def make_engine(problem: Problem, backend: Backend) -> tuple[Step, Look]:
    """Makes an engine variant's step, and a look at its last losses and parameters."""
    loop, network = make_loop(problem, frugal=False), make_network(problem.config)
    plastic, innate = loop.plastic, loop.innate
    prepare, forward = split_forward(network, plastic, input_ndim=3, backend=backend)
    inner, outer = optimizer("adam"), optimizer("adam")
    hyper_step = make_hyper_step(Learner(forward, cross_entropy, inner, INNER_LR, prepare=prepare), outer)
    start = {name: tensor[0] for name, tensor in plastic.items()}
    state = HyperState(plastic, inner.init(plastic), innate, start, outer.init(innate))
    last: list[Any] = [state, None]
    rate = torch.tensor(OUTER_LR, device=problem.device, dtype=problem.dtype)

    def step() -> None:
        last[:] = hyper_step(last[0], problem.batch, rate)

    return step, lambda: (last[1].task, last[1].hyper, last[0].plastic, last[0].innate)


def make_network(config: Config) -> TrunkNetwork:
    """The library's own network of this architecture."""

    def phenotype(num_channels: int, *, generator: torch.Generator | None) -> ConvPhenotype:
        return ConvPhenotype(
            num_channels,
            maps=config.maps,
            kernel_size=config.kernel_size,
            hidden_sizes=config.hidden_sizes,
            generator=generator,
        )

    head = DANNetwork(
        (NUM_FEATURES, NUM_NEURONS, NUM_CLASSES),
        num_channels=config.num_channels,
        phenotype=phenotype,
        skips=((0, 2),),
    )
    return TrunkNetwork(trunk(NUM_MAPS), head)


def make(problem: Problem, name: str) -> tuple[Step, Look]:
    """Makes a step by its name: "plain" or "frugal" for a reference, else an engine backend."""
    if name in ("plain", "frugal"):
        return make_reference(problem, frugal=name == "frugal")
    backends: dict[str, Backend] = {"eager": "eager", "kernel": "kernel"}
    return make_engine(problem, backends[name])


def names_of(variant: str) -> tuple[str, str]:
    """Reference and engine of a variant."""
    engine, _, reference = variant.partition(" / ")
    return reference or "plain", engine


def check_agreement(config: Config, population: int, device: str, variant: str) -> None:
    """Runs reference and variant side by side for a few steps, in double precision.

    Raises:
        AssertionError: If losses or parameters differ by more than rounding.
    """
    problem = make_problem(config, population, device, torch.float64)
    (reference, look), (engine, own_look) = (make(problem, name) for name in names_of(variant))
    for _ in range(CHECKED_STEPS):
        reference()
        engine()
        for expected, own in zip(look(), own_look(), strict=True):
            torch.testing.assert_close(own, expected, rtol=1e-7, atol=1e-9)


def compare(problem: Problem, variant: str) -> tuple[list[float], list[float]]:
    """Times blocks of reference and variant in turn; returns seconds a step of each block."""
    config = problem.config
    (reference, _), (engine, _) = (make(problem, name) for name in names_of(variant))
    for step in (reference, engine):
        seconds(step, CHECKED_STEPS, problem.device.type)
    pairs = [
        tuple(seconds(step, config.num_steps, problem.device.type) for step in (reference, engine))
        for _ in range(config.num_blocks)
    ]
    return [a for a, _ in pairs], [b for _, b in pairs]


def phenotype_multiply_adds(config: Config) -> int:
    """Multiply-adds of one neuron for one sample, forward."""
    side, total = round(config.num_channels**0.5), 0
    for source, target in pairwise((1, *config.maps)):
        side -= config.kernel_size - 1
        total += side**2 * source * target * config.kernel_size**2
    return total + sum(a * b for a, b in pairwise((config.maps[-1] * side**2, *config.hidden_sizes, 1)))


def fewest_operations(config: Config, population: int) -> tuple[float, float]:
    """Counts floating-point operations (two per multiply-add) of one step that does nothing in vain: all, and phenotypes'.

    The inner step is a forward pass and gradients of synapses, the outer one a forward pass and gradients of phenotypes and
    trunk. Additions of biases, losses and optimizers are not counted.
    """
    inner, outer = config.batch_size, config.hyper_batch_size
    first, *rest = (side**2 * NUM_MAPS * source * 9 for side, source in ((14, 1), (7, NUM_MAPS), (4, NUM_MAPS)))
    of_trunk = (inner + 2 * outer) * first + (inner + 3 * outer) * sum(rest)
    neurons = NUM_NEURONS + NUM_CLASSES
    from_features = NUM_FEATURES * neurons * config.num_channels
    from_hidden = NUM_NEURONS * NUM_CLASSES * config.num_channels
    of_synapses = (2 * inner + 2 * outer) * from_features + (3 * inner + 2 * outer) * from_hidden
    of_phenotypes = (2 * inner + 3 * outer) * neurons * phenotype_multiply_adds(config)
    factor = 2.0 * population
    return factor * (of_trunk + of_synapses + of_phenotypes), factor * of_phenotypes


def adam_bytes(config: Config, population: int) -> float:
    """Bytes that Adam on all synapses must read (value, gradient, two moments) and write (all but the gradient)."""
    targets = (NUM_NEURONS + NUM_CLASSES) * config.num_channels
    count = (NUM_FEATURES + 1) * targets + (NUM_NEURONS + 1) * NUM_CLASSES * config.num_channels
    return 7.0 * 4 * count * population


def copied_bytes_per_second(num_bytes: float, device: str) -> float:
    """Measures copying between buffers that hold as many bytes in all; counts reads and writes."""
    source = torch.zeros(int(num_bytes / 8), device=device)
    target = torch.zeros_like(source)
    return num_bytes / min(seconds(lambda: target.copy_(source), 5, device) for _ in range(20))


def peak_memory_mb(config: Config, population: int, name: str) -> float | None:
    """Measures how far the memory of a process of its own grows by making and running a step; Linux only."""
    if not Path("/proc/self/clear_refs").exists():
        return None
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_grown_mb, (replace(config, json_only=False), population, name))


def _grown_mb(config: Config, population: int, name: str) -> float:
    torch.set_num_threads(1)
    make(make_problem(config, 1, "cpu"), name)[0]()
    before = _status_mb("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # The highest mark starts anew.
    step, _ = make(make_problem(config, population, "cpu"), name)
    for _ in range(CHECKED_STEPS):
        step()
    return _status_mb("VmHWM") - before


def _status_mb(key: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(key))


def measure(config: Config, device: str, console: Console) -> Iterator[Row]:
    """Yields one row per thread count, population and variant."""
    variants = config.variants if device == "cpu" else ("eager", "eager / frugal")
    names = {name for variant in variants for name in names_of(variant)}
    memory = {
        (p, n): peak_memory_mb(config, p, n) if device == "cpu" else None for p in config.population for n in names
    }
    for threads in dict.fromkeys(config.threads):
        torch.set_num_threads(threads)
        peak = measure_peak(device).flops
        console.print(f"{threads} thread(s): at best {peak / 1e9:.0f} GFLOP/s")
        for population in config.population:
            for variant in variants:
                check_agreement(config, population, device, variant)
                times = compare(make_problem(config, population, device), variant)
                used = [memory[population, name] for name in names_of(variant)]
                row = _row(config, device, times, used, peak, population, threads, variant)
                console.print(f"  population {population}, {variant}: {row.speedup:.2f} times")
                yield row


def _row(
    config: Config,
    device: str,
    times: tuple[list[float], list[float]],
    memory: list[float | None],
    peak: float,
    population: int,
    threads: int,
    variant: str,
) -> Row:
    reference, engine = times
    ratios = [a / b for a, b in zip(reference, engine, strict=True)]
    deciles = quantiles(ratios, n=10, method="inclusive")
    flops, of_phenotypes = fewest_operations(config, population)
    moved = adam_bytes(config, population)
    images = population * (config.batch_size + config.hyper_batch_size)
    return Row(
        population=population,
        threads=threads,
        variant=variant,
        reference_ms=1e3 * median(reference),
        engine_ms=1e3 * median(engine),
        speedup=median(ratios),
        speedup_low=deciles[0],
        speedup_high=deciles[-1],
        flops_per_step=flops,
        phenotype_flops_per_step=of_phenotypes,
        adam_bytes_per_step=moved,
        peak_share=flops / median(engine) / peak,
        floor_ms=1e3 * (flops / peak + moved / copied_bytes_per_second(moved, device)),
        images_per_second=images / median(engine),
        reference_images_per_second=images / median(reference),
        reference_peak_memory_mb=memory[0],
        peak_memory_mb=memory[1],
    )


def show_profile(config: Config, console: Console) -> None:
    """Prints which operations take the time of each variant."""
    torch.set_num_threads(config.threads[0])
    for name in dict.fromkeys(name for variant in config.variants for name in names_of(variant)):
        step, _ = make(make_problem(config, config.population[0], "cpu"), name)
        seconds(step, CHECKED_STEPS, "cpu")
        with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
            seconds(step, config.num_steps, "cpu")
        console.print(f"{name}, {config.num_steps} steps of population {config.population[0]}")
        console.print(profile.key_averages().table(sort_by="self_cpu_time_total", row_limit=25))


def _table(rows: list[Row]) -> Table:
    table = Table(title="One hyper step on images, beside a plain per-member loop", box=box.SIMPLE, padding=0)
    headings = (
        "members",
        "threads",
        "variant",
        "plain ms",
        "engine ms",
        "faster",
        "of peak",
        "perfect",
        "images/s",
        "MB",
    )
    for heading in headings:
        table.add_column(heading, justify="right", no_wrap=True)
    for row in rows:
        spread = f"{row.speedup:.2f} ({row.speedup_low:.2f}-{row.speedup_high:.2f})"
        memory = "-" if row.peak_memory_mb is None else f"{row.peak_memory_mb:.0f}"
        table.add_row(
            f"{row.population}",
            f"{row.threads}",
            row.variant,
            f"{row.reference_ms:.2f}",
            f"{row.engine_ms:.2f}",
            spread,
            f"{row.peak_share:.0%}",
            f"{row.floor_ms:.2f}",
            f"{row.images_per_second:.0f}",
            memory,
        )
    return table


def main(config: Config) -> None:
    """Measures, prints a table, and JSON alone if asked to."""
    console = Console(stderr=config.json_only)
    if config.profile:
        show_profile(config, console)
        return
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
