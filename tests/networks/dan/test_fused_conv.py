"""A population of DAN networks with convolutional phenotypes gives the same through the kernel as through plain PyTorch."""

import functools
import warnings

import pytest
import torch

from hyperlearning.core.losses import cross_entropy
from hyperlearning.core.params import Params, partition, stack_members
from hyperlearning.learners.hyper_step import HyperBatch, HyperState, make_hyper_step
from hyperlearning.learners.inner_loop import Learner
from hyperlearning.learners.optimizers import adam
from hyperlearning.learners.population import (
    Backend,
    compile_step,
    describe,
    fused_unroll,
    population_forward,
    split_forward,
    why_no_kernel,
)
from hyperlearning.networks.dan.conv_phenotype import ConvPhenotype
from hyperlearning.networks.dan.fused_conv import FusedConvForward, has_conv_phenotypes, why_not_fused_conv
from hyperlearning.networks.dan.network import DANNetwork, Sharing
from hyperlearning.networks.dan.phenotypes import Activation
from hyperlearning.networks.trunk import TrunkNetwork

MEMBERS = 3
PHENOTYPE = functools.partial(ConvPhenotype, maps=(3,), hidden_sizes=())


def make_head(
    sharing: Sharing = "network", activation: Activation = "identity", output_scale: float = 1.0
) -> DANNetwork:
    return DANNetwork(
        (8, 5, 4),
        num_channels=9,
        phenotype=PHENOTYPE,
        skips=((0, 2),),
        sharing=sharing,
        synaptic_activation=activation,
        output_scale=output_scale,
        generator=torch.Generator().manual_seed(0),
    ).double()


def parts(network: DANNetwork | TrunkNetwork) -> tuple[Params, Params]:
    start, innate = partition(network, network.is_innate)
    source = torch.Generator().manual_seed(1)
    plastic = stack_members(start, MEMBERS)
    return {n: t + 0.1 * torch.randn(t.shape, generator=source, dtype=t.dtype) for n, t in plastic.items()}, innate


needs_kernel = pytest.mark.skipif(
    why_no_kernel(make_head(), parts(make_head())[0]) is not None, reason="no kernel can be built here"
)


@needs_kernel
@pytest.mark.parametrize(
    ("sharing", "activation", "output_scale"),
    [("network", "identity", 1.0), ("layer", "tanh", 5.0)],
)
def test_outputs_and_gradients_match_plain_pytorch(sharing: Sharing, activation: Activation, output_scale: float):
    network = make_head(sharing, activation, output_scale)
    plastic, innate = parts(network)
    leaves = [tensor.requires_grad_() for tensor in (*plastic.values(), *innate.values())]
    inputs = torch.randn(MEMBERS, 6, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    results = []
    for backend in ("kernel", "eager"):
        output = population_forward(network, plastic, backend=backend)(plastic, innate, inputs)
        results.append([output, *torch.autograd.grad(output.square().sum(), leaves)])
    for own, expected in zip(*results, strict=True):
        torch.testing.assert_close(own, expected, rtol=1e-10, atol=1e-12)


def hyper_steps(backend: Backend) -> Params:
    trunk = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3, stride=2), torch.nn.LeakyReLU(), torch.nn.Flatten()).double()
    torch.nn.init.constant_(trunk[0].get_parameter("weight"), 0.2)
    torch.nn.init.constant_(trunk[0].get_parameter("bias"), 0.1)
    network = TrunkNetwork(trunk, make_head())
    plastic, innate = parts(network)
    prepare, forward = split_forward(network, plastic, input_ndim=3, backend=backend)
    inner, outer = adam(), adam()
    step = make_hyper_step(Learner(forward, cross_entropy, inner, 0.01, prepare=prepare), outer)
    state = HyperState(plastic, inner.init(plastic), innate, {}, outer.init(innate))
    source = torch.Generator().manual_seed(3)
    for _ in range(3):
        images = [torch.randn(1, MEMBERS, b, 1, 5, 5, generator=source, dtype=torch.float64) for b in (2, 7)]
        labels = [torch.randint(4, (1, MEMBERS, b), generator=source) for b in (2, 7)]
        batch = HyperBatch(images[0], labels[0], images[1], labels[1])
        state, losses = step(state, batch, torch.tensor(0.01, dtype=torch.float64))
        assert torch.isfinite(losses.hyper).all()
    return {**state.plastic, **state.innate}


@needs_kernel
def test_hyper_steps_on_images_agree_with_plain_pytorch():
    own, expected = hyper_steps("kernel"), hyper_steps("eager")
    assert own.keys() == expected.keys()
    for name, tensor in expected.items():
        torch.testing.assert_close(own[name], tensor, rtol=1e-8, atol=1e-10, msg=lambda m, n=name: f"{n}: {m}")


@needs_kernel
def test_auto_takes_the_kernel_and_never_compiles_a_step_around_it():
    network = make_head()
    forward = population_forward(network, parts(network)[0], backend="auto")
    assert isinstance(forward, FusedConvForward)
    assert describe(forward, compiled=False) == "kernel"
    assert fused_unroll(forward) is None
    assert compile_step(hyper_steps, forward, backend="auto", num_calls=10**6) is hyper_steps


@needs_kernel
def test_a_head_on_the_kernel_is_described_as_such():
    network = TrunkNetwork(torch.nn.Flatten(), make_head())
    _, forward = split_forward(network, parts(network)[0], input_ndim=1, backend="auto")
    assert describe(forward, compiled=False) == "kernel"
    assert compile_step(hyper_steps, forward, backend="auto", num_calls=10**6) is hyper_steps


def test_second_order_gradients_rule_the_kernel_out():
    network = make_head()
    plastic, _ = parts(network)
    with pytest.raises(ValueError, match="second-order gradients"):
        population_forward(network, plastic, backend="kernel", second_order=True)
    assert not isinstance(population_forward(network, plastic, backend="auto", second_order=True), FusedConvForward)


def test_networks_that_do_not_fit_are_refused_with_a_reason():
    network = make_head()
    plastic, innate = parts(network)
    assert "not a DAN network" in (why_not_fused_conv(torch.nn.Linear(2, 2), plastic) or "")
    assert "phenotype is plastic" in (why_not_fused_conv(network, {**plastic, **innate}) or "")
    assert "share" in (why_not_fused_conv(make_head("neuron"), plastic) or "")
    half = {name: tensor.half() for name, tensor in plastic.items()}
    with pytest.raises(ValueError, match="float16"):
        population_forward(network, half, backend="kernel")
    assert has_conv_phenotypes(network)
    assert not has_conv_phenotypes(DANNetwork((1, 2), num_channels=4))


def test_auto_goes_on_without_a_kernel_that_cannot_be_built(monkeypatch: pytest.MonkeyPatch):
    def fail(*_: object) -> None:
        raise RuntimeError("the compiler's words")

    monkeypatch.setattr("hyperlearning.networks.dan.fused_conv.build", fail)
    monkeypatch.setattr("hyperlearning.networks.dan.fused_conv.unsupported", lambda _: None)
    network = make_head()
    plastic, innate = parts(network)
    with pytest.warns(UserWarning, match="the compiler's words"):
        forward = population_forward(network, plastic, backend="auto")
    assert forward(plastic, innate, torch.zeros(MEMBERS, 2, 8, dtype=torch.float64)).shape == (MEMBERS, 2, 4)
    with warnings.catch_warnings(), pytest.raises(ValueError, match="the compiler's words"):
        population_forward(network, plastic, backend="kernel")
