"""What every compiled kernel keeps, by being listed in `KERNELS`."""

import dataclasses
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from tests.kernels.populations import SINGLE, draw_data, draw_population
from torch import Tensor

from hyperlearning.core.params import Params
from hyperlearning.kernels import adam, classifiers, convolution, dan, dan_spec, last_layer, rows, toolchain, unroll
from hyperlearning.kernels.classifiers import ClassifierSpec
from hyperlearning.kernels.convolution import ConvKernelSpec

DTYPE = torch.float32
CONV = ConvKernelSpec(num_channels=16, maps=(8, 8), kernel_size=2, hidden_sizes=(16,))
CLASSIFIERS = ClassifierSpec(channels=1, side=12, maps=(10, 6), kernel_size=3, units=(9, 2))
MEMBERS, MAPS, ROWS, COLUMNS = 37, 19, 6, 4


@dataclasses.dataclass(frozen=True, kw_only=True)
class Listed:
    """A kernel as the checks see it.

    Attributes:
        draw: Makes all that it takes.
        run: Gives all that it computes.
        missing: Says why there is none where no compiler is, however the kernel says so.
        refused: What it takes that has a shape and a type to keep, and the word by which it refuses others.
    """

    draw: Callable[[], Params]
    run: Callable[[Params], list[Tensor]]
    missing: Callable[[], str | None]
    refused: dict[str, str]


def draw_networks(*leading: int) -> Params:
    synapses, phenotype = draw_population(SINGLE, MEMBERS, seed=1)
    x, y = draw_data(SINGLE, *leading, seed=2)
    synapses = {f"synapses {i}": tensor for i, tensor in enumerate(synapses)}
    return {"x": x, "y": y, **synapses, **{f"phenotype {i}": tensor for i, tensor in enumerate(phenotype)}}


def parameters(inputs: Params) -> tuple[list[Tensor], list[Tensor], list[Tensor]]:
    maps, (_, _, *tensors) = len(SINGLE.maps), inputs.values()
    return tensors[:maps], tensors[maps : 2 * maps], tensors[2 * maps :]


def run_dan(inputs: Params) -> list[Tensor]:
    output = dan.build(SINGLE)(*parameters(inputs), inputs["x"])
    return [output.detach(), *torch.autograd.grad(output, [*inputs.values()][2:], inputs["y"])]


def run_unroll(inputs: Params) -> list[Tensor]:
    weights, biases, losses = unroll.build_unrolled(SINGLE)(*parameters(inputs), inputs["x"], inputs["y"], 0.05)
    ends = [*weights, *biases]
    return [*ends, losses, *torch.autograd.grad(ends, [*inputs.values()][2:], [end.sin() for end in ends])]


def draw_convolution() -> Params:
    source = torch.Generator().manual_seed(0)
    tensors = {f"parameter {i}": torch.randn(shape, generator=source) / 3 for i, shape in enumerate(CONV.shapes)}
    tensors = {"drive": torch.randn(1500, CONV.num_channels, generator=source), **tensors}
    return {name: tensor.requires_grad_() for name, tensor in tensors.items()}


def run_convolution(inputs: Params) -> list[Tensor]:
    drive, *others = inputs.values()
    output = convolution.build(CONV)(others, drive)
    return [output.detach(), *torch.autograd.grad(output.sin().sum(), [drive, *others])]


def draw_adam() -> Params:
    source = torch.Generator().manual_seed(0)
    kinds = ("values", "grads", "first", "second")
    shapes = ((3, 70, 300), (17,), (100, 1001))
    drawn = {f"{kind} {i}": torch.randn(shape, generator=source) for kind in kinds for i, shape in enumerate(shapes)}
    return {name: tensor.square() if "second" in name else tensor for name, tensor in drawn.items()}


def run_adam(inputs: Params) -> list[Tensor]:
    tensors, rule = list(inputs.values()), adam.AdamRule(0.9, 0.999, 1e-8, torch.finfo(DTYPE).tiny)
    kinds = (tensors[i : i + 3] for i in range(0, 12, 3))
    moved = adam.update(rule, *kinds, correction=torch.tensor(0.3), rate=torch.tensor(0.01))
    return [tensor for kind in moved for tensor in kind]


