"""Converted models: what the original computed, what is plastic and innate, what is skipped and why."""

import copy
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from tests.bounds import rounding
from torch import Tensor, nn

from hyperlearning import ConvertedModule, Deployment, MLPPhenotype, convert
from hyperlearning.core.losses import mean_squared_error
from hyperlearning.core.params import partition, stack_members
from hyperlearning.learners.hyper_step import HyperBatch, HyperState, make_hyper_step
from hyperlearning.learners.inner_loop import Learner
from hyperlearning.learners.optimizers import adam, sgd
from hyperlearning.learners.population import population_forward
from hyperlearning.networks.convert.dan_activation import DANActivation
from hyperlearning.networks.dan.conv_phenotype import ConvPhenotype


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def mlp() -> nn.Module:
    return nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 6), nn.Tanh(), nn.Linear(6, 2))


def cnn() -> nn.Module:
    features = [
        nn.Conv2d(2, 4, 3),
        nn.LeakyReLU(0.2),
        nn.MaxPool2d(2),
        nn.Conv2d(4, 6, 2, groups=2, bias=False),
        nn.GELU(),
    ]
    return nn.Sequential(*features, nn.Flatten(), nn.Linear(24, 5), nn.Sigmoid(), nn.Linear(5, 2))


def transformer_layer(**settings: Any) -> nn.Module:
    return nn.TransformerEncoderLayer(8, 2, 12, **{"dropout": 0.0, "batch_first": True, **settings})


class TutorialCNN(nn.Module):
    """Activations as functions, one behind a pool."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2, self.linear = nn.Conv2d(2, 4, 3), nn.Conv2d(4, 4, 2), nn.Linear(16, 2)

    def forward(self, images: Tensor) -> Tensor:
        hidden = F.relu(F.max_pool2d(self.conv1(images), 2))
        hidden = F.gelu(self.conv2(hidden), approximate="tanh")
        return self.linear(hidden.flatten(1)).tanh()


class ResidualBlock(nn.Module):
    """One activation module for two calls, behind normalization and behind a sum."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm, self.second = nn.Conv1d(3, 3, 3, padding=1), nn.BatchNorm1d(3), nn.Conv1d(3, 3, 1)
        self.skip, self.relu = nn.Conv1d(3, 3, 1), nn.ReLU(inplace=True)

    def forward(self, signal: Tensor) -> Tensor:
        hidden = self.relu(self.norm(self.first(signal)))
        return self.relu(self.second(hidden) + self.skip(signal))


MODELS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "mlp": (mlp, (5, 3)),
    "cnn": (cnn, (5, 2, 8, 8)),
    "transformer layer": (transformer_layer, (5, 4, 8)),
    "transformer layer, norm first, GELU": (partial(transformer_layer, norm_first=True, activation="gelu"), (5, 4, 8)),
    "transformer layer, length first": (partial(transformer_layer, batch_first=False), (4, 5, 8)),
    "encoder": (lambda: nn.TransformerEncoder(transformer_layer(), 2, norm=nn.LayerNorm(8)), (5, 4, 8)),  # pyright: ignore[reportArgumentType]
    "tutorial cnn": (TutorialCNN, (5, 2, 8, 8)),
    "residual block": (ResidualBlock, (5, 3, 6)),
    "three dimensions": (lambda: nn.Sequential(nn.Conv3d(1, 2, 2), nn.SiLU(), nn.Conv3d(2, 1, 1)), (2, 1, 3, 3, 3)),
}
MAIN = ["mlp", "cnn", "transformer layer"]

OPERATIONS = 500
"""On the longest way through a model: eight layers, sums of up to 72 terms, of up to 16 channels each."""
NEAR = {"rtol": rounding(torch.float32, OPERATIONS), "atol": rounding(torch.float32, OPERATIONS)}


def make(name: str) -> tuple[nn.Module, Tensor]:
    build, shape = MODELS[name]
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return build(), torch.randn(shape)


