"""BADGE against gradients that are written down, and draws against the probabilities they should have."""

import itertools
import math

import pytest
import torch
from tests.acquisition.pools import Largest, apart, pool, seeded
from torch import Tensor
from torch.nn.functional import cross_entropy

from hyperlearning.acquisition.badge import badge, slopes
from hyperlearning.acquisition.plus_plus import draw_apart
from hyperlearning.acquisition.query import Views


def written_down(views: Views) -> Tensor:
    assert views.features_ND is not None
    assert views.probabilities_KNC is not None
    slope = views.probabilities_KNC.mean(0).clone()
    for at, likeliest in enumerate(slope.argmax(-1).tolist()):
        slope[at, likeliest] -= 1
    return torch.einsum("nc,nd->ncd", slope, views.features_ND).flatten(1)


def between_rows(rows: Tensor):
    def between(some: Tensor | None, others: Tensor) -> Tensor:
        return apart(rows if some is None else rows[some], rows[others])

    return between


@pytest.mark.parametrize("draws", [1, 4])
@pytest.mark.parametrize("seed", range(25))
def test_choices_are_those_of_gradients_that_are_written_down(seed: int, draws: int):
    views = pool(80, features=7, classes=4, draws=draws, seed=seed)
    gradients, source = written_down(views), seeded(seed)
    torch.randperm(80, generator=source)  # Which decides among the longest.
    first = gradients.square().sum(-1).argmax()[None]
    plain = draw_apart(first, between_rows(gradients), 30, source, num_all=80)
    query = badge(views, 30, seeded(seed))
    assert query.indices_B.tolist() == plain.indices_B.tolist()
    torch.testing.assert_close(query.scores_B[1:], plain.squares_B[1:])
    torch.testing.assert_close(query.scores_B[0], gradients.square().sum(-1).max())


def test_what_a_score_says_is_the_squared_distance_to_the_nearest_chosen_before():
    views = pool(60)
    gradients, query = written_down(views), badge(views, 20, seeded())
    for place in range(1, 20):
        before = gradients[query.indices_B[:place]]
        nearest = apart(gradients[query.indices_B[place], None], before).min()
        assert float(query.scores_B[place]) == pytest.approx(float(nearest), rel=1e-9)


def test_slopes_are_the_gradient_at_the_logits():
    logits = torch.randn(30, 5, generator=seeded(), dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(cross_entropy(logits, logits.argmax(-1), reduction="sum"), logits)
    torch.testing.assert_close(slopes(logits.detach().softmax(-1)), gradient)


@pytest.mark.parametrize("candidates", [1, 4, 32])
def test_draws_have_the_probabilities_of_k_means_plus_plus(candidates: int):
    rows = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 2.0], [-1.5, 0.5], [3.0, 1.0]], dtype=torch.float64)
    distances, first, tries = apart(rows, rows), torch.tensor([0]), 4000
    expected = {}
    for a, b in itertools.permutations(range(1, 5), 2):
        one, two = distances[0], torch.minimum(distances[0], distances[a])
        expected[a, b] = float(one[a] / one.sum() * two[b] / two.sum())
    assert math.fsum(expected.values()) == pytest.approx(1)
    source, counts = seeded(), dict.fromkeys(expected, 0)
    for _ in range(tries):
        drawn = draw_apart(first, between_rows(rows), 3, source, num_all=5, candidates=candidates).indices_B
        counts[int(drawn[1]), int(drawn[2])] += 1
    chi_squared = sum((counts[pair] - tries * share) ** 2 / (tries * share) for pair, share in expected.items())
    assert chi_squared < 31.3  # 11 degrees of freedom: exceeded once in a thousand times.


def test_copies_are_drawn_last_and_evenly():
    rows = torch.tensor([[0.0], [0.0], [0.0], [0.0], [5.0], [5.0]])
    lasts = set()
    for seed in range(40):
        found = draw_apart(torch.tensor([0]), between_rows(rows), 3, seeded(seed), num_all=6)
        assert int(found.indices_B[1]) in {4, 5}
        assert found.num_tied == 4
        lasts.add(int(found.indices_B[2]))
    assert lasts >= {1, 2, 3}


def test_gradients_are_never_written_down():
    views = pool(3000, features=64, classes=50, dtype=torch.float32)
    with Largest() as largest:
        badge(views, 40, seeded())
    assert largest.numbers <= 3000 * 64
