"""A deployed network learns, keeps what is innate, and survives being saved."""

import copy
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.bounds import rounding
from tests.learners.unfit import dan_network, torch_network
from torch import nn

from hyperlearning.core.tensor_files import FileError, load_tensors, save_tensors
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


def test_dropout_is_off_in_predict_and_on_in_observe_if_asked():
    network = nn.Sequential(nn.Linear(2, 16), nn.Dropout(0.5), nn.Linear(16, 1))
    x, y = torch.ones(1, 2), torch.zeros(1, 1)
    calm, shaken = (Deployment(network, {}, inner_lr=1e-3, dropout=dropout) for dropout in (False, True))
    assert torch.equal(calm.predict(x), calm.predict(x))
    torch.manual_seed(0)
    calm.observe(x, y)
    shaken.observe(x, y)
    assert any(not torch.equal(calm.plastic[name], tensor) for name, tensor in shaken.plastic.items())
    assert torch.equal(shaken.predict(x), shaken.predict(x))
    assert network.training


def with_batch_norm() -> nn.Sequential:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(2, 4), nn.BatchNorm1d(4), nn.Linear(4, 1))
    network(torch.randn(32, 2))  # Statistics of its own.
    return network


def test_innate_batch_norm_takes_single_examples_and_keeps_its_statistics():
    network = with_batch_norm()
    life = Deployment(network, {}, inner_lr=0.01)
    reference = with_batch_norm().eval()
    x, y = torch.randn(1, 2), torch.ones(1, 1)
    loss = nn.functional.mse_loss(reference(x), y)
    loss.backward()
    assert life.observe(x, y) == pytest.approx(float(loss.detach()), rel=1e-6)
    weight = dict(reference.named_parameters())["0.weight"]
    assert weight.grad is not None
    expected = weight - 0.01 * weight.grad
    torch.testing.assert_close(life.plastic["0.weight"], expected.detach())
    with torch.no_grad():  # What was learned, under the statistics as they were.
        for name, parameter in reference.named_parameters():
            parameter.copy_(life.plastic[name])
        torch.testing.assert_close(life.predict(x), reference(x))


def test_plastic_batch_norm_follows_the_stream_and_is_saved_with_the_life(tmp_path: Path):
    lives = [Deployment(with_batch_norm(), {}, inner_lr=0.01, batch_norm="plastic") for _ in range(2)]
    before = lives[0].predict(torch.zeros(1, 2))
    source = torch.Generator().manual_seed(3)
    for _ in range(10):
        lives[0].observe(5 + torch.randn(8, 2, generator=source), torch.ones(8, 1))
    assert not torch.equal(lives[0].predict(torch.zeros(1, 2)), before)
    lives[0].save(tmp_path / "life.safetensors")
    lives[1].load(tmp_path / "life.safetensors")
    x = 5 + torch.randn(8, 2, generator=source)
    assert torch.equal(lives[0].predict(x), lives[1].predict(x))
    kept = lives[0].predict(x)
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        lives[0].observe(x[:1], torch.ones(1, 1))
    with pytest.raises(ValueError, match="finite loss"):
        lives[0].observe(x, torch.full((8, 1), 1e30))
    assert torch.equal(lives[0].predict(x), kept)


def test_batch_norm_without_statistics_to_go_by_is_refused_by_name():
    network = nn.Sequential(nn.Linear(2, 4), nn.BatchNorm1d(4, track_running_stats=False))
    with pytest.raises(ValueError, match="batch norm '1'"):
        Deployment(network, {})


