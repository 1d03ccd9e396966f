"""Weights as one vector and back: any module, to the bit, or a named error."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from hyperlearning.core.weight_vectors import Header, check_fits, join, split, state_of, weights_of, with_weights


def network() -> nn.Module:
    own = nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.Flatten(), nn.Linear(12, 2))
    own(torch.randn(5, 1, 4, 4))
    return own


def test_a_network_comes_back_to_the_bit_with_its_statistics_and_counters():
    own = network()
    copied = with_weights(network(), weights_of(own))
    assert all(torch.equal(tensor, copied.state_dict()[name]) for name, tensor in own.state_dict().items())
    assert int(copied.state_dict()["1.num_batches_tracked"]) == 1


def test_the_copy_is_a_network_of_its_own():
    own, template = network(), network()
    before = {name: tensor.clone() for name, tensor in template.state_dict().items()}
    copied = with_weights(template, weights_of(own))
    for parameter in copied.parameters():
        parameter.data.zero_()
    assert all(torch.equal(tensor, before[name]) for name, tensor in template.state_dict().items())


def test_types_are_kept():
    own = nn.Linear(3, 2).half()
    assert with_weights(nn.Linear(3, 2).half(), weights_of(own)).weight.dtype == torch.float16


def test_a_header_survives_json():
    header = weights_of(network()).header
    assert Header.of_facts(header.facts()) == header
    assert header.size == len(weights_of(network()).vector)


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (nn.Linear(3, 3), r"'weight' of shape \(2, 3\), float32, but got one with 'weight' of shape \(3, 3\)"),
        (nn.Linear(3, 2, bias=False), "'bias' of shape .* but got one with no 'bias'"),
        (nn.Linear(3, 2).double(), "float32, but got one with .* float64"),
    ],
)
def test_a_network_of_another_form_is_refused_by_the_first_tensor_that_differs(other: nn.Module, message: str):
    with pytest.raises(ValueError, match=message):
        check_fits(other, weights_of(nn.Linear(3, 2)).header)


def test_a_weight_that_is_no_number_is_refused_by_name():
    own = nn.Linear(3, 2)
    own.bias.data[1] = float("nan")
    with pytest.raises(ValueError, match="infinity in 'bias'"):
        weights_of(own)


def test_a_network_without_weights_is_refused():
    with pytest.raises(ValueError, match="ReLU, which has none"):
        weights_of(nn.ReLU())


def test_a_vector_of_another_size_is_refused():
    weights = weights_of(nn.Linear(3, 2))
    with pytest.raises(ValueError, match="Expected a vector of 8 numbers"):
        state_of(weights._replace(vector=torch.zeros(7)))


@given(st.integers(1, 40), st.integers(1, 12))
def test_pieces_joined_are_the_vector(length: int, size: int):
    vector = torch.arange(1.0, length + 1)
    pieces = split(vector, size)
    assert pieces.shape == (-(-length // size), size)
    assert torch.equal(join(pieces, length), vector)
    assert float(pieces.sum()) == float(vector.sum())


def test_a_split_that_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="`size` to be positive, but got 0"):
        split(torch.zeros(5), 0)
    pieces = split(torch.arange(5.0), 2)
    for length in (4, 7):
        with pytest.raises(ValueError, match=f"pieces of 2 as hold {length} numbers, but got 3 of them"):
            join(pieces, length)
