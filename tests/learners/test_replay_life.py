"""A life with a replay buffer: the first steps by hand, and a buffer that keeps every example with the same chance."""

import torch
from torch import nn

from hyperlearning.core.losses import mean_squared_error
from hyperlearning.learners.deployment import Deployment
from hyperlearning.learners.replay_life import ReplayLife, of_the_first


def begin(buffer_size: int = 3, replay_batch_size: int = 2, seed: int = 0) -> ReplayLife:
    torch.manual_seed(0)
    shown = of_the_first(mean_squared_error)
    life = Deployment(nn.Linear(1, 1), {}, inner_lr=0.05, shown_loss_fn=shown)
    source = torch.Generator().manual_seed(seed)
    return ReplayLife(life, buffer_size=buffer_size, replay_batch_size=replay_batch_size, generator=source)


def test_the_loss_is_that_of_the_new_example_before_it_is_learned():
    life = begin()
    for x in torch.linspace(-1, 1, 12).view(-1, 1, 1):
        expected = float((life.predict(x) - 2 * x).square())
        assert abs(life.observe(x, 2 * x) - expected) < 1e-6


def test_with_one_example_met_all_that_is_replayed_is_that_one():
    life = begin(buffer_size=1, replay_batch_size=4)
    torch.manual_seed(0)
    plain = nn.Linear(1, 1)
    x = torch.tensor([[0.5]])
    for batch in (x, x.expand(5, 1)):
        life.observe(x, 3 * x)
        loss = (plain(batch) - 3 * batch).square().mean()
        for parameter, grad in zip(
            plain.parameters(), torch.autograd.grad(loss, list(plain.parameters())), strict=True
        ):
            parameter.data -= 0.05 * grad
    torch.testing.assert_close(life.predict(x), plain(x).detach())


def test_every_example_met_is_kept_with_the_same_chance():
    kept = torch.zeros(20)
    for seed in range(300):
        life = begin(buffer_size=4, seed=seed)
        life.observe_each(torch.arange(20.0)[:, None] / 20, torch.zeros(20, 1))
        kept[(life._inputs[:, 0] * 20).round().long()] += 1
    # 60 of 300 expected for each; a binomial deviation is 7.
    assert (kept - 60).abs().max() < 4 * 7


def test_it_counts_what_it_keeps():
    life = begin(buffer_size=5)
    life.observe(torch.zeros(1, 1), torch.zeros(1, 1))
    assert life.num_stored == 2 + 5 * 2
