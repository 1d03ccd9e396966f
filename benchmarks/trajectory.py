"""How fast a meta-step of ANML is, and what it takes: the library beside a plain reference.

    python benchmarks/trajectory.py --threads 1
    python benchmarks/trajectory.py --json > speed.json

The reference feeds images one by one and differentiates with respect to everything. First the two must agree on loss and
meta-gradient in double precision (in single, both are as far from that as rounding takes them). Then they take turns in
one process; a ratio is that of two neighbouring steps, so that a busy machine slows both. Both times include the outer
update by Adam. Peak memory is that of a fresh process for each; what Python and libraries hold before the first step is
given too.
"""

import json
import os
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Annotated

import torch
import tyro
from rich import box
from rich.console import Console
from rich.table import Table
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.reference_trajectory import Params, anml_predict, meta_step

from hyperlearning.core.params import partition, stack_members
from hyperlearning.learners.hyper_step import HyperBatch, HyperState, make_hyper_step, outer_parameters
from hyperlearning.learners.optimizers import adam, sgd
from hyperlearning.learners.trajectory import trajectory_learner
from hyperlearning.learners.trajectory_footprint import trajectory_footprint
from hyperlearning.networks.gated.anml import ANMLNetwork

INNER_LR, OUTER_LR = 0.1, 1e-3
IMAGE_SHAPE = (1, 28, 28)

Step = Callable[[], object]


@dataclass(frozen=True, kw_only=True)
class Config:
    """What is measured."""

    threads: tuple[int, ...] = (1, os.cpu_count() or 1)
    """CPU threads; one row each."""
    width: float = 1.0
    """Share of the published feature maps."""
    num_inner_steps: int = 20
    """Images of the trajectory."""
    remember_size: int = 64
    """Images of the remember set."""
    num_pairs: int = 3
    """Pairs of neighbouring steps."""
    memory_of: Annotated[str | None, tyro.conf.arg(help="Internal: measure one variant's peak and print it.")] = None
    json_only: Annotated[bool, tyro.conf.arg(name="json")] = False
    """Print JSON to standard output and nothing else."""

    def __post_init__(self) -> None:
        """Checks what would otherwise fail late."""
        if min(*self.threads, self.num_inner_steps, self.remember_size, self.num_pairs) < 1:
            raise ValueError("Expected positive `threads`, `num_inner_steps`, `remember_size` and `num_pairs`.")


@dataclass(frozen=True)
class Problem:
    """A network and the data of one meta-step."""

    network: ANMLNetwork
    images: Tensor
    labels: Tensor
    remembered: Tensor
    remembered_labels: Tensor


@dataclass(frozen=True)
class Row:
    """One comparison.

    `floor_seconds` is the multiplications and additions of plain convolutions (`fewest_operations`) over the machine's best at
    large matrix products, at the same moment; `peak_share` is the floor as a share of the time taken, more than 1 where minimal
    filtering saves more than is lost. Memory is in bytes; `base` is a process before its first
    step. `gradient_difference` is that in double precision.
    """

    order: str
    threads: int
    reference_seconds: float
    seconds: float
    speedup: float
    speedup_low: float
    speedup_high: float
    flops: float
    floor_seconds: float
    peak_share: float
    reference_peak: int
    peak: int
    reference_base: int
    base: int
    memory_ratio: float
    estimated_peak: int
    gradient_difference: float


def make_problem(config: Config, dtype: torch.dtype = torch.float32) -> Problem:
    """Draws a network and images."""
    source = torch.Generator().manual_seed(0)
    network = ANMLNetwork(width=config.width, generator=source).to(dtype)
    return Problem(
        network,
        torch.rand(config.num_inner_steps, *IMAGE_SHAPE, generator=source).to(dtype),
        torch.full((config.num_inner_steps,), 5),
        torch.rand(config.remember_size, *IMAGE_SHAPE, generator=source).to(dtype),
        torch.randint(0, 963, (config.remember_size,), generator=source),
    )


def to_reference(params: Params) -> Params:
    """Names and lays out the library's parameters, or gradients of them, as the reference has them.

    Maps come first there, positions in the library; the biases that normalization cancels are zeros.
    """
    maps = {part: len(params[f"{part}.stack.shifts.0"]) for part in ("predictor", "neuromodulator")}
    result = {}
    for name, tensor in params.items():
        part, *middle, leaf = name.split(".")
        if middle == ["stack", "weights"]:
            result[f"{part}.convolutions.{leaf}.weight"] = tensor.permute(0, 3, 1, 2)
            result[f"{part}.convolutions.{leaf}.bias"] = tensor.new_zeros(len(tensor))
        elif middle[0] == "stack":
            result[f"{part}.norms.{leaf}.{'weight' if middle[1] == 'scales' else 'bias'}"] = tensor
        else:
            if leaf == "weight":
                tensor = _maps_first(tensor, maps[part])
            result[name] = _maps_first(tensor.t(), maps["predictor"]).t() if part == "neuromodulator" else tensor
    return result


