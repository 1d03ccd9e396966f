"""Variational networks: what they say, how latents are drawn, probabilities over draws."""

import pytest
import torch
from tests.networks.variational.networks import drawn_images, seeded, small_network
from torch import nn
from torch.nn.functional import softplus

from hyperlearning.core.params import Params
from hyperlearning.networks.variational.network import VariationalNetwork, sample


@pytest.mark.parametrize("scale", ["softplus", "signed"])
def test_what_is_said_is_what_its_parts_make(scale: str):
    network, images = small_network(with_decoder=True, scale=scale).eval(), drawn_images()
    said = network(images, seeded())
    features = network.encoder(images)
    raw = features @ network.scale.weight.mT
    torch.testing.assert_close(said.mu, features @ network.mu.weight.mT)
    torch.testing.assert_close(said.scale, softplus(raw) if scale == "softplus" else raw)
    torch.testing.assert_close(said.z, said.mu + said.scale * torch.randn(6, 4, generator=seeded()))
    torch.testing.assert_close(said.logits, said.z @ network.classifier.weight.mT)
    assert network.decoder is not None
    torch.testing.assert_close(said.reconstruction, network.decoder(said.z))
    assert said.reconstruction.shape == images.shape


def test_standard_deviations_are_positive_or_of_either_sign():
    images = drawn_images()
    assert float(small_network()(images).scale.detach().min()) > 0
    signed = small_network(scale="signed")(images).scale.detach()
    assert float(signed.min()) < 0 < float(signed.max())


def test_without_a_source_the_mean_is_read_and_without_a_decoder_nothing_is_drawn():
    said = small_network()(drawn_images())
    assert torch.equal(said.z, said.mu)
    assert said.reconstruction is None


def test_heads_have_no_bias_and_a_network_without_features_says_nothing():
    network = small_network()
    assert {name for name, _ in network.named_parameters()} >= {"mu.weight", "scale.weight", "classifier.weight"}
    assert not {"mu.bias", "scale.bias", "classifier.bias"} & set(network.state_dict())


def test_latents_are_normal_with_the_mean_and_deviation_given_whatever_the_sign():
    mu, scale = torch.tensor([[0.0, 2.0, -1.0]]), torch.tensor([[0.5, -3.0, 0.0]])
    num = 200_000
    z = sample(mu.expand(num, 1, 3), scale, seeded())[:, 0]
    spread = scale[0].abs()
    # Five standard errors of a mean, and of a standard deviation.
    assert bool(((z.mean(0) - mu[0]).abs() <= 5 * spread / num**0.5 + 1e-6).all())
    assert bool(((z.std(0) - spread).abs() <= 5 * spread / (2 * num) ** 0.5 + 1e-6).all())
    assert float(z[:, :2].T.corrcoef()[0, 1]) == pytest.approx(0, abs=5 / num**0.5)


def test_the_same_source_draws_the_same_and_another_draws_anew():
    network, images = small_network(), drawn_images()
    first, same, other = (network(images, seeded(seed)).z for seed in (0, 0, 1))
    assert torch.equal(first, same)
    assert not torch.equal(first, other)


def test_gradients_pass_through_a_draw():
    mu = torch.randn(3, 4, dtype=torch.float64, generator=seeded()).requires_grad_()
    scale = torch.randn(3, 4, dtype=torch.float64, generator=seeded(1)).requires_grad_()
    assert torch.autograd.gradcheck(lambda *inputs: sample(*inputs, seeded(2)), (mu, scale))


def test_no_draws_are_one_reading_of_the_mean():
    network, images = small_network(), drawn_images()
    found = network.probabilities(images, num_draws=0)
    torch.testing.assert_close(found, network(images).logits.softmax(-1)[None].detach())
    assert not found.requires_grad


def test_many_draws_are_probabilities_that_differ_and_come_from_the_posterior():
    network, images = small_network(), drawn_images()
    found = network.probabilities(images, num_draws=3, source=seeded())
    said = network(images)
    z = said.mu + said.scale * torch.randn(3, 6, 4, generator=seeded())
    torch.testing.assert_close(found, network.classifier(z).softmax(-1).detach())
    assert found.shape == (3, 6, 3)
    assert not torch.equal(found[0], found[1])


def test_a_latent_without_spread_gives_all_draws_alike():
    network, images = small_network(scale="signed"), drawn_images()
    nn.init.zeros_(network.scale.weight)
    found = network.probabilities(images, num_draws=4, source=seeded())
    torch.testing.assert_close(found, network.probabilities(images, num_draws=0).expand(4, -1, -1))


def test_the_encoder_runs_once_for_all_draws():
    network, calls = small_network(), []
    network.encoder.register_forward_hook(lambda *_: calls.append(1))
    network.probabilities(drawn_images(), num_draws=50, source=seeded())
    assert len(calls) == 1


def test_it_runs_with_parameters_that_are_not_its_own():
    network, other, images = small_network(), small_network(seed=1), drawn_images()
    params: Params = dict(other.named_parameters())
    found = torch.func.functional_call(network, params, (images, seeded()))
    torch.testing.assert_close(found.logits, other(images, seeded()).logits, rtol=0, atol=0)


def test_any_module_that_gives_features_is_an_encoder_and_others_are_refused():
    network = VariationalNetwork(seeded(), nn.Flatten(), num_features=64, num_classes=2, latent_size=3)
    assert network(drawn_images()).logits.shape == (6, 2)
    maps = VariationalNetwork(seeded(), nn.Identity(), num_features=64, num_classes=2)
    with pytest.raises(ValueError, match=r"features of shape \(6, 64\), but got \(6, 1, 8, 8\)"):
        maps(drawn_images())


def test_sizes_and_draws_that_cannot_be_are_refused():
    with pytest.raises(ValueError, match="Expected positive `num_features`"):
        VariationalNetwork(seeded(), nn.Flatten(), num_features=64, num_classes=0)
    network = small_network()
    with pytest.raises(ValueError, match="some and their `source`, but got 2 and None"):
        network.probabilities(drawn_images(), num_draws=2)
    with pytest.raises(ValueError, match="but got -1"):
        network.probabilities(drawn_images(), num_draws=-1, source=seeded())
