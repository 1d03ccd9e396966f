"""Ways to disturb weights: noise meets the cosine that it is scaled to, exactly, and stays where it is meant to be."""

import pytest
import torch

from hyperlearning.systems.selfnet.perturbations import perturbations

SIZES = [6, 40, 10]
NOISES = ("noise", "noise_by_tensor", "noise_in_first", "noise_in_largest")


def vectors() -> tuple[torch.Tensor, torch.Tensor]:
    source = torch.Generator().manual_seed(0)
    return torch.randn(56, generator=source), torch.randn(56, generator=source)


def ways():
    return perturbations(SIZES, vectors()[1], cosines=(0.999, 0.9))


@pytest.mark.parametrize("way", NOISES)
@pytest.mark.parametrize("cosine", [0.9999, 0.99, 0.8])
def test_noise_is_as_long_as_makes_the_cosine_what_is_wanted(way: str, cosine: float):
    vector, _ = vectors()
    disturbed = ways()[way].apply(vector, cosine, torch.Generator().manual_seed(1))
    assert float(torch.cosine_similarity(disturbed, vector, dim=0)) == pytest.approx(cosine, abs=2e-6)


def test_noise_in_one_tensor_leaves_the_others_and_tensor_by_tensor_meets_the_cosine_in_each():
    vector, _ = vectors()
    for way, which in (("noise_in_first", 0), ("noise_in_largest", 1)):
        parts = ways()[way].apply(vector, 0.9, torch.Generator()).split(SIZES)
        same = [torch.equal(part, own) for part, own in zip(parts, vector.split(SIZES), strict=True)]
        assert same == [number != which for number in range(3)]
    for part, own in zip(
        ways()["noise_by_tensor"].apply(vector, 0.9, torch.Generator()).split(SIZES), vector.split(SIZES), strict=True
    ):
        assert float(torch.cosine_similarity(part, own, dim=0)) == pytest.approx(0.9, abs=1e-5)


@pytest.mark.parametrize("way", ["rounded", "pruned", "towards_another"])
def test_every_further_level_disturbs_more(way: str):
    vector, _ = vectors()
    own = ways()[way]
    near = [
        float(torch.cosine_similarity(own.apply(vector, level, torch.Generator()), vector, dim=0))
        for level in own.levels
    ]
    assert near == sorted(near, reverse=True)
    assert near[0] < 1


def test_pruned_the_smallest_weights_are_0_and_no_other_is_changed():
    vector, _ = vectors()
    disturbed = ways()["pruned"].apply(vector, 0.5, torch.Generator())
    gone = disturbed == 0
    assert int(gone.sum()) == 28
    assert torch.equal(disturbed[~gone], vector[~gone])
    assert float(vector[gone].abs().max()) < float(vector[~gone].abs().min())


def test_towards_another_is_a_weighted_mean():
    vector, other = vectors()
    torch.testing.assert_close(
        ways()["towards_another"].apply(vector, 0.3, torch.Generator()), 0.7 * vector + 0.3 * other
    )


def test_nothing_changes_the_vector_itself():
    vector, _ = vectors()
    before = vector.clone()
    for way in ways().values():
        way.apply(vector, way.levels[-1], torch.Generator())
    assert torch.equal(vector, before)
