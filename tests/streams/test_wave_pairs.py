"""SB-MCL's pairs of waves: what a life is made of."""

import math

import pytest
import torch

from hyperlearning.streams.wave_pairs import WavePairs, draw_pair_stream, draw_wave_pairs


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_an_example_is_a_wave_and_the_same_wave_at_another_phase():
    functions = WavePairs(torch.tensor([[0.3]]), torch.tensor([[0.5]]), torch.tensor([[2.0]]))
    inputs, targets = functions(torch.tensor([[[1.25]]]), num_points=5)
    angles = [2 * math.pi * 0.3 * t for t in (0.0, 2.5, 5.0, 7.5, 10.0)]
    assert inputs.flatten().tolist() == pytest.approx([1.25 * math.sin(angle + 0.5) for angle in angles], abs=1e-5)
    assert targets.flatten().tolist() == pytest.approx([1.25 * math.sin(angle + 2.0) for angle in angles], abs=1e-5)


def test_frequencies_and_phases_are_in_the_published_ranges():
    functions = draw_wave_pairs(500, 10, seeded())
    assert 0.1 <= float(functions.frequencies.min()) < 0.101
    assert 1.099 < float(functions.frequencies.max()) <= 1.1
    for phases in (functions.input_phases, functions.target_phases):
        assert 0 <= float(phases.min()) < 0.01
        assert 6.27 < float(phases.max()) <= 2 * math.pi
    assert not torch.equal(functions.input_phases, functions.target_phases)


def test_inputs_have_noise_of_a_tenth_and_targets_have_none():
    still = torch.zeros(200, 5)
    functions = WavePairs(still, still, still)  # Every wave is 0: what is left is noise.
    lives = draw_pair_stream(functions, seeded(), num_shots=4, num_queries=3, num_points=20)
    assert float(lives.inputs.std()) == pytest.approx(0.1, rel=0.02)
    assert float(lives.hyper_inputs.std()) == pytest.approx(0.1, rel=0.02)
    assert not lives.targets.any()
    assert not lives.hyper_targets.any()


def test_the_mean_square_of_targets_follows_from_amplitudes_between_a_half_and_three_halves():
    lives = draw_pair_stream(draw_wave_pairs(400, 10, seeded()), seeded(1), num_shots=10, num_queries=1, num_points=50)
    assert float(lives.targets.square().mean()) == pytest.approx(13 / 24, rel=0.01)


@pytest.mark.parametrize(("lives", "tasks", "shots", "queries"), [(1, 1, 1, 1), (2, 3, 1, 2), (3, 4, 3, 1)])
def test_tasks_come_one_after_another_and_queries_are_of_all_of_them(lives: int, tasks: int, shots: int, queries: int):
    functions = draw_wave_pairs(lives, tasks, seeded())
    stream = draw_pair_stream(functions, seeded(1), num_shots=shots, num_queries=queries, num_points=20)
    assert stream.inputs.shape == stream.targets.shape == (tasks * shots, lives, 1, 20)
    assert stream.hyper_inputs.shape == stream.hyper_targets.shape == (1, 1, lives, tasks * queries, 20)
    _, waves = functions(torch.ones(lives, tasks, 1), num_points=20)
    waves = waves[:, :, 0]
    met = stream.targets[:, :, 0].transpose(0, 1).unflatten(1, (tasks, shots))
    asked = stream.hyper_targets[0, 0].unflatten(1, (tasks, queries))
    for examples in (met, asked):  # Each is its task's wave times an amplitude.
        amplitudes = (examples * waves[:, :, None]).sum(-1) / waves.square().sum(-1)[:, :, None]
        torch.testing.assert_close(amplitudes[..., None] * waves[:, :, None], examples, rtol=1e-4, atol=1e-5)
        assert bool(((amplitudes > 0.499) & (amplitudes < 1.501)).all())


def test_a_life_without_tasks_is_refused():
    with pytest.raises(ValueError, match="Expected positive `num_lives` and `num_tasks`, but got 2 and 0"):
        draw_wave_pairs(2, 0, seeded())
