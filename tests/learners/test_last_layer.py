"""Last layers that learn one by one, beside a plain loop of PyTorch's own optimizers."""

import dataclasses

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from hyperlearning.kernels.last_layer import why_no_kernel
from hyperlearning.learners.last_layer import LastLayerBackend, LastLayers, draw_last_layers, learn_one_by_one
from hyperlearning.learners.optimizers import OptimizerName

_REASON = why_no_kernel(torch.zeros(1))
needs_kernel = pytest.mark.skipif(_REASON is not None, reason=str(_REASON))
BACKENDS = [pytest.param("kernel", marks=needs_kernel), "batched"]


@dataclasses.dataclass
class Case:
    """Layers and what they learn."""

    layers: LastLayers
    features: Tensor
    order: Tensor
    labels: Tensor
    lrs: Tensor

    def learn(self, optimizer: OptimizerName = "adam", backend: LastLayerBackend = "auto") -> LastLayers:
        return learn_one_by_one(
            self.layers, self.features, self.order, self.labels, lrs=self.lrs, optimizer=optimizer, backend=backend
        )

    def expected(self, optimizer: type[torch.optim.Optimizer]) -> LastLayers:
        runs = [self._run(optimizer, run) for run in range(len(self.lrs))]
        return LastLayers(*(torch.stack(parts) for parts in zip(*runs, strict=True)))

    def _run(self, optimizer: type[torch.optim.Optimizer], run: int):
        linear = nn.Linear(*self.layers.weight.shape[1:], dtype=self.features.dtype)
        with torch.no_grad():
            linear.weight.copy_(self.layers.weight[run].T)
            linear.bias.copy_(self.layers.bias[run])
        rule = optimizer(linear.parameters(), lr=self.lrs[run].item())
        for image, label in zip(self.order[run], self.labels[run], strict=True):
            rule.zero_grad()
            cross_entropy(linear(self.features[image][None]), label[None]).backward()
            rule.step()
        return linear.weight.detach().T, linear.bias.detach()


def make_case(
    *,
    num_steps: int = 40,
    density: float = 0.5,
    num_features: int = 11,
    num_outputs: int = 7,
    lrs: tuple[float, ...] = (1e-3, 0.1),
    dtype: torch.dtype = torch.float64,
    seed: int = 0,
) -> Case:
    """Draws features of which a share of `density` is not zero, as after a ReLU."""
    source = torch.Generator().manual_seed(seed)
    features = torch.rand(20, num_features, generator=source, dtype=dtype)
    features = features * (torch.rand(20, num_features, generator=source) < density)
    layers = draw_last_layers(len(lrs), num_features, num_outputs, source, dtype=dtype)
    order = torch.randint(20, (len(lrs), num_steps), generator=source)
    labels = torch.randint(num_outputs, (len(lrs), num_steps), generator=source)
    return Case(layers, features, order, labels, torch.tensor(lrs, dtype=torch.float64))


def assert_same(actual: LastLayers, expected: LastLayers, tolerance: float = 1e-10) -> None:
    torch.testing.assert_close(actual.weight, expected.weight, rtol=0, atol=tolerance)
    torch.testing.assert_close(actual.bias, expected.bias, rtol=0, atol=tolerance)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("num_steps", [0, 1, 2, 3, 40])
@pytest.mark.parametrize("density", [0.0, 0.3, 1.0])
def test_adam_is_that_of_a_plain_loop_after_any_number_of_steps(
    backend: LastLayerBackend, num_steps: int, density: float
):
    case = make_case(num_steps=num_steps, density=density)
    assert_same(case.learn(backend=backend), case.expected(torch.optim.Adam))


@needs_kernel
@pytest.mark.parametrize("density", [0.003, 0.02, 0.2])
def test_steps_put_off_for_hundreds_of_others_are_those_of_a_plain_loop(density: float):
    case = make_case(num_steps=700, density=density, num_features=60, lrs=(0.01,))
    assert_same(case.learn(backend="kernel"), case.expected(torch.optim.Adam))


@needs_kernel
def test_a_feature_that_is_zero_for_long_catches_up_when_it_returns():
    case = make_case(num_steps=600, num_features=3, lrs=(0.01,))
    case.features[:] = torch.tensor([0.0, 1.0, 0.5], dtype=torch.float64)
    case.features[0] = torch.tensor([2.0, 1.0, 0.0], dtype=torch.float64)
    case.order[:] = 1
    case.order[:, [0, 5, 130, 131, 400, 599]] = 0
    assert_same(case.learn(backend="kernel"), case.expected(torch.optim.Adam))


@needs_kernel
@settings(max_examples=25)
@given(
    num_features=st.integers(1, 20),
    num_outputs=st.integers(1, 20),
    num_steps=st.integers(1, 60),
    density=st.floats(0, 1),
    seed=st.integers(0, 100),
)
def test_the_kernel_and_plain_tensors_agree_on_any_size(
    num_features: int, num_outputs: int, num_steps: int, density: float, seed: int
):
    case = make_case(
        num_features=num_features, num_outputs=num_outputs, num_steps=num_steps, density=density, seed=seed
    )
    assert_same(case.learn(backend="kernel"), case.learn(backend="batched"))


