"""A deployed network learns, keeps what is innate, and survives being saved."""

from pathlib import Path

import pytest
import torch
from tests.bounds import rounding
from torch import nn

from hyperlearning.core.tensor_files import FileError
from hyperlearning.learners.deployment import Deployment
from hyperlearning.networks.dan.network import DANNetwork


def small_network(seed: int = 0) -> DANNetwork:
    source = torch.Generator().manual_seed(seed)
    return DANNetwork((1, 4, 1), num_channels=3, skips=((0, 2),), generator=source)


def innate_of(network: DANNetwork) -> dict[str, torch.Tensor]:
    return {name: p.detach() for name, p in network.named_parameters() if network.is_innate(name)}


def stream(num_steps: int) -> list[tuple[torch.Tensor, torch.Tensor]]:
    x = torch.linspace(-1, 1, num_steps).view(-1, 1, 1)
    return list(zip(x, 0.5 * x, strict=True))


def test_a_trivial_stream_is_learned():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(1, 8), nn.Tanh(), nn.Linear(8, 1))
    life = Deployment(network, {"0.bias": network[0].bias}, inner_lr=0.1)
    losses = [life.observe(x, y) for _ in range(20) for x, y in stream(20)]
    assert sum(losses[-20:]) < 0.1 * sum(losses[:20])


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_innate_parameters_never_change_and_all_others_do(optimizer: str):
    network = small_network()
    innate = innate_of(network)
    before = {name: tensor.clone() for name, tensor in innate.items()}
    life = Deployment(network, innate, inner_lr=0.05, inner_optimizer=optimizer)  # pyright: ignore[reportArgumentType]
    for x, y in stream(50):
        life.observe(x, y)
    for name, tensor in before.items():
        assert torch.equal(life.innate[name], tensor)
        assert torch.equal(innate[name], tensor)
    assert all(not torch.equal(life.plastic[name], dict(network.named_parameters())[name]) for name in life.plastic)


def test_nothing_outside_reaches_the_innate_parameters():
    network = small_network()
    innate = innate_of(network)
    life = Deployment(network, innate)
    expected = life.predict(torch.ones(1, 1))
    with torch.no_grad():
        for tensor in [*innate.values(), *life.innate.values(), *life.plastic.values(), *network.parameters()]:
            tensor.fill_(9.0)
    assert torch.equal(life.predict(torch.ones(1, 1)), expected)
    with pytest.raises(TypeError):
        life.innate["phenotypes.0.weights.0"] = torch.zeros(1)  # pyright: ignore[reportIndexIssue]


def test_an_update_is_that_of_torch_sgd():
    network, reference = nn.Linear(2, 1), nn.Linear(2, 1)
    reference.load_state_dict(network.state_dict())
    life = Deployment(network, {"bias": network.bias}, inner_lr=0.1)
    x, y = torch.randn(5, 2), torch.randn(5, 1)
    life.observe(x, y)
    nn.functional.mse_loss(reference(x), y).backward()
    expected = reference.weight - 0.1 * reference.weight.grad
    bound = rounding(torch.float32, 20)  # Sums of three and of five terms, there and back.
    torch.testing.assert_close(life.plastic["weight"], expected.detach(), rtol=bound, atol=bound)


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_saved_loaded_and_continued_equals_uninterrupted_to_the_bit(optimizer: str, tmp_path: Path):
    network = small_network()

    def begin() -> Deployment:
        return Deployment(
            network,
            innate_of(network),
            inner_lr=0.05,
            inner_optimizer=optimizer,  # pyright: ignore[reportArgumentType]
        )

    whole, first, second = begin(), begin(), begin()
    data = stream(30)
    for x, y in data:
        whole.observe(x, y)
    for x, y in data[:11]:
        first.observe(x, y)
    first.save(tmp_path / "life.safetensors")
    second.load(tmp_path / "life.safetensors")
    for x, y in data[11:]:
        second.observe(x, y)
    assert second.num_updates == whole.num_updates
    assert all(torch.equal(second.plastic[name], tensor) for name, tensor in whole.plastic.items())


def test_a_file_of_another_network_is_refused_by_name_and_shape(tmp_path: Path):
    small, other = small_network(), DANNetwork((1, 5, 1), num_channels=3)
    Deployment(small, innate_of(small)).save(tmp_path / "life.safetensors")
    with pytest.raises(ValueError, match="synapses"):
        Deployment(other, innate_of(other)).load(tmp_path / "life.safetensors")


def test_a_truncated_file_is_refused_and_nothing_changes(tmp_path: Path):
    network = small_network()
    life = Deployment(network, innate_of(network))
    path = tmp_path / "life.safetensors"
    life.save(path)
    path.write_bytes(path.read_bytes()[:-7])
    before = life.predict(torch.ones(1, 1))
    with pytest.raises(FileError):
        life.load(path)
    assert torch.equal(life.predict(torch.ones(1, 1)), before)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_data_that_are_not_finite_are_refused_and_nothing_changes(bad: float):
    network = small_network()
    life = Deployment(network, innate_of(network))
    before = life.predict(torch.ones(1, 1))
    with pytest.raises(ValueError, match="finite"):
        life.observe(torch.tensor([[bad]]), torch.zeros(1, 1))
    assert torch.equal(life.predict(torch.ones(1, 1)), before)
    assert life.num_updates == 0


def test_senseless_arguments_are_refused():
    network = small_network()
    with pytest.raises(ValueError, match="inner_lr"):
        Deployment(network, innate_of(network), inner_lr=0.0)
    with pytest.raises(ValueError, match="nowhere"):
        Deployment(network, {"nowhere": torch.zeros(1)})
    with pytest.raises(ValueError, match="shape"):
        Deployment(network, {"phenotypes.0.weights.0": torch.zeros(1)})
