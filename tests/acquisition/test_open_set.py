"""Asking by open sets: against a plain loop over classes and images, and what each direction asks for."""

from dataclasses import replace
from typing import Literal

import numpy as np
import pytest
import torch
from scipy.stats import weibull_min
from torch import Tensor

from hyperlearning.acquisition.open_set import Asks, among_ours, known_first, latent_distance, rejecting, weibull
from hyperlearning.acquisition.query import Choose, Query, Views
from hyperlearning.acquisition.strategies import STRATEGIES
from hyperlearning.acquisition.uncertainty import least_confidence, margin
from hyperlearning.core.errors import QueryError


def views(*, seed: int = 0, pool: int = 60, labelled: int = 90, classes: int = 3) -> Views:
    """Classes around directions of their own; of pool images some lie far from all."""
    source = torch.Generator().manual_seed(seed)
    centres = 3 * torch.eye(classes, 5, dtype=torch.float64)

    def latents(num: int, noise: float) -> tuple[Tensor, Tensor]:
        labels = torch.randint(classes, (num,), generator=source)
        return labels, centres[labels] + noise * torch.randn(num, 5, dtype=torch.float64, generator=source)

    def said(latents: Tensor) -> Tensor:
        return (latents @ centres.T).softmax(-1)

    labels, own = latents(labelled, 0.8)
    _, asked = latents(pool, 2.0)
    return Views(
        probabilities_KNC=said(asked)[None],
        features_ND=asked,
        labelled_features_LD=own,
        labels_L=labels,
        labelled_probabilities_LC=said(own),
    )


def asked(choose: Choose, of: Views, num: int, seed: int = 0) -> Query:
    return choose(of, num, torch.Generator().manual_seed(seed))


def by_hand(of: Views, among: Literal["predicted", "nearest"], share: float) -> list[float]:
    """How unusual every pool image is, one class and one image after another, by SciPy; the order alone counts."""
    said, labels = of.need("labelled_probabilities_LC").argmax(1), of.need("labels_L")
    fits = []
    for label in range(3):
        own = of.need("labelled_features_LD")[(labels == label) & (said == label)].numpy()
        mean = own.mean(0)
        far = np.sort([1 - row @ mean / np.linalg.norm(row) / np.linalg.norm(mean) for row in own])
        tail = far[-max(3, round(share * len(far))) :]
        shape, location, scale = weibull_min.fit(tail, floc=tail.min() - 1)
        fits.append((mean, shape, location, scale))
    found = []
    for row, probabilities in zip(of.need("features_ND").numpy(), of.need("probabilities_KNC")[0], strict=True):
        logs = []
        for mean, shape, location, scale in fits:
            apart = 1 - row @ mean / np.linalg.norm(row) / np.linalg.norm(mean)
            logs.append(np.log(-weibull_min.logsf(apart, shape, location, scale)))
        found.append(logs[int(probabilities.argmax())] if among == "predicted" else min(logs))
    return found


@pytest.mark.parametrize("among", ["predicted", "nearest"])
@pytest.mark.parametrize("share", [0.2, 0.5])
def test_the_most_unusual_are_those_of_a_plain_loop(among: Literal["predicted", "nearest"], share: float):
    of = views()
    found = asked(weibull(asks="outlier", among=among, tail_share=share), of, 60)
    wanted = by_hand(of, among, share)
    np.testing.assert_allclose(found.scores_B, np.sort(wanted)[::-1], rtol=0.02, atol=0.02)
    assert found.indices_B[:20].tolist() == np.argsort(wanted)[::-1][:20].tolist()


def test_inliers_are_outliers_backwards():
    of = views()
    outliers, inliers = (asked(weibull(asks=asks), of, 60).indices_B.tolist() for asks in ("outlier", "inlier"))
    assert outliers == inliers[::-1]


def test_at_the_boundary_the_unsure_among_the_usual_come_first_and_then_the_least_unusual():
    of = views(pool=200)
    order = asked(weibull(asks="outlier"), of, 200)
    unusual = torch.zeros(200, dtype=torch.float64).index_put((order.indices_B,), order.scores_B)
    found = asked(weibull(asks="boundary", kept_quantile=0.5), of, 200).indices_B
    unsure = least_confidence(of.need("probabilities_KNC"))[found]
    falls = unsure.diff() <= 0
    num_kept = int((~falls).nonzero()[0]) + 1 if not bool(falls.all()) else 200
    assert 10 < num_kept < 190
    assert float(unusual[found[:num_kept]].max()) < float(unusual[found[num_kept:]].min())
    assert bool((unusual[found[num_kept:]].diff() >= 0).all())


def test_of_every_class_that_is_said_as_many_are_asked_for_while_there_are_any():
    of = views(pool=80)
    said = of.need("probabilities_KNC")[0].argmax(1)
    found = asked(weibull(asks="inlier", per_class=True), of, 9)
    assert said[found.indices_B].bincount().tolist() == [3, 3, 3]
    whole = asked(weibull(asks="inlier", per_class=True), of, 80)
    assert sorted(whole.indices_B.tolist()) == list(range(80))


def test_a_class_of_which_nothing_is_labelled_is_measured_by_the_likeliest_other():
    of = views()
    kept = of.need("labels_L") != 1
    without = Views(
        probabilities_KNC=of.probabilities_KNC,
        features_ND=of.features_ND,
        labelled_features_LD=of.need("labelled_features_LD")[kept],
        labels_L=of.need("labels_L")[kept],
        labelled_probabilities_LC=of.need("labelled_probabilities_LC")[kept],
    )
    for asks in ("outlier", "inlier", "boundary"):
        found = asked(weibull(asks=asks), without, 60)
        assert sorted(found.indices_B.tolist()) == list(range(60))
        assert bool(found.scores_B.isfinite().all())


