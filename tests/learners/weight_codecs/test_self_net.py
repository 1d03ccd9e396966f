"""Self-Net's stages: what they say of themselves, and the loop that they are timed beside."""

import pytest
import torch
from benchmarks import reference_selfnet
from torch import Tensor, nn

from hyperlearning.learners.weight_codecs.self_net import SelfNet, SelfNetRule
from hyperlearning.networks.weight_codec.autoencoder import WeightAutoencoder, cosines


def vectors() -> Tensor:
    source = torch.Generator().manual_seed(0)
    return torch.randn(60, generator=source) + torch.randn(4, 60, generator=source) / 3


@pytest.mark.parametrize("standardised", [True, False])
@pytest.mark.parametrize("loss", ["squared", "cosine"])
def test_a_stage_says_how_near_its_recollections_are(loss: str, standardised: bool):
    net, own = SelfNet(60, SelfNetRule(loss=loss, standardised=standardised, max_iterations=(20,))), vectors()
    net.learn(own)
    assert net.stages[-1].iterations == 20
    assert net.stages[-1].to_targets == pytest.approx(float(cosines(net.recollect(), own).mean()), abs=1e-5)


def test_a_stage_ends_with_the_first_iteration_above_its_threshold():
    to_targets = []
    for most in range(1, 30):
        net = SelfNet(60, SelfNetRule(max_iterations=(most,), thresholds=(1.0,)))
        net.learn(vectors())
        to_targets.append(net.stages[-1].to_targets)
    net = SelfNet(60, SelfNetRule(thresholds=(to_targets[19],)))
    net.learn(vectors())
    assert net.stages[-1].iterations == next(at for at, near in enumerate(to_targets, 1) if near > to_targets[19])


@pytest.mark.parametrize("loss", ["squared", "cosine"])
def test_all_as_one_batch_takes_the_mean_losses_gradient(loss: str):
    own = vectors()[:1]
    nets = [SelfNet(60, SelfNetRule(loss=loss, one_by_one=one, max_iterations=(9,))) for one in (True, False)]
    for net in nets:
        net.learn(own)
    torch.testing.assert_close(nets[0].recollect(), nets[1].recollect(), rtol=1e-4, atol=1e-5)


def test_the_loop_it_is_timed_beside_reaches_the_cosine_that_it_is_asked_for():
    own, net = vectors(), WeightAutoencoder((60, 5), activation="elu", generator=torch.Generator().manual_seed(0))
    encoder, decoder = net.encoder[0], net.decoder[0]
    assert isinstance(encoder, nn.Linear)
    assert isinstance(decoder, nn.Linear)
    settings, as_they_are = reference_selfnet.Settings(), {"spread": torch.tensor(1), "mean": torch.tensor(0)}
    passes = reference_selfnet.passes_to(0.98, own, encoder, decoder, settings, **as_they_are, seed=0)
    assert passes is not None
    assert float(cosines(net(own), own).detach().mean()) > 0.98


def test_with_slow_inputs_vectors_that_come_one_at_a_time_are_told_apart():
    source = torch.Generator().manual_seed(0)
    common = torch.randn(3000, generator=source)
    own = common + 0.2 * torch.randn(6, 3000, generator=source)
    reached = {}
    for slow in (True, False):
        net = SelfNet(3000, SelfNetRule(code_size=8, thresholds=(0.9999,), max_iterations=(300,), slow_inputs=slow))
        for vector in own:
            net.learn(vector[None])
        reached[slow] = float(torch.cosine_similarity(net.recollect(), own).min())
    assert reached[True] > 0.998
    assert reached[False] < reached[True]
