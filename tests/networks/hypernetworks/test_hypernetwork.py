"""Hypernetworks: what is emitted against plain arithmetic, first variances, many networks against one after another, refusals."""

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.functional import linear

from hyperlearning.core.errors import NonFiniteWeightsError
from hyperlearning.networks.hypernetworks.emissions import (
    Emission,
    FullEmission,
    LowRankEmission,
    MaskEmission,
    ResidualEmission,
)
from hyperlearning.networks.hypernetworks.hypernetwork import Hypernetwork

EMISSIONS: tuple[Emission, ...] = (
    FullEmission(),
    ResidualEmission(gain=0.5),
    LowRankEmission(rank=2, gain=0.5),
    MaskEmission(),
    MaskEmission(zeros=0.3),
)


def source(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def dense() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 16), nn.Tanh(), nn.Linear(16, 16), nn.Tanh(), nn.Linear(16, 3))


def convolutions() -> nn.Sequential:
    torch.manual_seed(0)
    layers = [nn.Conv2d(1, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 8, 3, stride=2), nn.ReLU(), nn.Flatten()]
    return nn.Sequential(*layers, nn.Linear(72, 5))


def made(target: nn.Module | None = None, conditions: Any = 4, **options: Any) -> Hypernetwork:
    return Hypernetwork(target or dense(), conditions, generator=source(), **{"hidden": (12, 10), **options})


SHAPES: tuple[dict[str, Any], ...] = (
    {},
    {"chunk_size": 50},
    {"chunk_size": 7, "chunk_embedding_size": 5},
    {"chunk_size": 100_000},
    {"heads": "per_tensor"},
    {"hidden": ()},
    {"hidden": (), "chunk_size": 50},
    {"activation": "elu"},
)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("emission", EMISSIONS)
def test_many_networks_are_each_ones_own(emission: Emission, shape: dict[str, Any]):
    hyper = made(emission=emission, **shape).double()
    inputs = torch.randn(3, 5, 6, dtype=torch.float64, generator=source(1))
    chosen = torch.tensor([2, 0, 2])
    alone = torch.stack([hyper(own, int(at)) for own, at in zip(inputs, chosen, strict=True)])
    torch.testing.assert_close(hyper(inputs, chosen), alone, rtol=1e-12, atol=1e-12)
    same = torch.stack([hyper(inputs[0], at) for at in range(4)])
    torch.testing.assert_close(hyper.on_all(inputs[0]), same, rtol=1e-12, atol=1e-12)


def test_a_whole_emission_is_dense_layers_on_an_embedding():
    hyper = made().double()
    first, second = hyper.body.layers
    assert isinstance(first, nn.Linear)
    assert isinstance(second, nn.Linear)
    hidden = linear(hyper.embeddings, first.weight, first.bias).relu()
    hidden = linear(hidden, second.weight, second.bias).relu()
    head = hyper.get_submodule("writers.target.head")
    assert isinstance(head, nn.Linear)
    flat, at = linear(hidden, head.weight, head.bias), 0
    for tensor in hyper.tensors():
        piece = tensor.mean + tensor.spread * flat[:, at : at + tensor.size].reshape(4, *tensor.shape)
        torch.testing.assert_close(hyper.weights(torch.arange(4))[tensor.name], piece, rtol=1e-12, atol=0)
        at += tensor.size
    assert at == flat.shape[1]


def test_chunks_are_dense_layers_on_a_condition_beside_a_chunk():
    hyper = made(chunk_size=50, chunk_embedding_size=5).double()
    first, second = hyper.body.layers
    assert isinstance(first, nn.Linear)
    assert isinstance(second, nn.Linear)
    assert hyper.chunk_head is not None
    chunks = hyper.get_parameter("writers.target.embeddings")
    pieces = []
    for chunk in chunks:
        inputs = torch.cat([hyper.embeddings[1], chunk])
        hidden = linear(linear(inputs, first.weight, first.bias).relu(), second.weight, second.bias).relu()
        pieces.append(linear(hidden, hyper.chunk_head.weight, hyper.chunk_head.bias))
    flat = torch.cat(pieces)
    own = torch.cat([tensor.flatten() for tensor in hyper.weights(1).values()])
    spread = torch.cat([torch.full((tensor.size,), tensor.spread, dtype=torch.float64) for tensor in hyper.tensors()])
    torch.testing.assert_close(own, spread * flat[: len(own)], rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("emission", EMISSIONS)
def test_gradients_are_those_of_finite_differences(emission: Emission, shape: dict[str, Any]):
    if isinstance(emission, MaskEmission) and emission.zeros:
        return  # A threshold has no derivative; checked below.
    small = {"hidden": (4,), "activation": "tanh", "chunk_embedding_size": 2}
    options = {**small, **shape, **({"chunk_size": min(6, shape["chunk_size"])} if "chunk_size" in shape else {})}
    target = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1)).double()
    hyper = made(target, 2, embedding_size=3, emission=emission, **options).double()
    names, values = zip(*hyper.named_parameters(), strict=True)
    inputs = torch.randn(2, 4, 2, dtype=torch.float64, generator=source(1))

    def outputs(*given: Tensor) -> Tensor:
        return functional_call(hyper, dict(zip(names, given, strict=True)), (inputs, torch.tensor([1, 0])))

    smooth = options.get("activation", "relu") != "relu"
    assert torch.autograd.gradcheck(outputs, values, eps=1e-6, atol=1e-6 if smooth else 1e-5)


