"""SB-MCL's sine benchmark: what is meta-learned, and the lives of everything that is compared with it."""

import pytest
import torch
from torch import nn

from hyperlearning.core.seeding import generator
from hyperlearning.engine.fitting import FitState, Fitting
from hyperlearning.evaluation import continual
from hyperlearning.learners.closed_form.alpaca import LinearPrior, predictive_nats
from hyperlearning.learners.closed_form.least_squares import posterior
from hyperlearning.networks.backbones import mlp
from hyperlearning.networks.features import RandomFeatures
from hyperlearning.systems.regression.alpaca import AlpacaSettings
from hyperlearning.systems.regression.closed_form import live_solved
from hyperlearning.systems.regression.methods import Descent
from hyperlearning.systems.regression.wave_pairs import (
    PairSettings,
    descended_candidates,
    hold_out_pairs,
    in_passes,
    live_ridge,
    meta_learned_pairs,
    pair_alpaca,
    pair_training,
    solved_candidates,
)

LIFE = PairSettings(num_tasks=3, num_shots=4, num_queries=2, num_points=8)
SETTINGS = AlpacaSettings(alpaca_steps=4, alpaca_population=2, alpaca_features=5, alpaca_width=6, alpaca_lr=0.003)


def trained(job: Fitting) -> FitState:
    *_, last = job.steps(job.begin())
    return last.state


def test_the_loss_is_minus_the_log_density_of_every_number_of_a_query():
    source = torch.Generator().manual_seed(0)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=source, dtype=torch.float64)

    root, mean = normal(4, 4), normal(4, 3)
    prior = LinearPrior(mean, root @ root.T + torch.eye(4), torch.tensor(0.3, dtype=torch.float64))
    features, targets, queries, wanted = normal(1, 6, 4), normal(1, 6, 3), normal(1, 2, 4), normal(1, 2, 3)
    # Independently: condition the joint Gaussian of everything observed, output by output.
    both = torch.cat([features[0], queries[0]])
    kernel = 0.3 * (both @ torch.linalg.inv(prior.precision) @ both.T + torch.eye(8))
    gain = kernel[6:, :6] @ torch.linalg.inv(kernel[:6, :6])
    variance = (kernel[6:, 6:] - gain @ kernel[:6, 6:]).diagonal()
    expected = both[6:] @ mean + gain @ (targets[0] - both[:6] @ mean)
    density = torch.distributions.Normal(expected, variance.sqrt()[:, None]).log_prob(wanted[0])
    found = predictive_nats(prior, features, targets, queries, wanted)
    torch.testing.assert_close(found, -density.mean()[None], rtol=1e-10, atol=1e-10)


def test_the_gradient_of_meta_learning_is_that_of_finite_differences():
    settings = AlpacaSettings(alpaca_steps=1, alpaca_population=2, alpaca_features=3, alpaca_width=2, alpaca_lr=0.003)
    job = pair_training(settings, PairSettings(num_tasks=2, num_shots=2, num_queries=1, num_points=3), seed=0)
    params = job.begin().params
    lives = job.draw(torch.Generator().manual_seed(1))
    names = list(params)

    def loss(*values: torch.Tensor) -> torch.Tensor:
        return job.loss_fn(dict(zip(names, values, strict=True)), lives).mean()

    assert torch.autograd.gradcheck(loss, tuple(value.clone().requires_grad_() for value in params.values()))


def test_meta_learning_interrupted_goes_on_to_the_same_numbers():
    whole = trained(pair_training(SETTINGS, LIFE, seed=0))
    job = pair_training(SETTINGS, LIFE, seed=0)
    steps = job.steps(job.begin())
    next(steps)
    packed = job.pack(next(steps).state)
    other = pair_training(SETTINGS, LIFE, seed=0)
    *_, last = other.steps(other.unpack(packed))
    assert {name: value.tolist() for name, value in last.state.params.items()} == {
        name: value.tolist() for name, value in whole.params.items()
    }


