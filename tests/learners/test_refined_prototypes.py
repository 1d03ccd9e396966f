"""Prototypes refined by soft k-means: closed forms on a line."""

import torch

from hyperlearning.learners.prototypes import prototype_logits
from hyperlearning.learners.refined_prototypes import refined_prototype_logits

LABELLED = torch.tensor([[[[0.0]]], [[[10.0]]]], dtype=torch.float64)
LABELS = torch.tensor([[[0]], [[2]]])


def logits(unlabelled: list[float], queries: list[float]) -> torch.Tensor:
    return refined_prototype_logits(
        LABELLED,
        LABELS,
        LABELLED.new_tensor(unlabelled)[None, :, None],
        LABELLED.new_tensor(queries)[None, :, None],
        num_labels=3,
        scale=10.0,
    )[0]


def test_unlabelled_images_pull_the_mean_of_their_class():
    distances = -logits([2.0, 4.0, 10.0], [2.0, 10.0])
    torch.testing.assert_close(distances[0], LABELLED.new_tensor([0.0, 1e6, 64.0]))
    torch.testing.assert_close(distances[1], LABELLED.new_tensor([64.0, 1e6, 0.0]))


def test_an_image_halfway_counts_half_for_each():
    # Means are (0 + .5 * 5) / 1.5 and (10 + .5 * 5) / 1.5.
    distances = -logits([5.0], [0.0])[0]
    torch.testing.assert_close(distances[[0, 2]], LABELLED.new_tensor([(2.5 / 1.5) ** 2, (12.5 / 1.5) ** 2]))


def test_without_unlabelled_images_they_are_the_prototypes():
    source = torch.Generator().manual_seed(0)
    labelled, queries = (
        torch.randn(*shape, generator=source, dtype=torch.float64) for shape in ((3, 2, 4, 5), (2, 6, 5))
    )
    labels = torch.arange(3)[:, None, None].expand(3, 2, 4)
    refined = refined_prototype_logits(labelled, labels, LABELLED.new_empty(2, 0, 5), queries, num_labels=4, scale=1.0)
    torch.testing.assert_close(refined, prototype_logits(labelled, labels, queries, num_labels=4))