def test_masks_let_gradients_through_where_they_are_not_zero():
    hyper = made(emission=MaskEmission(zeros=0.5)).double()
    (grad,) = torch.autograd.grad(
        sum(tensor.sum() for tensor in hyper.weights(0).values()), [hyper.get_parameter("targets.target.base")]
    )  # type: ignore[arg-type]
    assert isinstance(grad, Tensor)
    zeros = torch.cat([tensor.flatten() == 0 for tensor in hyper.weights(0).values()])
    assert torch.equal(grad == 0, zeros)
    assert abs(float(zeros.double().mean()) - 0.5) < 0.02


def activations(network: nn.Sequential, weights: dict[str, Tensor], inputs: Tensor) -> list[Tensor]:
    """What each layer with weights gives, as a list."""
    given: list[Tensor] = []
    own = copy.deepcopy(network)
    with torch.no_grad():
        for name, tensor in own.named_parameters():
            tensor.copy_(weights[name])
    for layer in own:
        inputs = layer(inputs)
        if isinstance(layer, nn.Linear | nn.Conv2d):
            given.append(inputs.detach())
    return given


@pytest.mark.parametrize(
    "emission", [FullEmission(), ResidualEmission(), LowRankEmission(), MaskEmission(), MaskEmission(zeros=0.2)]
)
@pytest.mark.parametrize(
    "shape", [{}, {"chunk_size": 4000}, {"heads": "per_tensor"}, {"hidden": ()}, {"hidden": (100, 50, 100)}]
)
def test_first_activations_vary_as_those_of_the_targets_own_initialiser(emission: Emission, shape: dict[str, Any]):
    def target() -> nn.Sequential:
        return nn.Sequential(
            nn.Linear(40, 100),
            nn.ReLU(),
            nn.Linear(100, 100),
            nn.ReLU(),
            nn.Linear(100, 100),
            nn.ReLU(),
            nn.Linear(100, 20),
        )

    torch.manual_seed(1)
    inputs = torch.randn(500, 40)
    own = [activations(one, dict(one.named_parameters()), inputs) for one in (target() for _ in range(24))]
    written = []
    for seed in range(24):
        plain = target()
        options = {"hidden": (64,), **shape}
        hyper = Hypernetwork(plain, 1, emission=emission, generator=source(seed), **options)
        written.append(activations(plain, hyper.weights(0), inputs))
    for layer in range(4):
        wanted = torch.stack([each[layer] for each in own]).square().mean()
        given = torch.stack([each[layer] for each in written]).square().mean()
        assert 0.8 < float(given / wanted) < 1.25


def test_a_base_begins_as_the_target_came():
    target = dense()
    hyper = made(target, emission=ResidualEmission(gain=1e-6))
    for name, tensor in hyper.weights(2).items():
        torch.testing.assert_close(tensor, target.get_parameter(name).detach(), rtol=0, atol=1e-5)


def test_what_is_not_emitted_is_the_same_for_all_conditions_and_trained():
    target = dense()
    hyper = made(target, emits=lambda name: name.startswith("4."))
    weights = hyper.weights(torch.tensor([0, 1]))
    assert [tensor.name for tensor in hyper.tensors()] == ["4.weight", "4.bias"]
    torch.testing.assert_close(weights["0.weight"][1], target.get_parameter("0.weight").detach(), rtol=0, atol=0)
    assert not torch.equal(weights["4.weight"][0], weights["4.weight"][1])
    hyper(torch.randn(5, 6), 0).sum().backward()
    assert hyper.get_parameter("targets.target.rest").grad is not None


