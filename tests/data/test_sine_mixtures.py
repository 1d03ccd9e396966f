"""Sine mixtures: the formula, the filter, ranges, reproducibility."""

import math
from typing import Any

import pytest
import torch

from hyperlearning.data.sine_mixtures import (
    DOMAIN,
    NOTEBOOK_DEPLOYMENT_SINES,
    NOTEBOOK_SINES,
    PAPER_SINES,
    SineDistribution,
    SineMixtures,
    on_grid,
)

PRESETS = {"paper": PAPER_SINES, "notebook": NOTEBOOK_SINES, "notebook deployment": NOTEBOOK_DEPLOYMENT_SINES}


def _seeded(seed: int = 0):
    return torch.Generator().manual_seed(seed)


def test_a_mixture_is_the_sum_of_its_two_sines():
    mixtures = PAPER_SINES.sample(3, _seeded())
    points = torch.tensor([[0.0, 1.0], [-2.0, 3.0], [5.0, -5.0]])
    values = mixtures(points)
    for f in range(3):
        for p in range(2):
            waves = zip(mixtures.amplitudes[f], mixtures.frequencies[f], mixtures.phases[f], strict=True)
            expected = sum(a.item() * math.sin(w.item() * points[f, p].item() + k.item()) for a, w, k in waves)
            assert values[f, p].item() == pytest.approx(expected, abs=1e-5)


def test_the_papers_filter_holds_over_a_grid_finer_than_its_own():
    values = on_grid(PAPER_SINES.sample(500, _seeded()), 2001)
    assert values.abs().max() <= 0.8 + 1e-3
    assert (values.amax(1) - values.amin(1)).min() >= 0.4


@pytest.mark.parametrize("preset", list(PRESETS))
def test_parameters_lie_in_the_ranges_asked_for(preset: str):
    distribution = PRESETS[preset]
    mixtures = distribution.sample(500, _seeded())
    for values, (low, high) in (
        (mixtures.amplitudes, distribution.amplitude),
        (mixtures.frequencies, distribution.frequency),
    ):
        assert low <= values.min()
        assert values.max() <= high


def test_the_notebooks_phases_are_whole_numbers_and_its_second_wave_a_cosine():
    phases = NOTEBOOK_SINES.sample(500, _seeded()).phases - torch.tensor([0.0, math.pi / 2])
    torch.testing.assert_close(phases, phases.round(), rtol=0, atol=1e-6)
    assert set(phases.round().int().unique().tolist()) == set(range(-5, 5))


def test_the_notebooks_frequencies_are_narrower_in_deployment():
    frequencies = NOTEBOOK_DEPLOYMENT_SINES.sample(500, _seeded()).frequencies
    assert frequencies.max() <= math.pi / 2 < NOTEBOOK_SINES.sample(500, _seeded()).frequencies.max()


def test_the_grid_spans_the_domain_with_both_ends():
    line = SineMixtures(torch.tensor([[1.0, 0.0]]), torch.tensor([[0.1, 1.0]]), torch.zeros(1, 2))
    expected = torch.sin(0.1 * torch.tensor([DOMAIN[0], 0.0, DOMAIN[1]]))
    torch.testing.assert_close(on_grid(line, 3)[0], expected)


def test_the_same_seed_gives_the_same_functions():
    first, second = PAPER_SINES.sample(20, _seeded()), PAPER_SINES.sample(20, _seeded())
    torch.testing.assert_close(vars(first), vars(second), rtol=0, atol=0)


def test_another_seed_gives_other_functions():
    first, second = PAPER_SINES.sample(20, _seeded()), PAPER_SINES.sample(20, _seeded(1))
    assert not (first.amplitudes == second.amplitudes).any()


def test_picking_functions_keeps_their_values():
    mixtures = PAPER_SINES.sample(5, _seeded())
    torch.testing.assert_close(on_grid(mixtures[1:3], 11), on_grid(mixtures, 11)[1:3], rtol=0, atol=0)


@pytest.mark.parametrize("num_functions", [1, 7, 300])
def test_as_many_functions_come_as_are_asked_for(num_functions: int):
    assert len(PAPER_SINES.sample(num_functions, _seeded())) == num_functions


@pytest.mark.parametrize("num_functions", [0, -1])
def test_a_number_of_functions_that_is_not_positive_is_refused(num_functions: int):
    with pytest.raises(ValueError, match=f"`num_functions` to be positive, but got {num_functions}"):
        PAPER_SINES.sample(num_functions, _seeded())


@pytest.mark.parametrize("name", ["amplitude", "frequency", "phase"])
def test_an_empty_range_is_refused_by_name(name: str):
    with pytest.raises(ValueError, match=f"`{name}` to be an increasing range"):
        SineDistribution(**{name: (1.0, 1.0)})


@pytest.mark.parametrize("options", [{"noise": -0.1}, {"min_range": -1.0}, {"max_magnitude": 0.0}])
def test_a_bound_out_of_range_is_refused(options: dict[str, Any]):
    with pytest.raises(ValueError, match="`max_magnitude` positive"):
        SineDistribution(**options)


def test_a_filter_that_nothing_passes_ends_in_an_error(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("hyperlearning.data.sine_mixtures._MAX_DRAWS", 1_000)
    with pytest.raises(ValueError, match="mixtures that pass the filter, but got 0"):
        SineDistribution(max_magnitude=0.1, min_range=3.0).sample(1, _seeded())
