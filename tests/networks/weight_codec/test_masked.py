"""Masked networks: weights are those of the source or 0, as many as asked for, and which ones is what is learned."""

import pytest
import torch
from torch import nn

from hyperlearning.networks.weight_codec.masked import MaskedNetwork, signed_constants


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(16, 2))


def test_the_best_by_score_are_kept_at_their_source_and_all_others_are_0():
    own = network()
    masked = MaskedNetwork(own, share=0.25)
    mask = masked.mask()
    weights, source = masked.masked(mask), dict(own.named_parameters())
    for name, scores, kept in zip(
        ("0.weight", "3.weight"), masked.scores.split([36, 32]), mask.split([36, 32]), strict=True
    ):
        assert int(kept.sum()) == round(0.25 * len(kept))
        assert float(scores[kept].detach().min()) > float(scores[~kept].detach().max())
        assert torch.equal(weights[name].flatten()[kept], source[name].flatten()[kept])
        assert bool((weights[name].flatten()[~kept] == 0).all())
    assert torch.equal(weights["0.bias"], source["0.bias"])


def test_a_score_has_the_gradient_of_its_weight_times_its_source():
    own, images = network(), torch.randn(5, 1, 4, 4)
    masked = MaskedNetwork(own, share=0.5)
    (found,) = torch.autograd.grad(masked(images).square().sum(), masked.scores)
    weights = {name: tensor.detach().requires_grad_() for name, tensor in masked.masked(masked.mask()).items()}
    wanted = torch.autograd.grad(
        torch.func.functional_call(own, weights, (images,)).square().sum(), [weights["0.weight"], weights["3.weight"]]
    )
    sources = [own.get_parameter(name).detach() for name in ("0.weight", "3.weight")]
    by_hand = torch.cat([(grad * source).flatten() for grad, source in zip(wanted, sources, strict=True)])
    torch.testing.assert_close(found, by_hand)


def test_only_scores_are_learned_and_the_module_does_not_change():
    own = network()
    before = {name: tensor.clone() for name, tensor in own.state_dict().items()}
    masked = MaskedNetwork(own)
    assert [name for name, _ in masked.named_parameters()] == ["scores"]
    masked(torch.randn(3, 1, 4, 4)).sum().backward()
    assert all(torch.equal(tensor, before[name]) for name, tensor in own.state_dict().items())


def test_a_plain_copy_computes_the_same():
    masked, images = MaskedNetwork(network()), torch.randn(3, 1, 4, 4)
    torch.testing.assert_close(masked.plain()(images), masked(images))


def test_it_learns_which_weights_to_keep():
    torch.manual_seed(0)
    masked = MaskedNetwork(nn.Sequential(nn.Linear(4, 64), nn.Tanh(), nn.Linear(64, 2)))
    inputs = torch.randn(256, 4)
    labels = (inputs[:, 0] > inputs[:, 1]).long()
    adam = torch.optim.Adam(masked.parameters(), lr=0.03)
    for _ in range(150):
        adam.zero_grad()
        nn.functional.cross_entropy(masked(inputs), labels).backward()
        adam.step()
    assert float((masked(inputs).argmax(1) == labels).float().mean()) > 0.85


def test_what_does_not_suit_is_refused():
    with pytest.raises(ValueError, match="weights of two axes"):
        MaskedNetwork(nn.BatchNorm1d(3))
    with pytest.raises(ValueError, match="`share` between 0 and 1"):
        MaskedNetwork(network(), share=1.0)


def test_signed_constants_are_of_one_size_a_tensor_and_pass_on_the_variance_under_a_mask():
    torch.manual_seed(0)
    own = nn.Sequential(nn.Linear(400, 300), nn.LayerNorm(300), nn.ReLU(), nn.Linear(300, 200))
    before = {name: tensor.clone() for name, tensor in own.state_dict().items()}
    made = signed_constants(own, share=0.25)
    for place, inputs in ((0, 400), (3, 300)):
        weights = made.get_parameter(f"{place}.weight")
        torch.testing.assert_close(weights, before[f"{place}.weight"].sign() * (2 / (0.25 * inputs)) ** 0.5)
        assert not made.get_parameter(f"{place}.bias").any()
    assert bool((made.get_parameter("1.weight") == 1).all())
    assert all(torch.equal(tensor, before[name]) for name, tensor in own.state_dict().items())
    first = MaskedNetwork(nn.Sequential(made[0]), share=0.25, generator=torch.Generator().manual_seed(1))
    inputs = torch.randn(500, 400).relu()
    # After a ReLU, half of the mean square is left; He et al. (2015) double it.
    assert float(first(inputs).detach().square().mean() / (2 * inputs.square().mean())) == pytest.approx(1.0, abs=0.1)