def test_weights_at_hand_are_run():
    hyper, inputs = made(), torch.randn(2, 5, 6)
    chosen = torch.tensor([2, 0])
    torch.testing.assert_close(hyper.run(hyper.weights(chosen), inputs), hyper(inputs, chosen))
    torch.testing.assert_close(hyper.run_one(hyper.weights(2), inputs[0]), hyper(inputs[0], 2))
    hyper = made(convolutions(), own_buffers=True)
    with pytest.raises(ValueError, match="whose own buffers"):
        hyper.run(hyper.weights(torch.tensor([2])), torch.randn(1, 6, 1, 9, 9))


def test_an_encoder_makes_embeddings_of_conditions():
    encoder = nn.Linear(3, 32)
    hyper = made(conditions=encoder)
    given = torch.randn(4, 3)
    torch.testing.assert_close(hyper.embed(given), encoder(given))
    assert hyper(torch.randn(4, 5, 6), given).shape == (4, 5, 3)
    assert hyper.on_all(torch.randn(5, 6), given).shape == (4, 5, 3)


def test_one_hypernetwork_writes_two_architectures():
    hyper = made({"dense": dense(), "images": convolutions().eval()}, chunk_size=40)
    assert hyper.eval()(torch.randn(2, 6), 1, of="dense").shape == (2, 3)
    assert hyper(torch.randn(2, 1, 9, 9), 1, of="images").shape == (2, 5)
    assert hyper.chunk_head is not None
    hyper(torch.randn(2, 6), 1, of="dense").sum().backward()
    before = hyper.chunk_head.weight.grad
    assert before is not None
    with pytest.raises(ValueError, match="one of the targets dense, images, but got 'target'"):
        hyper.weights(0)


def test_each_condition_moves_running_statistics_of_its_own():
    target, images = convolutions(), torch.randn(3, 6, 1, 9, 9, generator=source(1))
    hyper = made(target, 3, own_buffers=True)
    alone = copy.deepcopy(hyper)
    together = hyper(images[:2], torch.tensor([2, 0]))
    torch.testing.assert_close(together, torch.stack([alone(images[0], 2), alone(images[1], 0)]), rtol=1e-4, atol=1e-5)
    for name, buffer in hyper.named_buffers():
        torch.testing.assert_close(buffer, alone.get_buffer(name), rtol=1e-4, atol=1e-5)
    counts = hyper.get_buffer("targets.target.buffer/1/num_batches_tracked")
    assert counts.tolist() == [1, 0, 1]
    hyper.eval()
    hyper(images[:2], torch.tensor([2, 0]))
    assert counts.tolist() == [1, 0, 1]


def test_a_single_network_moves_statistics_that_all_share_and_many_are_refused():
    hyper = made(convolutions(), 3)
    hyper(torch.randn(6, 1, 9, 9), 0)
    assert int(hyper.get_buffer("targets.target.buffer/1/num_batches_tracked")) == 1
    with pytest.raises(ValueError, match=r"running statistics, but '1' would"):
        hyper(torch.randn(2, 6, 1, 9, 9), torch.tensor([0, 1]))
    assert hyper.eval()(torch.randn(2, 6, 1, 9, 9), torch.tensor([0, 1])).shape == (2, 6, 5)


@pytest.mark.parametrize("emission", EMISSIONS)
def test_a_network_of_its_own_gives_the_same(emission: Emission):
    hyper, images = made(convolutions(), 3, emission=emission, own_buffers=True), torch.randn(6, 1, 9, 9)
    hyper(images, 1)
    hyper.eval()
    own = hyper.network(1)
    assert not own.training
    torch.testing.assert_close(own(images), hyper(images, 1))
    assert [name for name, _ in own.named_parameters()] == [name for name, _ in convolutions().named_parameters()]


def test_the_state_holds_all_that_is_needed():
    first, second = made(convolutions(), 3, own_buffers=True), made(convolutions(), 3, own_buffers=True)
    first(torch.randn(6, 1, 9, 9), 1)
    with torch.no_grad():
        for parameter in first.parameters():
            parameter.add_(0.01)
    second.load_state_dict(first.state_dict())
    images = torch.randn(6, 1, 9, 9)
    torch.testing.assert_close(second.eval()(images, 1), first.eval()(images, 1), rtol=0, atol=0)


def test_the_target_stays_as_it_is():
    target = convolutions()
    before = copy.deepcopy(target.state_dict())
    hyper = made(target, 3)
    hyper(torch.randn(6, 1, 9, 9), 0).sum().backward()
    assert all(torch.equal(tensor, before[name]) for name, tensor in target.state_dict().items())
    assert target.training
    assert all(parameter.grad is None for parameter in target.parameters())


def test_the_same_generator_gives_the_same_numbers():
    one, other = made(dense(), chunk_size=30), made(dense(), chunk_size=30)
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))


