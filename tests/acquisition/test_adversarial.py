"""VAAL and WAAL: the penalty of slopes against differences and closed forms; both ask for what is unlike what is labelled."""

import math

import pytest
import torch
from torch import Tensor, nn

from hyperlearning.acquisition.adversarial import certainty, slope_penalty, vaal, waal
from hyperlearning.acquisition.query import Choose, Views


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def pool(labelled: int = 80) -> Views:
    """Four kinds of images, of two of which nothing is labelled; all are as unsure."""
    centres, source = 4 * torch.eye(4, 10), seeded()
    kinds, own = torch.arange(4).repeat(50), torch.arange(2).repeat(labelled // 2)
    return Views(
        features_ND=centres[kinds] + torch.randn(200, 10, generator=source),
        labelled_features_LD=centres[own] + torch.randn(labelled, 10, generator=source),
        probabilities_KNC=torch.full((1, 200, 4), 0.25),
    )


def test_a_linear_critic_pays_for_its_slope():
    critic = nn.Linear(3, 1, bias=False).double()
    with torch.no_grad():
        critic.weight.copy_(torch.tensor([[2.0, 3.0, 6.0]]))
    paid = slope_penalty(critic, torch.randn(5, 3, generator=seeded()).double())
    paid.backward()
    assert paid.item() == pytest.approx((7 - 1) ** 2)
    assert critic.weight.grad is not None
    # d (|w| - 1)^2 / dw = 2 (|w| - 1) w / |w|
    assert critic.weight.grad[0].tolist() == pytest.approx([12 * 2 / 7, 12 * 3 / 7, 12 * 6 / 7])


def test_the_penalty_of_any_critic_is_that_of_finite_differences():
    torch.manual_seed(0)
    critic = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1)).double()
    points, step = torch.randn(6, 4, generator=seeded()).double(), 1e-6

    def slope(point: Tensor) -> float:
        moved = [
            (critic(point + step * axis) - critic(point - step * axis)) / (2 * step) for axis in torch.eye(4).double()
        ]
        return math.hypot(*(one.item() for one in moved))

    wanted = sum((slope(point) - 1) ** 2 for point in points) / 6
    assert slope_penalty(critic, points).item() == pytest.approx(wanted, rel=1e-6)


def test_certainty_is_least_where_all_classes_are_as_likely():
    likely = torch.tensor([[[0.25, 0.25, 0.25, 0.25], [0.97, 0.01, 0.01, 0.01], [1.0, 0.0, 0.0, 0.0]]]).double()
    found = certainty(likely).tolist()
    assert found[0] == pytest.approx((4 + 2) * math.log(4) / 2)
    assert found[0] < found[1] < found[2] < math.inf


@pytest.mark.parametrize("choose", [vaal(), waal()])
def test_both_ask_for_kinds_of_which_nothing_is_labelled(choose: Choose):
    asked = choose(pool(), 40, seeded()).indices_B
    assert float((asked % 4 >= 2).double().mean()) > 0.85


@pytest.mark.parametrize("choose", [vaal(), waal()])
def test_without_labelled_images_both_choose_all_the_same(choose: Choose):
    assert len(choose(pool(0), 20, seeded()).indices_B.unique()) == 20
