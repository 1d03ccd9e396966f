"""The loss of variational networks: divergences against PyTorch's and by sampling, gradients by differences, learning."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.networks.variational.networks import drawn_images, seeded, small_network
from torch import Tensor
from torch.distributions import Normal, kl_divergence
from torch.nn.functional import binary_cross_entropy, nll_loss

from hyperlearning.learners.variational import Divergence, kl_from_standard_normal, variational_loss
from hyperlearning.networks.variational.network import Said, VariationalNetwork, sample

LABELS = torch.tensor([0, 1, 2, 0, 1, 2])


def drawn_posterior() -> tuple[Tensor, Tensor]:
    mu = torch.randn(50, 7, generator=seeded(), dtype=torch.float64)
    return mu, torch.randn(50, 7, generator=seeded(1), dtype=torch.float64)


@given(st.floats(-20, 20), st.floats(0.01, 20), st.sampled_from([-1, 1]))
def test_divergences_are_those_of_torch_distributions(mean: float, deviation: float, sign: int):
    mu, scale = (torch.tensor([[value]], dtype=torch.float64) for value in (mean, deviation))
    expected = kl_divergence(Normal(mu, scale), Normal(torch.zeros_like(mu), torch.ones_like(mu)))
    # The code's 1e-8 beside the variance makes half of 1e-8 / variance of a difference.
    torch.testing.assert_close(
        kl_from_standard_normal(mu, sign * scale), expected, rtol=1e-12, atol=1e-8 / deviation**2
    )


def test_divergences_are_those_found_by_sampling():
    num = 400_000
    mu, scale = torch.tensor([[0.3, -1.5, 0.0]]), torch.tensor([[0.5, 1.7, -1.0]])
    z = sample(mu.expand(num, 1, 3), scale, seeded())[:, 0]
    ratios = Normal(mu[0], scale[0].abs()).log_prob(z) - Normal(0.0, 1.0).log_prob(z)
    error = 5 * ratios.std(0) / num**0.5
    assert bool(((ratios.mean(0) - kl_from_standard_normal(mu, scale)[0]).abs() <= error + 1e-5).all())


def test_a_standard_normal_diverges_from_itself_by_nothing_and_a_point_by_something_finite():
    zero, one = torch.zeros(1, 3), torch.ones(1, 3)
    torch.testing.assert_close(kl_from_standard_normal(zero, one), zero, rtol=0, atol=1e-7)
    point = torch.zeros(1, 3, requires_grad=True)
    divergence = kl_from_standard_normal(zero, point)
    (slope,) = torch.autograd.grad(divergence.sum(), point)
    assert bool(divergence.isfinite().all())
    assert torch.equal(slope, zero)


@pytest.mark.parametrize("divergence", ["code", "text"])
@pytest.mark.parametrize("with_decoder", [False, True])
def test_the_loss_is_the_sum_of_its_terms(divergence: Divergence, with_decoder: bool):
    images = drawn_images()
    said = small_network(with_decoder=with_decoder)(images, seeded())
    found = variational_loss(said, LABELS, images, beta=0.3, divergence=divergence)
    torch.testing.assert_close(found.classification, nll_loss(said.logits.log_softmax(1), LABELS))
    of_images = kl_divergence(Normal(said.mu, said.scale.abs()), Normal(0.0, 1.0)).sum(1)
    torch.testing.assert_close(
        found.divergence, of_images.mean() / (4 if divergence == "code" else 1), rtol=1e-4, atol=1e-6
    )
    drawn = 0 if said.reconstruction is None else binary_cross_entropy(said.reconstruction.sigmoid(), images)
    torch.testing.assert_close(found.reconstruction, torch.as_tensor(drawn, dtype=torch.float32), rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(found.total, found.classification + found.reconstruction + 0.3 * found.divergence)


def test_a_beta_of_the_text_is_one_of_the_code_divided_by_the_size_of_the_latent():
    mu, scale = drawn_posterior()
    said = Said(mu, scale, mu, torch.zeros(50, 2, dtype=torch.float64), None)
    labels, images = torch.zeros(50, dtype=torch.int64), torch.zeros(50, 1, 1, 1, dtype=torch.float64)
    code = variational_loss(said, labels, images, beta=0.7, divergence="code").total
    torch.testing.assert_close(variational_loss(said, labels, images, beta=0.1, divergence="text").total, code)


@pytest.mark.parametrize("scale", ["softplus", "signed"])
@pytest.mark.parametrize("divergence", ["code", "text"])
@pytest.mark.parametrize("with_decoder", [False, True])
def test_gradients_are_those_of_finite_differences(scale: str, divergence: Divergence, with_decoder: bool):
    network = small_network(with_decoder=with_decoder, scale=scale).double()
    names, values = zip(*network.named_parameters(), strict=True)
    images = drawn_images().double()

    def total(*moved: Tensor) -> Tensor:
        said = torch.func.functional_call(network, dict(zip(names, moved, strict=True)), (images, seeded(5)))
        return variational_loss(said, LABELS, images, beta=0.2, divergence=divergence).total

    assert torch.autograd.gradcheck(total, values, fast_mode=True)


@pytest.mark.parametrize("with_decoder", [False, True])
def test_it_learns_a_trivial_task_and_draws_what_it_saw(with_decoder: bool):
    images = torch.zeros(30, 1, 8, 8)
    labels = torch.arange(30) % 3
    for place in range(3):
        images[labels == place, :, 2 * place : 2 * place + 3] = 1
    network = small_network(with_decoder=with_decoder)
    moves, source = torch.optim.Adam(network.parameters(), lr=0.01), seeded()
    before = _loss(network, images, labels)
    for _ in range(150):
        moves.zero_grad()
        variational_loss(network(images, source), labels, images).total.backward()
        moves.step()
    network.eval()
    found = network.probabilities(images, num_draws=5, source=source).mean(0).argmax(1)
    assert torch.equal(found, labels)
    after = _loss(network, images, labels)
    assert not with_decoder or float(after.reconstruction) < 0.5 * float(before.reconstruction)


@torch.no_grad()
def _loss(network: VariationalNetwork, images: Tensor, labels: Tensor):
    return variational_loss(network(images), labels, images)


def test_what_does_not_belong_together_is_refused():
    images = drawn_images()
    said = small_network(with_decoder=True)(images)
    with pytest.raises(ValueError, match="`beta` to be non-negative, but got -1"):
        variational_loss(said, LABELS, images, beta=-1.0)
    with pytest.raises(ValueError, match=r"Expected images of shape \(6, 1, 8, 8\) to compare with"):
        variational_loss(said, LABELS, drawn_images(side=12))