class Last(nn.Module):
    """An LSTM, read out at the end of a sequence."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm, self.readout = nn.LSTM(1, 6, batch_first=True), nn.Linear(6, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.readout(self.lstm(x)[0][:, -1])


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_a_recurrent_network_lives_as_in_a_plain_loop(optimizer: str):
    torch.manual_seed(0)
    network, reference = Last(), Last()
    reference.load_state_dict(network.state_dict())
    life = Deployment(network, {}, inner_lr=0.01, inner_optimizer=optimizer)  # pyright: ignore[reportArgumentType]
    plain = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam}[optimizer](reference.parameters(), lr=0.01)
    for _ in range(5):
        x, y = torch.randn(3, 7, 1), torch.randn(3, 1)
        plain.zero_grad()
        loss = nn.functional.mse_loss(reference(x), y)
        loss.backward()
        plain.step()
        assert life.observe(x, y) == pytest.approx(float(loss.detach()), rel=1e-4)
    for name, parameter in reference.named_parameters():
        torch.testing.assert_close(life.plastic[name], parameter.detach(), rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("context", [torch.no_grad, torch.inference_mode])
def test_learning_works_where_gradients_are_off(context: type):
    network, reference = small_network(), small_network()
    life, plain = (Deployment(each, innate_of(each), inner_lr=0.05) for each in (network, reference))
    for x, y in stream(5):
        with context():
            life.observe(x * 1, y * 1)
        plain.observe(x, y)
    assert all(torch.equal(life.plastic[name], tensor) for name, tensor in plain.plastic.items())


def test_a_file_of_another_precision_is_refused(tmp_path: Path):
    Deployment(nn.Linear(2, 1), {}).save(tmp_path / "life.safetensors")
    with pytest.raises(ValueError, match=r"float32, this network .* of float64"):
        Deployment(nn.Linear(2, 1).double(), {}).load(tmp_path / "life.safetensors")


def test_an_empty_batch_and_what_cannot_be_predicted_are_refused():
    life = Deployment(nn.Linear(2, 1), {})
    with pytest.raises(ValueError, match="one example or more"):
        life.observe(torch.zeros(0, 2), torch.zeros(0, 1))
    with pytest.raises(ValueError, match="finite"):
        life.predict(torch.tensor([[1.0, float("nan")]]))


@pytest.mark.parametrize("loss_fn", [nn.functional.mse_loss, nn.MSELoss(reduction="none")])
def test_a_loss_without_a_member_axis_is_refused_with_what_is_expected(loss_fn: Any):
    life = Deployment(nn.Linear(2, 1), {}, loss_fn=loss_fn)
    with pytest.raises(ValueError, match=r"one loss a member, shape \(1,\), but got \("):
        life.observe(torch.ones(5, 2), torch.ones(5, 1))


def test_a_batch_that_requires_gradients_is_learned_without_them():
    for network in (torch_network(), dan_network()):
        life, reference = (Deployment(network, {}) for _ in range(2))
        assert life.observe(torch.ones(1, 2, requires_grad=True), torch.ones(1, 1)) == reference.observe(
            torch.ones(1, 2), torch.ones(1, 1)
        )


@pytest.mark.parametrize(
    ("innate", "message"),
    [
        ({"0.bias": torch.full((4,), torch.nan)}, "innate parameter '0.bias' holds a NaN"),
        ({"0.bias": torch.zeros(3)}, "innate parameter '0.bias' of shape"),
    ],
)
def test_innate_parameters_that_cannot_be_are_refused_by_name(innate: Any, message: str):
    with pytest.raises(ValueError, match=message):
        Deployment(torch_network(), innate)


def test_plastic_parameters_that_cannot_live_are_refused_by_name():
    network = torch_network()
    network[2].double()
    with pytest.raises(ValueError, match=r"of one type, but got float32 \('0.weight'\) and float64 \('2.weight'\)"):
        Deployment(network, {})
    network = torch_network()
    nn.init.constant_(network[0].bias, torch.inf)
    with pytest.raises(ValueError, match=r"plastic parameter '0\.bias' holds"):
        Deployment(network, {})


def test_pickling_points_to_save():
    with pytest.raises(TypeError, match="`save` and `load`"):
        pickle.dumps(Deployment(nn.Linear(2, 1), {}))


def test_the_kernel_and_autograd_live_the_same_life():
    torch.manual_seed(1)
    network = DANNetwork((1, 8, 8, 1), num_channels=4, skips=((0, 2),))
    network_64 = copy.deepcopy(network).double()
    fused, plain = (Deployment(each, innate_of(each), inner_lr=0.02) for each in (network, network_64))
    plain._unroll = None
    for x, y in stream(40):
        fused.observe(x, y)
        plain.observe(x.double(), y.double())
    for name, tensor in plain.plastic.items():
        torch.testing.assert_close(fused.plastic[name].double(), tensor, rtol=1e-3, atol=1e-4)


def test_lives_saved_by_earlier_versions_still_load(tmp_path: Path):
    life = Deployment(nn.Linear(2, 1), {}, inner_optimizer="adam")
    life.observe(torch.ones(1, 2), torch.ones(1, 1))
    life.save(tmp_path / "new.safetensors")
    new = load_tensors(tmp_path / "new.safetensors")
    old = {name: tensor if name == "moments/count" else tensor[None] for name, tensor in new.tensors.items()}
    save_tensors(tmp_path / "old.safetensors", old, {"num_updates": 1, "shapes": {}})
    again = Deployment(nn.Linear(2, 1), {}, inner_optimizer="adam")
    again.load(tmp_path / "old.safetensors")
    assert all(torch.equal(again.plastic[name], tensor) for name, tensor in life.plastic.items())


def test_facts_are_kept_beside_a_saved_life(tmp_path: Path):
    life = Deployment(nn.Linear(2, 1), {})
    life.observe(torch.ones(1, 2), torch.ones(1, 1))
    life.save(path := tmp_path / "life.safetensors", facts={"classes": ["日本"]})
    assert load_tensors(path).facts == {"classes": ["日本"], "num_updates": 1}
    again = Deployment(nn.Linear(2, 1), {})
    again.load(path)
    assert again.num_updates == 1