@pytest.mark.parametrize("asks", ["outlier", "inlier", "boundary"])
def test_a_system_that_gets_nothing_right_and_latents_all_alike_are_no_trouble(asks: Asks):
    labels = torch.tensor([0, 1, 1])
    of = Views(
        probabilities_KNC=torch.tensor([[[0.4, 0.6]] * 8]),
        features_ND=torch.ones(8, 4),
        labelled_features_LD=torch.ones(3, 4),
        labels_L=labels,
        labelled_probabilities_LC=1 - torch.nn.functional.one_hot(labels, 2).float(),
    )
    found = asked(weibull(asks=asks), of, 5)
    assert len(found.indices_B.unique()) == 5
    assert found.num_tied == 8


def test_distances_to_the_class_that_is_said_order_the_pool_either_way():
    of = views()
    near, far = (asked(latent_distance(nearest=nearest), of, 60) for nearest in (True, False))
    assert near.indices_B.tolist() == far.indices_B.tolist()[::-1]
    said, labels = of.need("labelled_probabilities_LC").argmax(1), of.need("labels_L")
    place = int(far.indices_B[0])
    own = int(of.need("probabilities_KNC")[0, place].argmax())
    mean = of.need("labelled_features_LD")[(labels == own) & (said == own)].mean(0)
    assert float(far.scores_B[0]) == pytest.approx(float((of.need("features_ND")[place] - mean).norm()))


def test_without_labels_nothing_is_unusual():
    of = views()
    none = Views(
        probabilities_KNC=of.probabilities_KNC,
        features_ND=of.features_ND,
        labelled_features_LD=torch.zeros(0, 5, dtype=torch.float64),
        labels_L=torch.zeros(0, dtype=torch.int64),
        labelled_probabilities_LC=torch.zeros(0, 3, dtype=torch.float64),
    )
    with pytest.raises(QueryError, match="Expected labelled images"):
        asked(weibull(asks="outlier"), none, 2)


def test_what_is_likely_none_of_ours_is_asked_for_last():
    probabilities = torch.tensor([[[5 / 9, 4 / 9], [0.5, 0.5], [7 / 9, 2 / 9], [0.5, 0.5]]])
    foreign = torch.tensor([[0.1, 0.9, 0.1, 1.0]])
    found = asked(rejecting(least_confidence), Views(probabilities_KNC=probabilities, foreign_KN=foreign), 4)
    assert found.indices_B.tolist() == [0, 2, 1, 3]
    assert found.scores_B.tolist() == pytest.approx([0.9 * 4 / 9, 0.9 * 2 / 9, 0.1 * 0.5, 0.0])


@pytest.mark.parametrize(("num", "wanted"), [(1, [1]), (2, [1, 0]), (3, [1, 4, 0]), (4, [2, 1, 4, 0])])
def test_of_what_is_surest_to_be_ours_the_smallest_margins_are_asked_for(num: int, wanted: list[int]):
    of = Views(
        probabilities_KNC=torch.tensor([[[0.9, 0.1], [0.6, 0.4], [0.5, 0.5], [0.5, 0.5], [0.8, 0.2]]]),
        foreign_KN=torch.tensor([[0.05, 0.0], [0.02, 0.02], [0.6, 0.4], [0.9, 0.9], [0.0, 0.1]]).mT,
        rejected_features_RD=torch.zeros(1, 3),
    )
    # 3.5 of 5 are expected to be ours, of which 60 % are two.
    assert asked(known_first(margin, kept=0.6), of, num).indices_B.tolist() == wanted


def test_while_nothing_is_rejected_chance_chooses_what_may_be():
    of = Views(
        probabilities_KNC=torch.rand(1, 50, 3).softmax(-1),
        foreign_KN=torch.zeros(1, 50),
        rejected_features_RD=torch.zeros(0, 3),
    )
    first = asked(known_first(margin), of, 3)
    assert first.num_tied == 50
    assert len({tuple(asked(known_first(margin), of, 3, seed=seed).indices_B.tolist()) for seed in range(8)}) > 4


@pytest.mark.parametrize(("num", "wanted"), [(1, [1]), (2, [1, 0]), (3, [1, 4, 0]), (4, [2, 1, 4, 0])])
def test_any_strategy_can_choose_among_what_is_surest_to_be_ours(num: int, wanted: list[int]):
    of = Views(
        probabilities_KNC=torch.tensor([[[0.9, 0.1], [0.6, 0.4], [0.5, 0.5], [0.5, 0.5], [0.8, 0.2]]]),
        foreign_KN=torch.tensor([[0.05, 0.0], [0.02, 0.02], [0.6, 0.4], [0.9, 0.9], [0.0, 0.1]]).mT,
    )
    chooses = among_ours(STRATEGIES["margin"], kept=0.6)
    assert chooses.query(of, num, torch.Generator().manual_seed(0)).indices_B.tolist() == wanted


def test_until_the_first_is_rejected_it_chooses_among_all():
    of = replace(views(), foreign_KN=torch.zeros(1, 60))
    source = torch.Generator
    for name in ("margin", "core_set", "weibull_boundary"):
        own, among = (
            chooses.query(of, 7, source().manual_seed(2))
            for chooses in (STRATEGIES[name], among_ours(STRATEGIES[name]))
        )
        assert torch.equal(own.indices_B, among.indices_B)


@pytest.mark.parametrize("name", ["random", "lfosa", "reject_margin"])
def test_chance_and_what_looks_at_rejected_images_itself_stay_as_they_are(
    name: Literal["random", "lfosa", "reject_margin"],
):
    assert among_ours(STRATEGIES[name]) is STRATEGIES[name]
