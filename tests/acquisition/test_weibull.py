"""Weibull fits against SciPy's, side by side as alone, and an order that single precision does not lose."""

import numpy as np
import pytest
import torch
from scipy.stats import weibull_min

from hyperlearning.acquisition.weibull import fit_tails


@pytest.mark.parametrize("seed", range(6))
def test_fits_of_several_classes_are_those_that_scipy_finds_one_by_one(seed: int):
    numbers = np.random.default_rng(seed)
    sizes = [5, 25, 200, 12]
    distances = torch.full((4, 200), 99.0, dtype=torch.float64)
    for row, size in enumerate(sizes):
        distances[row, :size] = torch.from_numpy(numbers.weibull(0.5 + 2 * row, size) * (0.1 + row))
    in_tail = torch.arange(200) < torch.tensor(sizes)[:, None]
    found = fit_tails(distances, in_tail)
    for row, size in enumerate(sizes):
        own = distances[row, :size].numpy()
        location = own.min() - 1
        assert float(found.location_C[row]) == pytest.approx(location)
        shape, _, scale = weibull_min.fit(own, floc=location)
        mine = weibull_min.logpdf(own, float(found.shape_C[row]), location, float(found.scale_C[row])).sum()
        assert mine >= weibull_min.logpdf(own, shape, location, scale).sum() - 1e-9
        assert float(found.shape_C[row]) == pytest.approx(shape, rel=1e-3)
        assert float(found.scale_C[row]) == pytest.approx(scale, rel=1e-3)


def test_the_shape_solves_its_equation():
    distances = torch.rand(50, 40, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    found = fit_tails(distances, torch.ones(50, 40, dtype=torch.bool))
    x, k = distances - found.location_C[:, None], found.shape_C[:, None]
    gap = (x**k * x.log()).sum(1) / (x**k).sum(1) - 1 / k[:, 0] - x.log().mean(1)
    torch.testing.assert_close(gap, torch.zeros(50, dtype=torch.float64), atol=1e-12, rtol=0)


def test_hazards_are_those_of_the_distribution():
    distances = torch.rand(1, 30, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    found = fit_tails(distances, torch.ones(1, 30, dtype=torch.bool))
    asked = torch.linspace(0.2, 2.0, 7, dtype=torch.float64)[:, None]
    shape, location, scale = (float(own[0]) for own in (found.shape_C, found.location_C, found.scale_C))
    wanted = -weibull_min.logsf(asked.numpy(), shape, location, scale)
    np.testing.assert_allclose(found.log_hazard(asked).exp().numpy(), wanted)


def test_distances_whose_probability_is_1_in_single_precision_keep_their_order():
    distances = torch.rand(1, 30, generator=torch.Generator().manual_seed(0))
    found = fit_tails(distances, torch.ones(1, 30, dtype=torch.bool))
    far = torch.linspace(5, 50, 20)[:, None]
    hazards = found.log_hazard(far)[:, 0]
    assert bool((1 - (-hazards.float().exp()).exp() == 1).all())
    assert bool((hazards.diff() > 0).all())


def test_a_class_without_distances_has_none_and_distances_all_alike_are_a_step():
    distances = torch.tensor([[0.5, 0.5, 0.5], [0.1, 0.2, 0.3], [0.0, 0.0, 0.0]], dtype=torch.float64)
    in_tail = torch.tensor([[True] * 3, [True] * 3, [False] * 3])
    found = fit_tails(distances, in_tail)
    assert bool(found.shape_C[2].isnan())
    assert float(found.scale_C[0]) == pytest.approx(1.0)
    step = found.log_hazard(torch.tensor([[0.49], [0.51]], dtype=torch.float64).expand(2, 3))[:, 0]
    assert step[0] < -50
    assert step[1] > 50
