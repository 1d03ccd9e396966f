"""Barlow Twins: the loss against plain loops and finite differences, its extremes, and learning without labels."""

import math

import pytest
import torch
from tests.bounds import rounding
from torch import Tensor, nn

from hyperlearning.learners.barlow_twins import Correlation, barlow_twins_loss, cross_correlation
from hyperlearning.networks.projector import projector

CORRELATIONS: tuple[Correlation, ...] = ("centred", "uncentred")
SHAPES = [(9, 4), (4, 9), (5, 5), (2, 1)]
each = pytest.mark.parametrize("correlation", CORRELATIONS)
each_shape = pytest.mark.parametrize("shape", SHAPES, ids=str)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def drawn(shape: tuple[int, int], seed: int = 0, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor]:
    """Related projections whose means are not 0."""
    source = seeded(seed)
    first = 1 + torch.randn(shape, generator=source, dtype=torch.float64)
    return first.to(dtype), (0.5 * first + torch.randn(shape, generator=source, dtype=torch.float64)).to(dtype)


def plain(first: Tensor, second: Tensor, weight: float, correlation: Correlation) -> tuple[list[list[float]], float]:
    """The matrix and the loss as the equations have them, number by number."""
    columns = [list(zip(*z.tolist(), strict=True)) for z in (first, second)]
    num, size = first.shape

    def prepared(column: tuple[float, ...]) -> list[float]:
        mean = sum(column) / num if correlation == "centred" else 0.0
        off = [value - mean for value in column]
        # The authors' batch norm adds 1e-5 to the variance; the equation nothing.
        eps = 1e-5 * num if correlation == "centred" else 0.0
        return [value / math.sqrt(sum(other**2 for other in off) + eps) for value in off]

    one, two = ([prepared(column) for column in own] for own in columns)
    matrix = [[sum(a * b for a, b in zip(x, y, strict=True)) for y in two] for x in one]
    on = sum((1 - matrix[i][i]) ** 2 for i in range(size))
    return matrix, on + weight * sum(matrix[i][j] ** 2 for i in range(size) for j in range(size) if i != j)


@each
@each_shape
def test_matrix_and_loss_are_those_of_the_equations(correlation: Correlation, shape: tuple[int, int]):
    first, second = drawn(shape)
    matrix, loss = plain(first, second, 0.3, correlation)
    found = cross_correlation(first, second, correlation=correlation)
    torch.testing.assert_close(found, torch.tensor(matrix, dtype=torch.float64), rtol=1e-10, atol=1e-12)
    found = barlow_twins_loss(first, second, redundancy_weight=0.3, correlation=correlation)
    assert float(found) == pytest.approx(loss, rel=1e-10, abs=1e-12)


@each
@each_shape
def test_the_weight_of_redundancy_is_one_over_the_size_unless_given(correlation: Correlation, shape: tuple[int, int]):
    default = barlow_twins_loss(*drawn(shape), correlation=correlation)
    given = barlow_twins_loss(*drawn(shape), redundancy_weight=1 / shape[1], correlation=correlation)
    assert torch.equal(default, given)


@each
@pytest.mark.parametrize("shape", [(9, 4), (4, 9)], ids=str)
def test_gradients_are_those_of_finite_differences(correlation: Correlation, shape: tuple[int, int]):
    inputs = tuple(tensor.requires_grad_() for tensor in drawn(shape))
    assert torch.autograd.gradcheck(lambda one, two: barlow_twins_loss(one, two, correlation=correlation), inputs)


@each
def test_both_ways_of_summing_agree_in_single_precision(correlation: Correlation):
    first, second = drawn((64, 256), dtype=torch.float32)
    matrix = cross_correlation(first, second, correlation=correlation)
    diagonal = matrix.diagonal()
    expected = (1 - diagonal).square().sum() + (matrix.square().sum() - diagonal.square().sum()) / 256
    found = barlow_twins_loss(first, second, correlation=correlation)
    torch.testing.assert_close(found, expected, rtol=rounding(torch.float32, 64 + 256), atol=0)


def test_twins_that_agree_and_say_different_things_cost_nothing():
    signs = torch.tensor([[1.0, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]], dtype=torch.float64)
    for correlation in CORRELATIONS:
        assert float(barlow_twins_loss(signs, 3 * signs, correlation=correlation)) == pytest.approx(0, abs=1e-8)


def test_numbers_that_all_say_the_same_cost_their_redundancy():
    column = torch.tensor([1.0, -1, 2, -2], dtype=torch.float64)[:, None]
    first = column.expand(4, 5)
    found = barlow_twins_loss(first, first, redundancy_weight=0.1)
    assert float(found) == pytest.approx(0.1 * 20, rel=1e-4)


def test_a_common_offset_matters_only_where_means_stay():
    first, second = drawn((20, 4))
    centred = [barlow_twins_loss(first + c, second + c) for c in (0.0, 5.0)]
    torch.testing.assert_close(centred[0], centred[1], rtol=1e-8, atol=0)
    other = [barlow_twins_loss(first + c, second + c, correlation="uncentred") for c in (0.0, 5.0)]
    assert float(other[1]) > 1.2 * float(other[0])


@each
def test_half_precision_is_computed_in_single(correlation: Correlation):
    first, second = drawn((16, 8), dtype=torch.bfloat16)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = barlow_twins_loss(first, second, correlation=correlation)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, barlow_twins_loss(first.float(), second.float(), correlation=correlation))


@each
def test_numbers_that_never_vary_give_finite_losses_and_gradients(correlation: Correlation):
    first = torch.zeros(6, 3, requires_grad=True)
    loss = barlow_twins_loss(first, torch.ones(6, 3), correlation=correlation)
    (slope,) = torch.autograd.grad(loss, first)
    assert bool(loss.isfinite())
    assert bool(slope.isfinite().all())


def test_it_teaches_an_encoder_what_two_views_share():
    source = seeded()
    signal = torch.randn(256, 2, generator=source)
    mixing = torch.randn(2, 8, generator=source)
    network = nn.Sequential(nn.Linear(8, 4), *projector(source, 4, widths=(16, 2)))
    nn.init.uniform_(network[0].weight, -0.3, 0.3, generator=source)
    nn.init.zeros_(network[0].bias)
    moves = torch.optim.Adam(network.parameters(), lr=0.01)
    losses = []
    for _ in range(200):
        first, second = (signal @ mixing + 0.3 * torch.randn(256, 8, generator=source) for _ in range(2))
        loss = barlow_twins_loss(network(first), network(second))
        moves.zero_grad()
        loss.backward()
        moves.step()
        losses.append(float(loss.detach()))
    assert sum(losses[-10:]) < 0.2 * sum(losses[:10])


def test_what_cannot_be_correlated_is_refused():
    with pytest.raises(ValueError, match="two images or more to correlate over, but got 1"):
        barlow_twins_loss(*drawn((1, 4)))
    with pytest.raises(ValueError, match="`redundancy_weight` to be non-negative, but got -"):
        barlow_twins_loss(*drawn((4, 4)), redundancy_weight=-0.1)