def _maps_first(tensor: Tensor, maps: int) -> Tensor:
    return tensor.unflatten(-1, (-1, maps)).transpose(-1, -2).flatten(-2)


def make_reference(problem: Problem, *, first_order: bool) -> tuple[Step, Callable[[], tuple[Tensor, Params]]]:
    """Makes the plain meta-step, with PyTorch's Adam, and one without an update."""
    params = to_reference(dict(problem.network.named_parameters()))
    params = {name: tensor.detach().clone().requires_grad_() for name, tensor in params.items()}
    optimizer = torch.optim.Adam(list(params.values()), lr=OUTER_LR)

    def look() -> tuple[Tensor, Params]:
        data = (problem.images, problem.labels, problem.remembered, problem.remembered_labels)
        found = meta_step(
            anml_predict,
            params,
            lambda name: name.startswith("predictor."),
            *data,
            inner_lr=INNER_LR,
            first_order=first_order,
        )
        return found.loss, found.gradient

    def step() -> None:
        for name, gradient in look()[1].items():
            params[name].grad = gradient
        optimizer.step()
        optimizer.zero_grad()

    return step, look


def make_own(problem: Problem, *, first_order: bool) -> tuple[Step, Callable[[], tuple[Tensor, Params]]]:
    """Makes the library's meta-step, and one without an update."""
    network, steps = problem.network, len(problem.images)
    learner = trajectory_learner(network, inner_lr=INNER_LR)
    start, innate = partition(network, network.is_innate)
    options = {"update_every": steps, "through": 0 if first_order else steps, "learn_start": True}
    moments = adam().init(outer_parameters(innate, start, learn_start=True))
    births = stack_members(start, 1)
    last = [HyperState(births, {}, innate, start, moments)]
    outer_inputs = torch.cat((problem.images, problem.remembered))[None, None]
    outer_targets = torch.cat((problem.labels, problem.remembered_labels))[None, None]
    batch = HyperBatch(problem.images[:, None, None], problem.labels[:, None, None], outer_inputs, outer_targets)
    adam_step, plain_step = (make_hyper_step(learner, outer, **options) for outer in (adam(), sgd()))

    def step() -> None:
        state, _ = adam_step(last[0], batch, torch.tensor(OUTER_LR))
        last[0] = state._replace(plastic=stack_members(state.start, 1))

    def look() -> tuple[Tensor, Params]:
        # A plain descent at a rate of a million makes the gradient the difference.
        rate = 1e6
        before = last[0]._replace(outer_moments={})
        after, losses = plain_step(before, batch, torch.tensor(rate))
        old, new = ({**state.innate, **state.start} for state in (before, after))
        return losses.hyper[0], to_reference({name: (old[name] - new[name]) / rate for name in old})

    return step, look


def check_agreement(problem: Problem, *, first_order: bool) -> float:
    """Compares loss and meta-gradient of the two, in double precision.

    Returns:
        The largest difference of a meta-gradient, relative to the largest number of the same parameter's.

    Raises:
        AssertionError: If they differ in the first nine digits.
    """
    (loss, expected), (own_loss, own) = (
        make(problem, first_order=first_order)[1]() for make in (make_reference, make_own)
    )
    torch.testing.assert_close(own_loss, loss, rtol=1e-9, atol=0)
    # Normalization cancels these; the reference has them with a gradient of rounding errors.
    biases = [name for name in expected if "convolutions" in name and name.endswith("bias")]
    differences = [
        float((own[name] - tensor).abs().max() / tensor.abs().max())
        for name, tensor in expected.items()
        if name not in biases
    ]
    assert max(differences) < 1e-9, f"Expected equal meta-gradients, but got a difference of {max(differences)}."
    return max(differences)


def fewest_operations(config: Config, *, first_order: bool) -> float:
    """Counts multiplications and additions of convolutions and linear layers, each product done once and as defined.

    A product with weights is done once forward and twice backward (gradients of inputs and of weights); through an
    inner update, four more times for its gradient's two products and twice more for its forward one. Products are
    not needed for gradients of images.
    """

    def products(maps: int, outputs: int) -> tuple[int, int]:
        first, rest = 9 * maps * 26**2, 9 * maps**2 * (11**2 + 3**2) + 9 * maps * outputs
        return first, rest

    (p_first, p_rest), (g_first, g_rest) = (
        products(int(256 * config.width), 1000),
        products(int(112 * config.width), 9 * int(256 * config.width)),
    )
    k, outer = config.num_inner_steps, config.num_inner_steps + config.remember_size
    inner = k * (2 * p_first + 3 * p_rest + (0 if first_order else 2 * p_first + 6 * p_rest))
    return 2.0 * (inner + outer * (2 * p_first + 3 * p_rest + 2 * g_first + 3 * g_rest))


def measure_peak_flops() -> float:
    """Measures large single-precision matrix products with the threads now set."""
    a, b = torch.randn(2, 1024, 1024)
    return 2 * 1024**3 / min(_seconds(lambda: torch.mm(a, b)) for _ in range(30))