class Shared(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(3, 3)
        self.second = nn.Linear(3, 3)
        self.second.weight = self.first.weight


class OfIntegers(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.zeros(3, dtype=torch.long), requires_grad=False)


@pytest.mark.parametrize(
    ("target", "options", "said"),
    [
        (Shared(), {}, "'first.weight' and 'second.weight' are the same"),
        (nn.Sequential(nn.LazyLinear(3)), {}, "'0.weight' is lazy"),
        (nn.Linear(3, 3, dtype=torch.complex64), {}, "'weight' is torch.complex64"),
        (OfIntegers(), {}, "'table' is torch.int64"),
        (nn.ReLU(), {}, "ReLU with none"),
        (nn.Linear(3, 3), {"emits": lambda name: False}, "Linear with none"),
        (nn.Linear(3, 3), {"conditions": 0}, "`conditions` to be positive, but got 0"),
        (nn.Linear(3, 3), {"embedding_size": 0}, "positive sizes, but got 0"),
        (nn.Linear(3, 3), {"hidden": (3, -1)}, "positive sizes, but got -1"),
        (nn.Linear(3, 3), {"chunk_size": -4}, "positive sizes, but got -4"),
        (nn.Linear(3, 3), {"chunk_size": 4, "heads": "per_tensor"}, "'per_tensor' with a `chunk_size`"),
        (nn.Linear(3, 3), {"conditions": nn.Linear(2, 32), "own_buffers": True}, "`own_buffers` of learned embeddings"),
    ],
)
def test_what_cannot_be_written_is_refused(target: nn.Module, options: dict[str, Any], said: str):
    with pytest.raises(ValueError, match=said):
        made(target, **options)


def test_what_would_not_fit_is_refused_before_it_is_made():
    with pytest.raises(ValueError, match=r"numbers need .* TB|GB.* with gradients and moments: emit in chunks"):
        made(nn.Linear(300, 300), hidden=(64, 20_000_000))


@pytest.mark.parametrize("wrong", [4, -1, torch.tensor([0, 9]), torch.tensor([0.5]), torch.tensor([[0]])])
def test_a_condition_out_of_range_is_refused(wrong: int | Tensor):
    with pytest.raises(ValueError, match=r"conditions from 0 to 3|index, or indices"):
        made().weights(wrong)


def test_an_encoder_of_another_size_is_refused():
    with pytest.raises(ValueError, match=r"embeddings \(2, 32\), but got shape \(2, 31\)"):
        made(conditions=nn.Linear(3, 31)).weights(torch.zeros(2, 3))
    with pytest.raises(ValueError, match="what the encoder takes"):
        made(conditions=nn.Linear(3, 32)).weights(1)
    with pytest.raises(ValueError, match="`conditions` for the encoder"):
        made(conditions=nn.Linear(3, 32)).on_all(torch.zeros(2, 6))


def test_inputs_of_another_number_of_networks_are_refused():
    with pytest.raises(ValueError, match=r"inputs of 2 networks, but got shape \(3, 5, 6\)"):
        made()(torch.zeros(3, 5, 6), torch.tensor([0, 1]))


def test_what_is_not_finite_is_named():
    hyper = made()
    with torch.no_grad():
        head = hyper.get_submodule("writers.target.head")
        assert isinstance(head, nn.Linear)
        head.bias[6 * 16] = float("nan")
    with pytest.raises(NonFiniteWeightsError, match=r"'0.bias'"):
        hyper.weights(0)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: ResidualEmission(gain=0.0), "`gain` to be positive"),
        (lambda: LowRankEmission(rank=0), "`rank` to be positive"),
        (lambda: MaskEmission(zeros=1.0), "`zeros` from 0"),
    ],
)
def test_an_emission_out_of_range_is_refused(make: Any, said: str):
    with pytest.raises(ValueError, match=said):
        make()


def test_a_low_rank_moves_matrices_by_products_of_its_rank():
    target = nn.Sequential(nn.Conv2d(4, 8, 3), nn.Flatten(), nn.Linear(72, 20))
    hyper = made(target, emission=LowRankEmission(rank=2, gain=1.0)).double()
    for name, tensor in hyper.weights(1).items():
        moved = (tensor - target.get_parameter(name)).detach().reshape(len(tensor), -1)
        assert torch.linalg.matrix_rank(moved) <= 2
    assert sum(tensor.numel() for tensor in hyper.weights(1).values()) == 4 * 8 * 9 + 8 + 72 * 20 + 20
    assert hyper.get_submodule("writers.target.head").get_parameter("bias").numel() == 2 * (8 + 36) + 8 + 2 * 92 + 20