def draw_rows() -> Params:
    source = torch.Generator().manual_seed(0)
    window, positions = (5, ROWS // 2, COLUMNS // 2, MAPS), ROWS * COLUMNS
    shapes = {
        "images": (5, ROWS, COLUMNS, MAPS), "images' gradient": (5, ROWS, COLUMNS, MAPS), "inverse": (5, 1, 1, MAPS),
        "inverse's gradient": (5, 1, 1, MAPS), "patches": (5, positions, 18), "folded": (5, MAPS, 18),
        "windows' gradient": window, "lines": (5 * positions, 9 * 9),
    }  # fmt: skip
    which = torch.randint(4, window, generator=source, dtype=torch.uint8)
    return {name: torch.randn(shape, generator=source) for name, shape in shapes.items()} | {"which": which}


def run_rows(inputs: Params) -> list[Tensor]:
    images, patches, folded, which = (inputs[name] for name in ("images", "patches", "folded", "which"))
    inverses, sizes = (inputs["inverse's gradient"], images, inputs["inverse"]), (ROWS, COLUMNS)
    out = torch.empty(5, ROWS + 2, COLUMNS + 2, 9)
    rows.add_patches(inputs["lines"], out)
    return [
        out,
        *rows.standardize(images, 1e-5),
        rows.standardize_gradient(inputs["images' gradient"], *inverses),
        *rows.largest_products(patches, folded, *sizes),
        rows.picked_products(patches, folded, which, *sizes),
        rows.largest_products_gradient(inputs["windows' gradient"], patches, which, *sizes),
    ]


def draw_last_layer() -> Params:
    source = torch.Generator().manual_seed(0)
    features = torch.rand(20, 60, generator=source) * (torch.rand(20, 60, generator=source) < 0.1)
    weight, bias = torch.randn(5, 60, 40, generator=source), torch.zeros(5, 40)
    order, labels = torch.randint(20, (5, 300), generator=source), torch.randint(40, (5, 300), generator=source)
    lrs = torch.tensor([1e-3, 1e-1, 1e-2, 1e-3, 1e-4], dtype=torch.float64)
    return {"features": features, "order": order, "labels": labels, "lrs": lrs, "weight": weight, "bias": bias}


def run_last_layer(inputs: Params) -> list[Tensor]:
    weight, bias = inputs["weight"].clone(), inputs["bias"].clone()  # They are changed in place, and say so.
    data = (inputs[name] for name in ("features", "order", "labels", "lrs"))
    last_layer.adam_kernel(weight, bias, *data, beta1=0.9, beta2=0.999, eps=1e-8)
    return [weight, bias]


def draw_classifiers() -> Params:
    source = torch.Generator().manual_seed(0)
    drawn = {
        "weights": torch.randn(7, CLASSIFIERS.size, generator=source) / 5,
        "towards": torch.zeros(CLASSIFIERS.size),
    }
    for member in range(7):
        size = 30 + 9 * member
        drawn[f"images {member}"] = torch.randn(size, 1, 12, 12, generator=source)
        drawn[f"labels {member}"] = torch.randint(2, (size,), generator=source)
        drawn[f"places {member}"] = torch.randperm(size, generator=source)[: 20 + member]
    return drawn


def run_classifiers(inputs: Params) -> list[Tensor]:
    images, labels, places = (
        [tensor for name, tensor in inputs.items() if name.startswith(kind)] for kind in ("images", "labels", "places")
    )
    kernel, weights = classifiers.build(CLASSIFIERS), inputs["weights"].clone()  # It is changed in place, and says so.
    velocities, examples = torch.zeros_like(weights), kernel.examples(images, labels)
    rule = {"lr": 0.1, "momentum": 0.5, "pull": 1.0, "towards": inputs["towards"]}
    kernel.descend(weights, velocities, examples, places, **rule)
    made = kernel.logits(weights, images)
    return [weights, velocities, *kernel.gradients(weights, examples, places), *made]


def unasked(library_for: Callable[[torch.dtype], object]) -> str | None:
    """Kernels that are used unasked have no library where there is no compiler, and the toolchain says why."""
    return None if library_for(DTYPE) else toolchain.why_missing(DTYPE)


KERNELS = {
    "dan": Listed(
        draw=lambda: draw_networks(MEMBERS, 32),
        run=run_dan,
        missing=lambda: dan_spec.unsupported(SINGLE),
        refused={"x": "x", "synapses 0": "synapses", "synapses 7": "synapses", "phenotype 3": "phenotype"},
    ),
    "unroll": Listed(
        draw=lambda: draw_networks(7, MEMBERS, 3),
        run=run_unroll,
        missing=lambda: dan_spec.unsupported(SINGLE),
        refused={"x": "x", "y": "y", "synapses 0": "synapses", "synapses 7": "synapses", "phenotype 3": "phenotype"},
    ),
    "convolution": Listed(
        draw=draw_convolution,
        run=run_convolution,
        missing=lambda: convolution.unsupported(CONV),
        refused={"drive": "drive", "parameter 0": "parameters", "parameter 7": "parameters"},
    ),
    "classifiers": Listed(
        draw=draw_classifiers,
        run=run_classifiers,
        missing=lambda: classifiers.unsupported(CLASSIFIERS),
        refused={"weights": "weights", "towards": "towards", "images 3": "images", "labels 5": "labels"},
    ),
    "adam": Listed(
        draw=draw_adam,
        run=run_adam,
        missing=lambda: unasked(adam.library_for.__wrapped__),
        refused={"grads 0": "grads", "first 1": "first", "second 2": "second"},
    ),
    "rows": Listed(
        draw=draw_rows,
        run=run_rows,
        missing=lambda: unasked(rows.library_for.__wrapped__),
        refused={
            "images' gradient": "grad", "inverse": "inverse", "patches": "patches", "which": "which",
            "windows' gradient": "grad", "lines": "patches",
        },
    ),
    "last layer": Listed(
        draw=draw_last_layer,
        run=run_last_layer,
        missing=lambda: last_layer.why_no_kernel(torch.zeros(1)),
        refused={name: name for name in ("bias", "features", "labels")},
    ),
}  # fmt: skip
_REASON = toolchain.why_missing(DTYPE)
needs_compiler = pytest.mark.skipif(_REASON is not None, reason=str(_REASON))
every_kernel = pytest.mark.parametrize("name", KERNELS)


@pytest.fixture
def restored_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@needs_compiler
@every_kernel
@pytest.mark.usefixtures("restored_threads")
def test_one_two_and_three_threads_give_the_same_bits(name: str):
    results = []
    for threads in (1, 2, 3):
        torch.set_num_threads(threads)
        results.append(KERNELS[name].run(KERNELS[name].draw()))
    for other in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(results[0], other, strict=True))