def measure(config: Config, order: str, threads: int, difference: float) -> Row:
    """Times pairs of steps, and asks a fresh process for each one's memory."""
    torch.set_num_threads(threads)
    problem, first_order = make_problem(config), order == "first"
    reference, own = (make(problem, first_order=first_order)[0] for make in (make_reference, make_own))
    own()
    pairs = [(_seconds(reference), min(_seconds(own) for _ in range(2))) for _ in range(config.num_pairs)]
    ratios = sorted(a / b for a, b in pairs)
    flops, best = fewest_operations(config, first_order=first_order), measure_peak_flops()
    seconds = median(b for _, b in pairs)
    (reference_base, reference_peak), (base, peak) = (
        _memory_of(config, f"{variant}-{order}", threads) for variant in ("reference", "own")
    )
    estimate = trajectory_footprint(
        problem.network,
        IMAGE_SHAPE,
        through=0 if first_order else config.num_inner_steps,
        outer_batch_size=config.num_inner_steps + config.remember_size,
    )
    return Row(
        order=order,
        threads=threads,
        reference_seconds=median(a for a, _ in pairs),
        seconds=seconds,
        speedup=median(ratios),
        speedup_low=ratios[0],
        speedup_high=ratios[-1],
        flops=flops,
        floor_seconds=flops / best,
        peak_share=flops / best / seconds,
        reference_peak=reference_peak,
        peak=peak,
        reference_base=reference_base,
        base=base,
        memory_ratio=peak / reference_peak,
        estimated_peak=base + estimate.total,
        gradient_difference=difference,
    )


def print_memory(config: Config) -> None:
    """Runs two steps of one variant and prints what the process held before them and at its peak."""
    variant, _, order = str(config.memory_of).partition("-")
    torch.set_num_threads(config.threads[0])
    make = make_reference if variant == "reference" else make_own
    problem = make_problem(config)
    base = _high_water()
    step, _ = make(problem, first_order=order == "first")
    for _ in range(2):
        step()
    print(json.dumps([base, _high_water()]))


def _memory_of(config: Config, variant: str, threads: int) -> tuple[int, int]:
    command = [
        sys.executable,
        __file__,
        "--memory-of",
        variant,
        "--threads",
        str(threads),
        "--width",
        str(config.width),
    ]
    command += ["--num-inner-steps", str(config.num_inner_steps), "--remember-size", str(config.remember_size)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    base, peak = json.loads(done.stdout)
    return base, peak


def _high_water() -> int:
    status = Path("/proc/self/status")
    if status.exists():
        # Not `ru_maxrss`: on Linux a process is born with its parent's.
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return 1024 * int(line.split()[1])
    size = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return size if sys.platform == "darwin" else 1024 * size


def _seconds(action: Step) -> float:
    begin = time.perf_counter()
    action()
    return time.perf_counter() - begin


def _table(rows: list[Row]) -> Table:
    table = Table(title="One meta-step of ANML, beside a plain reference", box=box.SIMPLE, padding=0)
    for heading in ("order", "threads", "plain s", "s", "faster", "floor s", "plain MB", "MB", "memory"):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in rows:
        spread = f"{row.speedup:.1f} ({row.speedup_low:.1f}-{row.speedup_high:.1f})"
        times = (f"{row.reference_seconds:.2f}", f"{row.seconds:.2f}", spread, f"{row.floor_seconds:.2f}")
        memory = (f"{row.reference_peak / 1e6:.0f}", f"{row.peak / 1e6:.0f}", f"{row.memory_ratio:.2f}")
        table.add_row(row.order, f"{row.threads}", *times, *memory)
    return table


def _machine() -> str:
    about = Path("/proc/cpuinfo")
    lines = about.read_text().splitlines() if about.exists() else []
    models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return f"{models[0] if models else platform.processor() or platform.machine()}, {os.cpu_count()} cores"


def main(config: Config) -> None:
    """Measures, prints a table, and JSON alone if asked to."""
    if config.memory_of:
        print_memory(config)
        return
    console = Console(stderr=config.json_only)
    threads = list(dict.fromkeys(config.threads))
    torch.set_num_threads(max(threads))
    doubles = make_problem(config, torch.float64)
    differences = {order: check_agreement(doubles, first_order=order == "first") for order in ("second", "first")}
    console.print(f"Meta-gradients agree: {differences}")
    rows = []
    for number in threads:
        for order, difference in differences.items():
            rows.append(measure(config, order, number, difference))
            console.print(f"{order} order, {number} thread(s): {rows[-1].speedup:.2f} times")
    console.print(_table(rows))
    if config.json_only:
        record = {"machine": _machine(), "torch": torch.__version__, "load_average": os.getloadavg()}
        print(json.dumps({**record, "rows": [asdict(row) for row in rows]}, indent=2))


if __name__ == "__main__":
    main(tyro.cli(Config))
