"""LfOSA: against a plain loop over classes with scikit-learn's mixtures, and what its detector learns from rejected images."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.mixture import GaussianMixture
from tests.acquisition.open_pools import open_pool

from hyperlearning.acquisition.lf_osa import known_odds, lf_osa


def logits(seed: int = 0, *, pool: int = 300, classes: int = 3) -> torch.Tensor:
    source = torch.Generator().manual_seed(seed)
    said = torch.randn(pool, classes + 1, generator=source, dtype=torch.float64)
    places = torch.randint(classes + 1, (pool,), generator=source)
    raised = torch.where(torch.rand(pool, generator=source) < 0.5, 8.0, 3.0).double()
    return said.scatter_add(1, places[:, None], raised[:, None])


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_odds_are_those_of_a_mixture_for_every_class():
    said = logits()
    found = known_odds(said, 3).sigmoid()
    activation, taken_for = said.max(1)
    for label in range(3):
        own = activation[taken_for == label].numpy()[:, None]
        mixture = GaussianMixture(2, max_iter=10, tol=1e-2, reg_covar=5e-4, random_state=0).fit(own)
        wanted = mixture.predict_proba(own)[:, mixture.means_.argmax()]
        np.testing.assert_allclose(found[taken_for == label], wanted, atol=0.02)
    assert bool((found[taken_for == 3] == 0).all())


def test_what_is_taken_for_none_of_ours_or_alone_for_its_class_comes_last():
    said = torch.tensor([[5.0, 0, 0], [4.0, 0, 0], [1.0, 0, 0], [0.5, 0, 0], [0, 9.0, 0], [0, 0, 9.0]]).double()
    odds = known_odds(said, 2)
    assert odds[4:].tolist() == [-torch.inf, -torch.inf]
    assert odds.argsort(descending=True).tolist()[0] in (0, 1)
    assert bool(odds[:4].isfinite().all())


@pytest.mark.parametrize("rejected", [0, 40])
def test_what_is_asked_for_is_ours_the_more_so_the_more_was_rejected(rejected: int):
    views, is_ours = open_pool(rejected=rejected)
    asked = lf_osa(views, 40, torch.Generator().manual_seed(0)).indices_B
    assert float(is_ours[asked].double().mean()) > (0.95 if rejected else 0.6)


def test_a_class_of_which_nothing_is_labelled_is_no_trouble():
    views, _ = open_pool()
    kept = views.need("labels_L") != 1
    without = replace(
        views,
        labels_L=views.need("labels_L")[kept],
        labelled_features_LD=views.need("labelled_features_LD")[kept],
        open_labelled_LD=views.need("open_labelled_LD")[kept],
        labelled_probabilities_LC=views.need("labelled_probabilities_LC")[kept],
    )
    assert len(lf_osa(without, 200, torch.Generator().manual_seed(0)).indices_B.unique()) == 200
