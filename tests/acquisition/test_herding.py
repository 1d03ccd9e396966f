"""Coverage against a greedy loop over the whole kernel."""

import pytest
import torch
from tests.acquisition.pools import apart, pool, seeded
from torch.nn.functional import normalize

from hyperlearning.acquisition.herding import max_herding, smallest_distance, u_herding
from hyperlearning.acquisition.query import Choose, Views
from hyperlearning.acquisition.uncertainty import least_confidence, margin


def assert_greedy(choose: Choose, views: Views, radius: float, weights: torch.Tensor):
    """No image would have added more than the one that was chosen; two that are near each other alone add the same."""
    assert views.features_ND is not None
    features, query = normalize(views.features_ND), choose(views, 25, seeded())
    kernel = (-apart(features, features) / radius**2).exp()
    covered = torch.zeros(len(features), dtype=features.dtype)
    if views.labelled_features_LD is not None:
        covered = (-apart(normalize(views.labelled_features_LD), features) / radius**2).exp().amax(0)
    for chosen, score in zip(query.indices_B.tolist(), query.scores_B.tolist(), strict=True):
        gains = ((kernel - covered).clamp(min=0) * weights).mean(1)
        assert score == pytest.approx(float(gains[chosen]), rel=1e-9)
        assert score == pytest.approx(float(gains.max()), rel=1e-9)
        covered = torch.maximum(covered, kernel[chosen])


@pytest.mark.parametrize("labelled", [0, 8])
@pytest.mark.parametrize("radius", [0.3, 1.0])
@pytest.mark.parametrize("seed", range(6))
def test_max_herding_is_the_greedy_choice(seed: int, radius: float, labelled: int):
    views = pool(150, labelled=labelled, seed=seed)
    assert_greedy(max_herding(radius=radius), views, radius, torch.ones(150, dtype=torch.float64))


@pytest.mark.parametrize("labelled", [0, 8])
@pytest.mark.parametrize("seed", range(6))
def test_u_herding_weighs_by_the_margin_and_shrinks_its_kernel(seed: int, labelled: int):
    views = pool(150, labelled=labelled, seed=seed)
    assert views.probabilities_KNC is not None
    radius = 1.0
    if labelled:
        assert views.labelled_features_LD is not None
        radius = float(torch.pdist(normalize(views.labelled_features_LD)).min())
    assert_greedy(u_herding(), views, radius, 1 + margin(views.probabilities_KNC))


def test_a_high_temperature_makes_all_alike():
    views = pool(150, labelled=0)
    calm, plain = u_herding(temperature=1e9)(views, 20, seeded()), max_herding()(views, 20, seeded())
    assert torch.equal(calm.indices_B, plain.indices_B)


def test_a_kernel_that_covers_itself_alone_leaves_uncertainty():
    views = pool(100, classes=2, labelled=0)
    assert views.features_ND is not None
    assert views.probabilities_KNC is not None
    near = torch.tensor([[1.0, 0, 0, 0, 0], [1.0, 1e-6, 0, 0, 0]], dtype=torch.float64)
    views = Views(features_ND=views.features_ND, labelled_features_LD=near, probabilities_KNC=views.probabilities_KNC)
    query = u_herding()(views, 10, seeded())
    assert query.indices_B.tolist() == least_confidence(views.probabilities_KNC).argsort(descending=True)[:10].tolist()


def test_equal_labelled_images_do_not_shrink_the_kernel_to_nothing():
    assert smallest_distance(torch.ones(4, 3)) == 1.0
    assert smallest_distance(torch.tensor([[0.0], [0.0], [2.0], [2.5]])) == 0.5
    assert smallest_distance(torch.zeros(0, 3)) == 1.0


def test_a_sample_of_the_pool_is_covered_nearly_as_well():
    views = pool(800, features=4, labelled=0)
    assert views.features_ND is not None
    features = normalize(views.features_ND)

    def coverage(choose: Choose) -> float:
        chosen = choose(views, 15, seeded()).indices_B
        return float((-apart(features, features[chosen])).exp().amax(1).mean())

    assert coverage(max_herding(num_judged=200)) > 0.98 * coverage(max_herding())
