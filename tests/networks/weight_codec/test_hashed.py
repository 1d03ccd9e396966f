"""Coded networks: any module, moved from its source by a few numbers, which are all that it learns."""

import pytest
import torch
from torch import nn

from hyperlearning.networks.weight_codec.hashed import CodedNetwork, _lengths


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), nn.Flatten(), nn.Linear(12, 2))


def test_at_a_code_of_0_it_is_its_source_and_learns_the_code_alone():
    own, images = network().eval(), torch.randn(5, 1, 4, 4)
    coded = CodedNetwork(own, code_size=7).eval()
    torch.testing.assert_close(coded(images), own(images))
    assert [name for name, _ in coded.named_parameters()] == ["code"]


def test_every_weight_is_its_source_plus_its_number_times_its_sign_and_the_spread_of_its_tensor():
    own = network()
    coded = CodedNetwork(own, code_size=5, seed=3)
    coded.load_code(torch.arange(1.0, 6.0))
    for name, source in own.named_parameters():
        spread = float(source.detach().std()) if source.ndim > 1 else 0.1
        steps = ((coded.weights()[name] - source) / spread).abs().flatten()
        torch.testing.assert_close(steps, steps.round(), rtol=0, atol=1e-4)
        assert set(steps.round().int().tolist()) <= {1, 2, 3, 4, 5}


def test_its_gradient_is_that_of_finite_differences():
    coded = CodedNetwork(
        nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)).double(), code_size=5, step=0.0
    ).double()
    inputs = torch.randn(6, 3, dtype=torch.float64)

    def outputs(code: torch.Tensor) -> torch.Tensor:
        return torch.func.functional_call(coded, {"code": code}, (inputs,))

    assert torch.autograd.gradcheck(outputs, (torch.randn(5, dtype=torch.float64, requires_grad=True),))


def test_backwards_a_rounded_code_is_the_code_itself():
    own = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))
    inputs, grads = torch.randn(6, 3), []
    for step, code in ((1.0, torch.tensor([0.6, -1.4, 2.2, 0.3])), (0.0, torch.tensor([1.0, -1.0, 2.0, 0.0]))):
        coded = CodedNetwork(own, code_size=4, step=step)
        coded.load_code(code)
        assert torch.equal(coded.rounded(), torch.tensor([1.0, -1.0, 2.0, 0.0]))
        coded(inputs).square().sum().backward()
        grads.append(coded.code.grad)
    torch.testing.assert_close(grads[0], grads[1])


def test_every_tensor_has_a_stretch_of_the_code_that_is_no_longer_than_it_is():
    lengths = _lengths([250, 10, 5000, 16_000], 1000)
    assert sum(lengths) == pytest.approx(1000)
    assert lengths[3] / lengths[2] == pytest.approx(3.2**0.75)
    assert _lengths([250, 10, 5000, 16_000], 21_000)[:2] == [250, 10]
    assert _lengths([3, 4], 100) == [3, 4]
    assert sum(_lengths([5, 6, 7, 8], 2)) == pytest.approx(2)


@pytest.mark.parametrize("code_size", [1, 3, 7, 30, 64, 1000])
def test_weights_of_a_tensor_are_shared_out_evenly(code_size: int):
    coded = CodedNetwork(network(), code_size=code_size)
    stretches = coded._places.split([parameter.numel() for parameter in network().parameters()])
    for places in stretches:
        counts = torch.bincount(places)
        inner = counts[counts > 0][1:-1]
        if len(inner):
            assert int(inner.max() - inner.min()) <= 1
    if code_size == 1000:
        assert all(len(places.unique()) == len(places) for places in stretches)


def test_places_and_signs_follow_from_the_seed_and_from_nothing_else():
    code = torch.randn(6)
    made = []
    for seed in (1, 1, 2):
        torch.manual_seed(len(made))
        coded = CodedNetwork(network(), code_size=6, seed=seed)
        coded.load_code(code)
        made.append(torch.cat([weight.flatten() for weight in coded.weights().values()]))
    assert torch.equal(made[0], made[1])
    assert not torch.equal(made[0], made[2])


def test_a_plain_copy_computes_the_same_and_is_free_of_it():
    coded, images = CodedNetwork(network(), code_size=7).eval(), torch.randn(5, 1, 4, 4)
    coded.load_code(torch.randn(7))
    plain = coded.plain().eval()
    torch.testing.assert_close(plain(images), coded(images))
    before = plain(images)
    coded.load_code(torch.zeros(7))
    assert torch.equal(plain(images), before)


def test_the_module_that_it_is_made_of_does_not_change():
    own = network()
    before = {name: tensor.clone() for name, tensor in own.state_dict().items()}
    coded = CodedNetwork(own, code_size=4)
    coded(torch.randn(3, 1, 4, 4)).sum().backward()
    assert coded.code.grad is not None
    assert all(torch.equal(tensor, before[name]) for name, tensor in own.state_dict().items())
    assert all(parameter.requires_grad for parameter in own.parameters())


def test_it_learns_what_its_code_can_express():
    torch.manual_seed(0)
    coded = CodedNetwork(nn.Sequential(nn.Linear(4, 32), nn.Tanh(), nn.Linear(32, 2)), code_size=24, step=0.5)
    inputs = torch.randn(256, 4)
    labels = (inputs[:, 0] > inputs[:, 1]).long()
    adam = torch.optim.Adam(coded.parameters(), lr=0.1)
    for _ in range(150):
        adam.zero_grad()
        nn.functional.cross_entropy(coded(inputs), labels).backward()
        adam.step()
    assert float((coded(inputs).argmax(1) == labels).float().mean()) > 0.95


def test_what_does_not_suit_is_refused():
    with pytest.raises(ValueError, match="ReLU, which has none"):
        CodedNetwork(nn.ReLU(), code_size=3)
    with pytest.raises(ValueError, match="`code_size` to be positive"):
        CodedNetwork(network(), code_size=0)
    with pytest.raises(ValueError, match="`step` to be 0 or more, but got -1"):
        CodedNetwork(network(), code_size=3, step=-1.0)
    with pytest.raises(ValueError, match="a code of 3 numbers"):
        CodedNetwork(network(), code_size=3).load_code(torch.zeros(4))
