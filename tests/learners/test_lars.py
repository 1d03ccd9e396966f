"""Layer-wise adaptive rates: closed forms, and what is not adapted."""

from typing import Any

import pytest
import torch

from hyperlearning.core.params import Params
from hyperlearning.learners.lars import lars


def after(params: Params, grads: Params, *, steps: int = 1, lr: float = 0.5, **settings: Any) -> Params:
    rule = lars(**settings)
    moments = rule.init(params)
    for _ in range(steps):
        params, moments = rule.update(params, list(grads.values()), moments, lr)
    return params


def weights(*shape: int, value: float = 2.0) -> Params:
    return {"w": torch.full(shape, value, dtype=torch.float64)}


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_a_layer_shrinks_by_a_share_of_itself_however_large_its_gradient_is(scale: float):
    """Along its own direction: `p_K = p_0 (1 - lr * trust)^K` without momentum and decay."""
    found = after(weights(3, 4), weights(3, 4, value=scale), steps=7, momentum=0.0, weight_decay=0.0, trust=0.1)
    torch.testing.assert_close(found, weights(3, 4, value=2 * (1 - 0.5 * 0.1) ** 7), rtol=1e-12, atol=0)


def test_momentum_sums_updates():
    found = after(weights(5), weights(5, value=1.0), steps=3, momentum=0.5)
    torch.testing.assert_close(found, weights(5, value=2 - 0.5 * (1 + 1.5 + 1.75)), rtol=1e-12, atol=0)


def test_decay_is_part_of_the_gradient_that_is_adapted():
    # Of the gradient 1 + 3 * 2 only the direction is left.
    found = after(weights(2, 2), weights(2, 2, value=1.0), momentum=0.0, weight_decay=3.0, trust=0.1)
    torch.testing.assert_close(found, weights(2, 2, value=2 - 0.5 * 0.1 * 2), rtol=1e-12, atol=0)
    # Against the gradient decay can turn it round.
    found = after(weights(2, 2), weights(2, 2, value=-1.0), momentum=0.0, weight_decay=3.0, trust=0.1)
    torch.testing.assert_close(found, weights(2, 2, value=2 - 0.5 * 0.1 * 2), rtol=1e-12, atol=0)


@pytest.mark.parametrize("shape", [(), (5,)])
def test_parameters_of_one_axis_or_none_are_neither_adapted_nor_decayed(shape: tuple[int, ...]):
    found = after(weights(*shape), weights(*shape, value=0.3), weight_decay=3.0, trust=0.1)
    torch.testing.assert_close(found, weights(*shape, value=2 - 0.5 * 0.3), rtol=1e-12, atol=0)


def test_they_may_have_a_rate_of_their_own():
    found = after(weights(5), weights(5, value=0.3), vector_rate=0.1)
    torch.testing.assert_close(found, weights(5, value=2 - 0.5 * 0.1 * 0.3), rtol=1e-12, atol=0)


def test_each_layer_has_its_own_rate():
    params = {"a": torch.full((2, 2), 1.0), "b": torch.full((2, 2), 100.0)}
    grads = {"a": torch.full((2, 2), 7.0), "b": torch.full((2, 2), 0.01)}
    found = after(params, grads, lr=1.0, weight_decay=0.0, trust=0.01)
    torch.testing.assert_close(found, {"a": torch.full((2, 2), 0.99), "b": torch.full((2, 2), 99.0)})


@pytest.mark.parametrize(("value", "slope"), [(0.0, 0.3), (2.0, 0.0), (0.0, 0.0)])
def test_a_layer_of_zeros_or_without_a_gradient_takes_its_gradient(value: float, slope: float):
    found = after(weights(2, 2, value=value), weights(2, 2, value=slope), weight_decay=0.0)
    torch.testing.assert_close(found, weights(2, 2, value=value - 0.5 * slope), rtol=1e-12, atol=0)


@pytest.mark.parametrize(
    "settings", [{"momentum": 1.0}, {"momentum": -0.1}, {"weight_decay": -1.0}, {"trust": 0.0}, {"vector_rate": 0.0}]
)
def test_settings_out_of_range_are_refused(settings: dict[str, float]):
    with pytest.raises(ValueError, match="Expected `momentum` from 0 to below 1"):
        lars(**settings)
