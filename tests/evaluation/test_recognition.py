"""Recognition by class means, beside scikit-learn's nearest centroids."""

from typing import Literal

import pytest
import torch
from sklearn.metrics.pairwise import cosine_distances
from sklearn.neighbors import NearestCentroid

from hyperlearning.evaluation.recognition import ClassFeatures, prototypes
from hyperlearning.streams.trajectories import draw_meta_test

K, TRAIN, HELD_OUT, F = 9, 4, 3, 12


def _seeded(seed: int = 0):
    return torch.Generator().manual_seed(seed)


def _features():
    source = _seeded(3)
    means = torch.rand(K, 1, F, generator=source, dtype=torch.float64)
    all_of_them = torch.relu(means + 0.6 * torch.randn(K, TRAIN + HELD_OUT, F, generator=source, dtype=torch.float64))
    return ClassFeatures(train=all_of_them[:, :TRAIN], held_out=all_of_them[:, TRAIN:], split="meta-test")


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_prototypes_are_scikit_learns_nearest_centroids(metric: Literal["euclidean", "cosine"]):
    features, runs = _features(), draw_meta_test(K, 5, _seeded(), num_runs=6, train_images=TRAIN)
    result = prototypes(features, runs, metric=metric)
    for run, classes in enumerate(runs.classes):
        labels = classes.repeat_interleave(TRAIN).numpy()
        means = NearestCentroid().fit(features.train[classes].flatten(0, 1).numpy(), labels)
        for own, images in ((result.memory, features.train), (result.held_out, features.held_out)):
            shown = images[classes].flatten(0, 1).numpy()
            nearest_direction = means.classes_[cosine_distances(shown, means.centroids_).argmin(1)]
            found = means.predict(shown) if metric == "euclidean" else nearest_direction
            expected = (found == classes.repeat_interleave(images.shape[1]).numpy()).mean()
            assert own[run].item() == pytest.approx(expected)


def test_runs_of_other_classes_are_refused():
    with pytest.raises(ValueError, match="runs among 9 classes, but got class 19"):
        prototypes(_features(), draw_meta_test(20, 20, _seeded(), train_images=TRAIN))


def test_runs_of_another_number_of_images_are_refused():
    with pytest.raises(ValueError, match="runs of 4 training images a class, but got 15"):
        prototypes(_features(), draw_meta_test(K, 5, _seeded()))


def test_an_unknown_metric_is_refused():
    with pytest.raises(ValueError, match="a metric among"):
        getattr(prototypes, "__wrapped__", prototypes)(
            _features(), draw_meta_test(K, 5, _seeded(), train_images=TRAIN), metric="taxicab"
        )