def test_a_life_one_example_at_a_time_is_the_number_of_the_table():
    learned = meta_learned_pairs(trained(pair_training(SETTINGS, LIFE, seed=0)), SETTINGS, LIFE)
    held_out = hold_out_pairs(LIFE, 2, seed=5)
    table = pair_alpaca(learned).live(held_out)
    inputs, targets = (values[:, :, 0] for values in held_out.stream)
    for number in range(2):
        life, grid = learned.deployment(), held_out.grid[number]
        stages = [life.predict(grid)]
        for xs, ys in zip(inputs[:, number].chunk(3), targets[:, number].chunk(3), strict=True):
            life.observe(xs, ys.double())
            stages.append(life.predict(grid))
        features, wanted = learned.features(inputs[:, number].double()), targets[:, number].double()
        solved = posterior(features, wanted, precision=learned.prior.precision, mean=learned.prior.mean)
        torch.testing.assert_close(stages[-1], learned.features(grid.double()) @ solved.mean, rtol=1e-9, atol=1e-9)
        errors = torch.stack([(stage - held_out.values[number]).square() for stage in stages])
        by_task = errors.unflatten(1, (3, 2)).mean((-2, -1))
        torch.testing.assert_close(table.errors[number].double(), by_task, rtol=1e-4, atol=1e-6)


def test_meta_learning_lowers_the_error_on_lives_never_trained_on():
    settings = AlpacaSettings(alpaca_steps=60, alpaca_population=4, alpaca_features=16, alpaca_width=16, alpaca_lr=0.01)
    job, held_out = pair_training(settings, LIFE, seed=0), hold_out_pairs(LIFE, 32, seed=5)
    before, after = (
        continual.total_error(pair_alpaca(meta_learned_pairs(state, settings, LIFE)).live(held_out).errors).mean()
        for state in (job.begin(), trained(job))
    )
    assert float(after) < 0.8 * float(before)


def test_a_solved_readout_forgets_next_to_nothing_where_tasks_are_waves_of_their_own():
    held_out = hold_out_pairs(PairSettings(), 16, seed=6)
    method = solved_candidates(PairSettings(), num_random=8, seed=0)["rls"]["precision 1"]
    errors = method.live(held_out).errors
    assert float(continual.total_error(errors).mean()) < 0.05 * float(held_out.values.square().mean())
    assert float(continual.forgetting(errors).mean()) < 0.02


@pytest.mark.parametrize("num_random", [5, 40])
def test_ridge_by_the_smaller_system_is_the_solution_by_features(num_random: int):
    held_out = hold_out_pairs(LIFE, 2, seed=5)
    units = RandomFeatures(8, num_random, generator=torch.Generator().manual_seed(0)).double()
    found, expected = live_ridge(units, held_out, precision=0.3), live_solved(units, held_out, precision=0.3)
    torch.testing.assert_close(found.errors, expected.errors, rtol=1e-5, atol=1e-7)


def test_a_plain_network_descends_on_all_numbers_of_a_target():
    held_out = hold_out_pairs(LIFE, 2, seed=5)
    methods = descended_candidates(LIFE, [Descent("sgd", 0.1)], width=6, num_passes=2, seed=0)
    found = methods["scratch"]["sgd 0.1"].live(held_out).errors[1, -1]
    network = nn.Sequential(nn.Linear(8, 6), nn.Tanh(), nn.Linear(6, 6), nn.Tanh(), nn.Linear(6, 8))
    network.load_state_dict(_first_weights())
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    for x, y in zip(held_out.stream.inputs[:, 1], held_out.stream.targets[:, 1], strict=True):
        optimizer.zero_grad()
        nn.functional.mse_loss(network(x), y).backward()
        optimizer.step()
    squared = (network(held_out.grid[1]) - held_out.values[1]).detach().square()
    torch.testing.assert_close(found, squared.unflatten(0, (3, 2)).mean((-2, -1)), rtol=1e-4, atol=1e-6)


def _first_weights() -> dict[str, torch.Tensor]:
    return mlp((8, 6, 6, 8), generator=generator(0, "plain network")).state_dict()


def test_every_pass_has_every_example_once_with_its_own_target():
    held_out = hold_out_pairs(LIFE, 2, seed=5)
    again = in_passes(held_out, 3, seed=0).stream
    assert again.inputs.shape == (9, 2, 4, 8)
    pairs = [torch.cat(list(stream), -1).transpose(1, 2).flatten(0, 1) for stream in (held_out.stream, again)]
    once, passes = pairs[0].tolist(), pairs[1].unflatten(0, (3, -1)).tolist()
    assert all(sorted(each) == sorted(once) for each in passes)
    assert passes[0] != passes[1]


def test_held_out_lives_depend_on_the_seed_and_the_purpose_alone():
    first, same, other = (
        hold_out_pairs(LIFE, 2, seed=1, purpose=purpose).values for purpose in ("held-out", "held-out", "validation")
    )
    assert torch.equal(first, same)
    assert not torch.equal(first, other)


def test_a_life_of_one_task_is_refused():
    with pytest.raises(ValueError, match="Expected `num_tasks` to be at least 2"):
        PairSettings(num_tasks=1)