@needs_kernel
def test_in_single_precision_the_kernel_is_as_exact_as_pytorch():
    single = make_case(num_steps=400, lrs=(1e-3,), dtype=torch.float32)
    exact = dataclasses.replace(
        single,
        layers=LastLayers(*(tensor.double() for tensor in single.layers)),
        features=single.features.double(),
    ).expected(torch.optim.Adam)
    off = (single.learn(backend="kernel").weight - exact.weight).abs().max()
    plain = (single.expected(torch.optim.Adam).weight - exact.weight).abs().max()
    assert off < max(4 * plain, torch.tensor(2e-6))


@pytest.mark.parametrize("num_steps", [1, 63, 64, 65, 200])
def test_sgd_by_inner_products_is_that_of_a_plain_loop(num_steps: int):
    case = make_case(num_steps=num_steps)
    assert_same(case.learn("sgd"), case.expected(torch.optim.SGD))


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_the_layers_before_are_left_as_they_are(optimizer: OptimizerName):
    case = make_case()
    before = [tensor.clone() for tensor in case.layers]
    case.learn(optimizer)
    torch.testing.assert_close(list(case.layers), before, rtol=0, atol=0)


@needs_kernel
def test_results_do_not_depend_on_the_number_of_threads():
    case = make_case(lrs=(1e-3, 1e-2, 0.1, 1e-3, 1e-4))
    one = case.learn(backend="kernel")
    torch.set_num_threads(3)
    try:
        three = case.learn(backend="kernel")
    finally:
        torch.set_num_threads(1)
    torch.testing.assert_close(three, one, rtol=0, atol=0)


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_a_run_does_not_depend_on_those_beside_it(optimizer: OptimizerName):
    case = make_case()
    alone = Case(
        LastLayers(*(tensor[1:] for tensor in case.layers)),
        case.features,
        case.order[1:],
        case.labels[1:],
        case.lrs[1:],
    )
    assert_same(LastLayers(*(tensor[1:] for tensor in case.learn(optimizer))), alone.learn(optimizer), 1e-14)


def test_layers_learn_what_can_be_told_apart():
    source = torch.Generator().manual_seed(0)
    layers = draw_last_layers(1, 5, 5, source)
    order = torch.arange(5).repeat(40)[None]
    learned = learn_one_by_one(layers, torch.eye(5), order, order, lrs=torch.tensor([0.05]))
    assert (torch.eye(5) @ learned.weight[0] + learned.bias[0]).argmax(1).tolist() == [0, 1, 2, 3, 4]


def test_weights_are_kaiming_normal_and_biases_zero():
    layers = draw_last_layers(2, 500, 300, torch.Generator().manual_seed(0))
    assert layers.weight.std().item() == pytest.approx((2 / 500) ** 0.5, rel=0.01)
    assert layers.weight.mean().abs() < 3e-4
    assert not layers.bias.any()


def test_the_first_of_many_runs_are_those_of_a_few():
    few, many = (draw_last_layers(n, 4, 3, torch.Generator().manual_seed(0)).weight for n in (2, 5))
    torch.testing.assert_close(many[:2], few, rtol=0, atol=0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"features": torch.zeros(20, 12, dtype=torch.float64)}, "Expected 11 features of torch.float64, but got 12"),
        ({"features": torch.zeros(20, 11)}, "Expected 11 features of torch.float64, but got 11 of torch.float32"),
        ({"features": torch.zeros(2, 11, dtype=torch.float64)}, "Expected `order` among 0 to 1"),
        ({"labels": torch.full((2, 40), 7)}, "Expected `labels` among 0 to 6, but got 7 to 7"),
        ({"labels": torch.full((2, 40), -1)}, "Expected `labels` among 0 to 6, but got -1 to -1"),
        ({"lrs": torch.tensor([0.1, 0.0])}, "Expected positive learning rates, but got 0.0"),
    ],
)
def test_what_does_not_belong_together_is_refused(change: dict[str, Tensor], message: str):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(make_case(), **change).learn()


def test_lists_of_another_number_of_runs_are_refused():
    case = make_case()
    layers = LastLayers(*(tensor[:1] for tensor in case.layers))
    with pytest.raises(ValueError, match="Expected `order` for 1 runs, but got 2"):
        dataclasses.replace(case, layers=layers).learn()


def test_a_layer_without_outputs_is_refused():
    with pytest.raises(ValueError, match="Expected positive sizes, but got 1 x 3 x 0"):
        draw_last_layers(1, 3, 0, torch.Generator())


def test_half_precision_has_no_kernel():
    assert why_no_kernel(torch.zeros(1, dtype=torch.float16)) == "dtype torch.float16 is neither float32 nor float64"