@needs_compiler
@every_kernel
def test_inputs_are_left_as_they_are(name: str):
    inputs = KERNELS[name].draw()
    before = {key: tensor.detach().clone() for key, tensor in inputs.items()}
    KERNELS[name].run(inputs)
    assert all(torch.equal(tensor, before[key]) for key, tensor in inputs.items())


@every_kernel
def test_without_a_compiler_it_says_that_there_is_none(name: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CXX", raising=False)
    assert "no C++ compiler found" in (KERNELS[name].missing() or "")


def refusals() -> dict[str, str]:
    """What kernels say to tensors of another type and of another shape, one at a time."""
    said = {}
    for name, kernel in KERNELS.items():
        for key in kernel.refused:
            for kind, change in CHANGES.items():
                inputs = kernel.draw()
                inputs[key] = change(inputs[key].detach())
                said[f"{name}, {key}, {kind}"] = _refusal(kernel, inputs)
    return said


CHANGES: dict[str, Callable[[Tensor], Tensor]] = {
    "type": lambda tensor: tensor.to(torch.float16 if tensor.is_floating_point() else torch.int32),
    "shape": lambda tensor: tensor[..., :-1],
}
CASES = [(name, key, kind) for name, kernel in KERNELS.items() for key in kernel.refused for kind in CHANGES]


def _refusal(kernel: Listed, inputs: Params) -> str:
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        kernel.run(inputs)
    return str(caught.value)


@pytest.fixture(scope="module")
def said() -> dict[str, str]:
    """As users run it: without the checks of annotations that tests have on."""
    program = "import json; from tests.kernels.test_contract import refusals; print(json.dumps(refusals()))"
    environment = {**os.environ, "HYPERLEARNING_UNCHECKED": "1"}
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=root, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@needs_compiler
@pytest.mark.parametrize(("name", "key", "kind"), CASES)
def test_a_tensor_that_does_not_fit_is_refused_by_name(name: str, key: str, kind: str, said: dict[str, str]):
    message = said[f"{name}, {key}, {kind}"]
    assert message.startswith("Expected `")
    assert KERNELS[name].refused[key] in message.split("`")[1]
