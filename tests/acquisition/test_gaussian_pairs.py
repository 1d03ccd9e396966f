"""Mixtures of two Gaussians: against scikit-learn's from the same start, and numbers that leave nothing to fit."""

import numpy as np
import pytest
import torch
from sklearn.cluster import KMeans
from sklearn.mixture import GaussianMixture

from hyperlearning.acquisition.gaussian_pairs import GaussianPairs, fit_pairs


def groups(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Four groups of two kinds of numbers, of which three have fewer than the largest."""
    random = np.random.default_rng(seed)
    numbers, there = torch.zeros(4, 200, dtype=torch.float64), torch.zeros(4, 200, dtype=torch.bool)
    for group, count in enumerate((200, 150, 40, 9)):
        low = count // (2 + group)
        own = np.concatenate([random.normal(group, 0.5, low), random.normal(group + 3, 1.5, count - low)])
        numbers[group, :count], there[group, :count] = torch.from_numpy(random.permutation(own)), True
    return numbers, there


def peer(own: np.ndarray, *, steps: int, tolerance: float) -> GaussianMixture:
    """The same start: the best cut in two, found by k-means from its own."""
    upper = KMeans(2, n_init=20, random_state=0).fit(own[:, None]).labels_
    halves = [own[upper == half] for half in np.argsort([own[upper == half].mean() for half in (0, 1)])]
    mixture = GaussianMixture(
        2,
        max_iter=steps,
        tol=tolerance,
        reg_covar=5e-4,
        weights_init=[len(half) / len(own) for half in halves],
        means_init=[[half.mean()] for half in halves],
        precisions_init=[[[1 / (half.var() + 5e-4)]] for half in halves],
    )
    return mixture.fit(own[:, None])


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(("steps", "tolerance"), [(10, 0.01), (200, 1e-9)])
def test_fitted_mixtures_are_those_of_another_library(steps: int, tolerance: float):
    numbers, there = groups()
    found = fit_pairs(numbers, there, most_steps=steps, tolerance=tolerance)
    odds = found.log_odds_of_higher(numbers)
    for group in range(4):
        own = numbers[group][there[group]].numpy()
        mixture = peer(own, steps=steps, tolerance=tolerance)
        np.testing.assert_allclose(found.means_G2[group], mixture.means_[:, 0], rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(found.variances_G2[group], mixture.covariances_[:, 0, 0], rtol=1e-4)
        higher = mixture.predict_proba(own[:, None])[:, mixture.means_.argmax()]
        np.testing.assert_allclose(odds[group][there[group]].sigmoid(), higher, rtol=1e-4, atol=1e-6)


def test_groups_that_are_fitted_beside_others_are_as_if_alone():
    numbers, there = groups()
    together = fit_pairs(numbers, there)
    alone = fit_pairs(numbers[2:3, :40], there[2:3, :40])
    for all_, one in zip(together, alone, strict=True):
        torch.testing.assert_close(all_[2:3], one)


def test_of_equal_numbers_none_is_of_the_higher_component():
    same = fit_pairs(torch.full((1, 5), 2.5), torch.ones(1, 5, dtype=torch.bool))
    odds = same.log_odds_of_higher(torch.full((1, 5), 2.5))
    assert len(odds.unique()) == 1
    assert bool(odds.isfinite().all())


def test_the_component_of_the_higher_mean_counts_wherever_it_stands():
    pair = GaussianPairs(torch.tensor([[0.5, 0.5]]), torch.tensor([[4.0, 0.0]]), torch.tensor([[1.0, 1.0]]))
    assert pair.log_odds_of_higher(torch.tensor([[3.0, 1.0]]))[0].tolist() == pytest.approx([4.0, -4.0])