# The function


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("sharing", ["network", "layer"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_converted_model_that_keeps_the_function_computes_what_the_original_does(
    name: str, sharing: Any, dtype: torch.dtype
):
    original, inputs = make(name)
    original, inputs, tolerance = original.to(dtype), inputs.to(dtype), rounding(dtype, OPERATIONS)
    converted = convert(original, keep_function=True, sharing=sharing, generator=seeded())
    for training in (True, False):
        original.train(training)
        converted.train(training)
        for grad in (True, False):
            with torch.set_grad_enabled(grad):
                torch.testing.assert_close(converted(inputs), original(inputs), rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("name", MAIN)
def test_by_plain_sgd_on_its_synapses_a_model_that_keeps_the_function_learns_as_the_original(name: str):
    original, inputs = make(name)
    original, inputs = original.double(), inputs.double()
    converted = convert(original, keep_function=True, generator=seeded())
    plastic = [p for n, p in converted.named_parameters() if not converted.is_innate(n)]
    targets = torch.randn(original(inputs).shape, generator=seeded(1)).double()
    start = original(inputs).detach()
    optimizers = [torch.optim.SGD(original.parameters(), lr=0.1), torch.optim.SGD(plastic, lr=0.1)]
    for _ in range(5):
        for model, optimizer in zip((original, converted), optimizers, strict=True):
            optimizer.zero_grad()
            F.mse_loss(model(inputs), targets).backward()
            optimizer.step()
    assert (original(inputs) - start).abs().max() > 1e-2
    torch.testing.assert_close(converted(inputs), original(inputs), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("keep_function", [True, False])
def test_every_parameter_gets_a_gradient(name: str, keep_function: bool):
    original, inputs = make(name)
    converted = convert(original, keep_function=keep_function, generator=seeded())
    (converted(inputs) * torch.randn(converted(inputs).shape, generator=seeded(1))).sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in converted.parameters())
    zero = {n for n, p in converted.named_parameters() if p.grad is not None and not p.grad.any()}
    # Behind a gain of zero, and only there.
    behind = {n for n, _ in converted.named_parameters() if n.startswith("phenotypes.") and not n.endswith("gain")}
    assert zero == (behind if keep_function else set())


def test_a_converted_mlp_is_its_layers_written_out():
    original = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2)).double()
    converted = convert(original, num_channels=5, generator=seeded())
    params = dict(converted.named_parameters())
    inputs = torch.randn(7, 3).double()
    weight, bias = params["module.0.weight"], params["module.0.bias"]
    drive = torch.empty(7, 4, 5).double()
    for n in range(4):
        for c in range(5):
            drive[:, n, c] = inputs @ weight[5 * n + c] + bias[5 * n + c]
    expected = converted.phenotypes[0](drive) @ original[2].weight.T + original[2].bias
    torch.testing.assert_close(converted(inputs), expected, rtol=1e-12, atol=1e-12)


def test_a_converted_convolution_gives_every_place_its_neurons():
    converted = convert(nn.Sequential(nn.Conv2d(2, 3, 2), nn.ReLU()), num_channels=4, generator=seeded()).double()
    images = torch.randn(5, 2, 3, 4).double()
    layer = nn.Conv2d(2, 12, 2).double()
    layer.load_state_dict(converted.module[0].state_dict())  # pyright: ignore[reportIndexIssue]
    drive = layer(images).reshape(5, 3, 4, 2, 3)
    expected = converted.phenotypes[0](drive.permute(0, 1, 3, 4, 2))
    torch.testing.assert_close(converted(images), expected, rtol=1e-12, atol=1e-12)


def test_behind_normalization_each_neurons_number_is_expanded_and_the_layer_stays():
    original = nn.Sequential(nn.Conv1d(2, 3, 2), nn.BatchNorm1d(3), nn.ReLU()).double()
    converted = convert(original, num_channels=4, generator=seeded())
    signal = torch.randn(5, 2, 6).double()
    params = dict(converted.named_parameters())
    normalized = original[1](original[0](signal))
    weight, bias = params["module.2.channels.weight"], params["module.2.channels.bias"]
    drive = torch.stack([normalized * weight[:, c, None] + bias[:, c, None] for c in range(4)], dim=-1)
    torch.testing.assert_close(converted(signal), converted.phenotypes[0](drive), rtol=1e-12, atol=1e-12)
    assert params["module.0.weight"].shape == original[0].weight.shape
    assert not any(map(converted.is_innate, ("module.2.channels.weight", "module.2.channels.bias")))
    assert "2: ReLU of 3 neurons, each neuron's number expanded" in converted.summary()


def test_the_kept_channels_sum_to_the_layers_output_and_differ():
    original = nn.Linear(3, 4)
    converted = convert(nn.Sequential(original, nn.ReLU()), num_channels=5, keep_function=True, generator=seeded())
    weight = converted.module[0].weight.unflatten(0, (4, 5))  # pyright: ignore[reportIndexIssue, reportCallIssue]
    torch.testing.assert_close(weight.sum(1) / 5**0.5, original.weight)
    assert (weight[:, 1:] - weight[:, :1]).abs().min() > 0


def test_widened_layers_are_drawn_as_pytorch_draws_them():
    converted = convert(nn.Sequential(nn.Conv2d(5, 20, 2), nn.ReLU()), num_channels=50, generator=seeded())
    bound = 20**-0.5
    for p in converted.module.parameters():
        assert 0.98 * bound < p.abs().max() <= bound
        assert p.mean().abs() < 0.05 * bound


@pytest.mark.parametrize("name", ["transformer layer", "encoder"])
def test_a_converted_part_computes_the_same_on_its_own_without_gradients_in_evaluation(name: str):
    original, inputs = make(name)
    converted = convert(original.eval(), generator=seeded())
    expected = converted(inputs).detach()
    padding = torch.zeros(inputs.shape[:2], dtype=torch.bool)
    with torch.no_grad():
        torch.testing.assert_close(converted.module(inputs), expected, **NEAR)
        got = converted.module(inputs, src_key_padding_mask=padding)
    torch.testing.assert_close(got, expected, **NEAR)


def test_a_transformer_layer_in_evaluation_predicts_when_deployed():
    original, inputs = make("transformer layer")
    converted = convert(original.eval(), generator=seeded())
    life = Deployment(converted, partition(converted, converted.is_innate)[1])
    torch.testing.assert_close(life.predict(inputs), converted(inputs).detach(), **NEAR)


def test_an_encoder_masks_as_the_original_does_in_evaluation():
    encoder, inputs = make("encoder")
    converted = convert(encoder, keep_function=True, generator=seeded()).eval()
    padding = torch.tensor([[False, False, i < 3, i < 1] for i in range(5)])
    with torch.no_grad():
        expected, got = (m(inputs, src_key_padding_mask=padding) for m in (encoder.eval(), converted))
    torch.testing.assert_close(got[~padding], expected[~padding], **NEAR)


def test_a_whole_transformer_is_converted_with_its_decoder():
    original = nn.Transformer(8, 2, 1, 1, 12, 0.0, batch_first=True)
    converted = convert(original, keep_function=True, generator=seeded())
    source, target = torch.randn(2, 4, 8), torch.randn(2, 3, 8)
    torch.testing.assert_close(converted(source, target), original(source, target), **NEAR)
    assert [place.name for place in converted.converted] == [
        "encoder.layers.0.activation",
        "decoder.layers.0.activation",
    ]


def test_the_fast_path_of_attention_is_on_again_after_a_call():
    original, inputs = make("transformer layer")
    assert torch.backends.mha.get_fastpath_enabled()
    converted = convert(original)
    converted(inputs)
    with pytest.raises(AssertionError, match="embedding dimension"):
        converted(inputs[..., :3])
    assert torch.backends.mha.get_fastpath_enabled()


def test_a_converted_transformer_layer_compiles_as_one_graph():
    # In a process of its own, as users run it: what checks shapes in tests cannot be compiled.
    program = """
import torch
from hyperlearning.networks.convert.conversion import convert
converted = convert(torch.nn.TransformerEncoderLayer(8, 2, 12, dropout=0.0, batch_first=True))
inputs = torch.randn(5, 4, 8)
compiled = torch.compile(converted, fullgraph=True, backend="eager")
torch.testing.assert_close(compiled(inputs), converted(inputs), rtol=1e-4, atol=1e-4)
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr


# Plastic and innate


@pytest.mark.parametrize("name", MODELS)
def test_phenotypes_are_innate_and_everything_else_is_plastic(name: str):
    converted = convert(make(name)[0], generator=seeded())
    plastic, innate = partition(converted, converted.is_innate)
    assert set(innate) == {f"phenotypes.{n}" for n, _ in converted.phenotypes.named_parameters()}
    assert set(plastic) == {f"module.{n}" for n, _ in converted.module.named_parameters()}
    assert sum(p.numel() for p in innate.values()) == 272  # 8-15-8-1


@pytest.mark.parametrize("innate", [["0", "2.bias"], lambda name: name.startswith("0.") or name == "2.bias"])
def test_more_can_be_declared_innate_by_the_originals_names(innate: Any):
    converted = convert(mlp(), innate=innate, generator=seeded())
    own = {n for n, _ in converted.named_parameters() if converted.is_innate(n) and n.startswith("module.")}
    assert own == {"module.0.weight", "module.0.bias", "module.2.bias"}


def test_a_phenotype_for_every_activation_or_one_for_all():
    shared, own = (convert(mlp(), sharing=sharing, generator=seeded()) for sharing in ("network", "layer"))
    assert (len(shared.phenotypes), len(own.phenotypes)) == (1, 2)


def test_any_phenotype_fits():
    make_phenotype = partial(ConvPhenotype, maps=(2,), hidden_sizes=(3,))
    converted = convert(cnn(), num_channels=9, phenotype=make_phenotype, generator=seeded())
    assert isinstance(converted.phenotypes[0], ConvPhenotype)
    assert converted(torch.randn(5, 2, 8, 8)).shape == (5, 2)


# Learning


def trivial_stream(converted: nn.Module, name: str, seed: int) -> tuple[Tensor, Tensor]:
    """One batch for two members, and what to answer: one number everywhere."""
    inputs = torch.randn(1, 2, *MODELS[name][1], generator=seeded(seed))
    with torch.no_grad():
        outputs = torch.stack([converted(one) for one in inputs[0]])[None]
    return inputs, torch.full_like(outputs, 0.5)


@pytest.mark.parametrize("name", MAIN)
@pytest.mark.parametrize("keep_function", [True, False])
@pytest.mark.parametrize("through", [0, 1])
def test_the_hyper_loss_of_a_converted_model_falls(name: str, keep_function: bool, through: int):
    converted = convert(make(name)[0], keep_function=keep_function, generator=seeded())
    plastic, innate = partition(converted, converted.is_innate)
    learner = Learner(population_forward(converted, plastic), mean_squared_error, sgd(), inner_lr=0.05)
    outer = adam()
    step = make_hyper_step(learner, outer, update_every=1, through=through)
    births = stack_members(plastic, 2)
    state = HyperState(births, {}, innate, plastic, outer.init(innate))
    losses = []
    for seed in range(8):
        inputs, targets = trivial_stream(converted, name, seed)
        state, both = step(state, HyperBatch(inputs, targets, inputs, targets), torch.tensor(0.01))
        losses.append(float(both.hyper.mean()))
    assert losses[-1] < 0.9 * losses[0]
    assert any(not torch.equal(state.innate[n], tensor) for n, tensor in innate.items())


@pytest.mark.parametrize("name", MAIN)
@pytest.mark.parametrize("keep_function", [True, False])
def test_a_deployed_conversion_learns_and_its_innate_parameters_stay_to_the_bit(name: str, keep_function: bool):
    converted = convert(make(name)[0], keep_function=keep_function, generator=seeded())
    _, innate = partition(converted, converted.is_innate)
    before = {n: tensor.clone() for n, tensor in innate.items()}
    life = Deployment(converted, innate, inner_lr=0.05)
    inputs, targets = (tensor[0, 0] for tensor in trivial_stream(converted, name, 0))
    torch.testing.assert_close(life.predict(inputs), converted(inputs).detach(), **NEAR)
    losses = [life.observe(inputs, targets) for _ in range(8)]
    assert losses[-1] < 0.9 * losses[0]
    assert all(torch.equal(life.innate[n], tensor) for n, tensor in before.items())
    assert all(torch.equal(p, before[n]) for n, p in converted.named_parameters() if n in before)
    changed = {
        n for n, tensor in life.plastic.items() if not torch.equal(tensor, dict(converted.named_parameters())[n])
    }
    assert changed == set(life.plastic)


@pytest.mark.parametrize("name", MAIN)
def test_a_population_is_each_member_called_on_its_own(name: str):
    converted = convert(make(name)[0], generator=seeded())
    plastic, innate = partition(converted, converted.is_innate)
    members = {n: torch.stack([tensor, 0.5 * tensor]) for n, tensor in plastic.items()}
    inputs, _ = trivial_stream(converted, name, 0)
    together = population_forward(converted, plastic)(members, innate, inputs[0])
    for m in range(2):
        own = {n: tensor[m] for n, tensor in members.items()}
        alone = torch.func.functional_call(converted, {**own, **innate}, (inputs[0, m],))
        torch.testing.assert_close(together[m], alone, **NEAR)


# As a module


@pytest.mark.parametrize("name", MODELS)
def test_the_original_is_not_modified_and_shares_no_memory(name: str):
    original, inputs = make(name)
    before, text = copy.deepcopy(original.state_dict()), str(original)
    converted = convert(original, generator=seeded())
    own = {p.data_ptr() for p in original.parameters()}
    assert not own & {p.data_ptr() for p in converted.parameters()}
    converted(inputs).sum().backward()
    assert str(original) == text
    assert all(torch.equal(tensor, before[n]) for n, tensor in original.state_dict().items())


@pytest.mark.parametrize("name", MODELS)
def test_a_state_dict_goes_from_one_conversion_to_another(name: str):
    original, inputs = make(name)
    one, other = (convert(original, generator=seeded(seed)).eval() for seed in (0, 1))
    assert not torch.equal(one(inputs), other(inputs))
    other.load_state_dict(one.state_dict())
    assert torch.equal(one(inputs), other(inputs))
    assert len(one.state_dict()) == len({tensor.data_ptr() for tensor in one.state_dict().values()})


@pytest.mark.parametrize("name", MODELS)
def test_a_deep_copy_runs_its_own_phenotypes(name: str):
    original, inputs = make(name)
    one = convert(original, generator=seeded()).eval()
    other = copy.deepcopy(one)
    expected = one(inputs)
    assert torch.equal(other(inputs), expected)
    with torch.no_grad():
        for p in other.phenotypes.parameters():
            p.add_(0.1)
    assert torch.equal(one(inputs), expected)
    assert not torch.equal(other(inputs), expected)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("keep_function", [True, False])
def test_precision_and_device_can_be_moved(name: str, keep_function: bool):
    original, inputs = make(name)
    converted = convert(original, keep_function=keep_function, generator=seeded()).eval()
    expected = converted(inputs)
    torch.testing.assert_close(converted.double()(inputs.double()).float(), expected, **NEAR)
    assert converted.to("meta")(inputs.double().to("meta")).device.type == "meta"


def test_the_same_seed_gives_the_same_numbers_and_none_come_from_elsewhere():
    original, _ = make("residual block")
    torch.manual_seed(0)
    one = convert(original, generator=seeded())
    torch.manual_seed(5)
    other = convert(original, generator=seeded())
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))


def test_modes_are_the_originals():
    original = nn.Sequential(mlp().eval(), nn.Dropout()).eval()
    converted = convert(original)
    assert not any(part.training for part in converted.module.modules())
    assert not converted.training
    assert convert(original.train()).training


def test_a_summary_counts_and_names():
    converted = convert(mlp(), num_channels=4, generator=seeded())
    plastic = (3 + 1) * 32 + (8 + 1) * 24 + (6 + 1) * 2
    innate = (4 + 1) * 15 + (15 + 1) * 8 + 9
    assert converted.summary().splitlines() == [
        "Converted: activations 2, channels 4, phenotypes 1",
        "  1: ReLU of 8 neurons, '0' widened",
        "  3: Tanh of 6 neurons, '2' widened",
        f"  total: {plastic} plastic + {innate} innate = {plastic + innate} parameters",
    ]


# What is found, and what is not


def reasons(converted: ConvertedModule) -> dict[str, str]:
    return {place.name: place.reason for place in converted.skipped}


def test_functions_and_modules_called_twice_are_found():
    tutorial, block = (convert(make(name)[0]) for name in ("tutorial cnn", "residual block"))
    assert [(place.activation, place.num_neurons, place.layer) for place in tutorial.converted] == [
        ("relu", 4, None),
        ("gelu", 4, "conv2"),
        ("tanh", 2, "linear"),
    ]
    assert [(place.activation, place.num_neurons, place.layer) for place in block.converted] == 2 * [("ReLU", 3, None)]


def test_a_layer_with_shared_weights_or_hooks_stays_and_its_activation_is_expanded():
    tied = nn.Sequential(nn.Linear(3, 3), nn.ReLU(), nn.Linear(3, 3))
    tied[2].weight = tied[0].weight
    normed = nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Linear(3, 3)), nn.ReLU())
    hooked = nn.Sequential(nn.Linear(3, 3), nn.ReLU())
    hooked[0].register_forward_hook(lambda module, inputs, output: 2 * output)
    inputs = torch.randn(2, 3)
    for original in (tied, normed, hooked):
        converted = convert(original, keep_function=True, generator=seeded())
        assert converted.converted[0].layer is None
        torch.testing.assert_close(converted(inputs), original(inputs), **NEAR)


class Reusing(nn.Module):
    """A layer called twice, one whose output has a second use, residual sums back to the input, and a gate of one."""

    def __init__(self) -> None:
        super().__init__()
        self.twice, self.also, self.gate = nn.Linear(3, 3), nn.Linear(3, 3), nn.Linear(3, 1)
        self.acts = nn.ModuleList([nn.ReLU(), nn.Tanh(), nn.SiLU(), nn.GELU(), nn.Sigmoid(), nn.ELU()])

    def forward(self, inputs: Tensor) -> Tensor:
        hidden = self.acts[1](self.twice(self.acts[0](self.twice(inputs))))
        also = self.also(hidden)
        hidden = self.acts[3](self.acts[2](also) + inputs) * also
        return self.acts[5](self.gate(hidden) * self.acts[4](inputs - hidden))


def test_layers_that_are_used_elsewhere_stay_and_sums_and_products_are_seen_through():
    original, inputs = Reusing(), torch.randn(5, 3)
    converted = convert(original, keep_function=True, generator=seeded())
    found = [(place.name, place.num_neurons, place.layer) for place in converted.converted]
    assert found == [(f"acts.{number}", 3, None) for number in (0, 1, 2, 3, 4, 5)]
    torch.testing.assert_close(converted(inputs), original(inputs), **NEAR)
    only_gate = nn.Sequential(nn.Linear(3, 1), nn.ReLU())
    assert convert(only_gate).converted[0].layer == "0"


class Branching(nn.Module):
    """Its forward cannot be traced; a part of it can."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 3))
        self.parts = nn.ModuleList([nn.Sequential(nn.Linear(3, 3), nn.Tanh())])
        self.sigmoid = nn.Sigmoid()

    def forward(self, inputs: Tensor) -> Tensor:
        hidden = self.parts[0](self.body(inputs))
        return self.sigmoid(hidden) if hidden.sum() > 0 else hidden


@pytest.mark.parametrize("wrap", [lambda part: part, lambda part: nn.Sequential(nn.Linear(3, 3), nn.ReLU(), part)])
def test_of_a_forward_that_branches_on_values_the_parts_are_converted(wrap: Callable[[nn.Module], nn.Module]):
    original, inputs = wrap(Branching()), torch.randn(5, 3)
    converted = convert(original, keep_function=True, generator=seeded())
    names = [place.name.removeprefix("2.") for place in converted.converted]
    assert names[-2:] == ["body.1", "parts.0.1"]
    assert len(names) == (2 if isinstance(original, Branching) else 3)
    summary = converted.summary()
    assert "cannot be traced (TraceError" in summary
    assert "sigmoid, no forward that could be traced calls it" in summary
    torch.testing.assert_close(converted(inputs), original(inputs), **NEAR)


class Optional(nn.Module):
    """Calls a function as activation, and branches on an argument."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.relu, self.second = nn.Linear(3, 3), nn.ReLU(), nn.Linear(3, 3)

    def forward(self, inputs: Tensor, scale: Tensor | None = None) -> Tensor:
        hidden = F.relu(self.second(self.relu(self.first(inputs))))
        return hidden if scale is None else hidden * scale


class DropsOut(nn.Module):
    """Calls functions, one of which minds the mode."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.relu, self.second = nn.Linear(3, 3), nn.ReLU(), nn.Linear(3, 3)

    def forward(self, inputs: Tensor) -> Tensor:
        return F.relu(self.second(F.dropout(self.relu(self.first(inputs)), 0.5, training=self.training)))


@pytest.mark.parametrize(("build", "reason"), [(Optional, "optional arguments"), (DropsOut, "between training and")])
def test_where_a_traced_graph_may_not_be_the_forward_functions_are_left_and_modules_converted(
    build: Callable[[], nn.Module], reason: str
):
    original, inputs = build().eval(), torch.randn(5, 3)
    converted = convert(original, keep_function=True, generator=seeded())
    assert [place.name for place in converted.converted] == ["relu"]
    assert reason in reasons(converted)["`relu` (call 'relu_1')"]
    torch.testing.assert_close(converted(inputs), original(inputs), **NEAR)


def test_what_is_skipped_is_listed_with_its_reason():
    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.memory, self.first, self.relu = nn.LSTM(3, 3), nn.Linear(3, 3), nn.ReLU()
            self.last, self.inplace, self.unused = nn.Tanh(), nn.ReLU(inplace=True), nn.GELU()

        def forward(self, inputs: Tensor) -> Tensor:
            hidden = self.first(self.memory(inputs)[0])
            other, third = hidden + 1, hidden + 2
            written = other.relu_() + other + F.silu(third, inplace=True) + third
            return self.last(torch.cat([self.relu(self.first(inputs))], -1)) + self.inplace(hidden) + hidden + written

    converted = convert(Model())
    assert [place.name for place in converted.converted] == ["relu"]
    found = reasons(converted)
    assert "fed by `cat`" in found["last"]
    assert all("in place" in found[name] for name in ("inplace", "`relu` (call 'relu_')", "`silu` (call 'silu')"))
    assert "no forward" in found["unused"]
    assert "recurrent" in found["memory"]
    assert all(f"left as it is: {name}, " in converted.summary() for name in found)


def test_a_transformer_activation_that_is_not_asked_for_is_left():
    model = nn.Sequential(nn.Linear(8, 8), nn.Tanh(), transformer_layer(activation="gelu"))
    converted = convert(model, activations=(nn.Tanh,))
    assert [place.name for place in converted.converted] == ["1"]
    assert reasons(converted)["2.activation"] == "gelu is not among `activations`"
    assert sum(isinstance(part, DANActivation) for part in converted.modules()) == 1


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (nn.Sequential(nn.Linear(2, 2), nn.Softmax(-1)), "ReLU, .* but got a Sequential with none at all"),
        (nn.Sequential(nn.ReLU(), nn.Linear(2, 2)), "but got a Sequential with 0: it is fed by the input"),
        (nn.LSTM(2, 2), "a recurrent layer applies its activations inside one operation"),
        (nn.Linear(2, 2), "fed by a linear layer or a convolution, or a transformer layer"),
    ],
)
def test_a_module_with_nothing_to_convert_is_refused(module: nn.Module, message: str):
    with pytest.raises(ValueError, match=message):
        convert(module)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num_channels": 0}, "Expected `num_channels` to be positive, but got 0"),
        ({"innate": ["0", "7"]}, "Expected `innate` to name parameters of the module, but got '7'"),
        ({"num_channels": 8, "phenotype": ConvPhenotype}, "Expected a square number of channels"),
    ],
)
def test_bad_settings_are_refused(settings: dict[str, Any], message: str):
    with pytest.raises(ValueError, match=message):
        convert(mlp(), **settings)


def test_one_channel_makes_the_phenotype_a_learned_activation_function():
    original, inputs = make("mlp")
    converted = convert(original, num_channels=1, phenotype=MLPPhenotype, keep_function=True, generator=seeded())
    assert [p.shape for p in converted.module.parameters()] == [p.shape for p in original.parameters()]
    torch.testing.assert_close(converted(inputs), original(inputs), **NEAR)
