"""Autoencoders over weights: the contractive term against Jacobians in float64, its gradient against finite differences."""

import pytest
import torch
from torch.autograd.functional import jacobian

from hyperlearning.networks.weight_codec.autoencoder import Activation, WeightAutoencoder, cosines

ACTIVATIONS: tuple[Activation, ...] = ("tanh", "elu", "sigmoid")


def autoencoder(sizes: tuple[int, ...], activation: Activation) -> WeightAutoencoder:
    return WeightAutoencoder(sizes, activation=activation, generator=torch.Generator().manual_seed(0)).double()


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("sizes", [(7, 3), (7, 5, 3), (7, 6, 5, 2), (60, 3, 4), (60, 3, 5, 4)])
def test_the_contraction_is_that_of_the_jacobian(sizes: tuple[int, ...], activation: Activation):
    own = autoencoder(sizes, activation)
    vectors = torch.randn(4, sizes[0], dtype=torch.float64)
    wanted = [jacobian(lambda one: own.encode(one[None])[0], vector).square().sum() for vector in vectors]
    torch.testing.assert_close(own.contraction(vectors), torch.stack(wanted), rtol=1e-12, atol=0)


@pytest.mark.parametrize("sizes", [(5, 3), (5, 4, 3), (20, 2, 3)])
def test_its_gradient_is_that_of_finite_differences(sizes: tuple[int, ...]):
    own, vectors = autoencoder(sizes, "tanh"), torch.randn(2, sizes[0], dtype=torch.float64)
    names, parameters = zip(*own.encoder.named_parameters(), strict=True)

    def term(*values: torch.Tensor) -> torch.Tensor:
        moved = dict(zip((f"encoder.{name}" for name in names), values, strict=True))
        return torch.func.functional_call(
            _Contraction(own), {f"own.{name}": each for name, each in moved.items()}, vectors
        )

    assert torch.autograd.gradcheck(term, parameters)


class _Contraction(torch.nn.Module):
    def __init__(self, own: WeightAutoencoder) -> None:
        super().__init__()
        self.own = own

    def forward(self, vectors: torch.Tensor) -> torch.Tensor:
        return self.own.contraction(vectors)


def test_the_authors_term_is_that_of_a_sigmoid_and_moves_no_weight_of_the_code_by_itself():
    own, vectors = autoencoder((6, 3), "sigmoid"), torch.randn(4, 6, dtype=torch.float64)
    torch.testing.assert_close(own.authors_contraction(vectors), own.contraction(vectors))
    codes, weight = own.encode(vectors), own.encoder[0].weight
    by_hand = (codes * (1 - codes)).square() @ weight.detach().square().sum(1)
    (wanted,) = torch.autograd.grad(by_hand.sum(), weight)
    (found,) = torch.autograd.grad(own.authors_contraction(vectors).sum(), weight)
    torch.testing.assert_close(found, wanted)
    (exact,) = torch.autograd.grad(own.contraction(vectors).sum(), weight)
    assert not torch.allclose(found, exact)


@pytest.mark.parametrize("sizes", [(7, 3), (7, 5, 3)])
def test_what_it_missed_and_its_gradients_are_those_of_the_squared_errors(sizes: tuple[int, ...]):
    own, vectors = autoencoder(sizes, "elu"), torch.randn(4, 7, dtype=torch.float64)
    errors, missed = own.missed(vectors)
    torch.testing.assert_close(missed, own(vectors).detach() - vectors, rtol=1e-12, atol=1e-14)
    weighed, parameters = torch.tensor([1.0, 0.0, -2.0, 3.0], dtype=torch.float64), list(own.parameters())
    expected = (own(vectors) - vectors).square().mean(1)
    torch.testing.assert_close(errors, expected, rtol=1e-12, atol=0)
    for got, wanted in zip(
        torch.autograd.grad(errors @ weighed, parameters),
        torch.autograd.grad(expected @ weighed, parameters),
        strict=True,
    ):
        torch.testing.assert_close(got, wanted, rtol=1e-12, atol=1e-14)


def test_what_an_output_with_an_activation_missed_is_refused():
    own = WeightAutoencoder((5, 2), linear_output=False)
    with pytest.raises(ValueError, match="whose last layer is linear"):
        own.missed(torch.zeros(1, 5))


def test_layers_are_mirrored():
    own = autoencoder((9, 4, 2), "tanh")
    vectors = torch.randn(3, 9, dtype=torch.float64)
    assert own.encode(vectors).shape == (3, 2)
    assert own(vectors).shape == (3, 9)
    bounded = WeightAutoencoder((9, 2), activation="tanh", linear_output=False)
    assert float(bounded(100 * torch.randn(3, 9)).detach().abs().max()) <= 1


def test_a_cosine_is_of_directions_alone():
    vectors = torch.randn(3, 5)
    torch.testing.assert_close(cosines(vectors, 7 * vectors), torch.ones(3))
    assert cosines(torch.zeros(1, 5), torch.ones(1, 5)).tolist() == [0.0]


def test_too_few_sizes_are_refused():
    with pytest.raises(ValueError, match="sizes of a vector and a code"):
        WeightAutoencoder((5,))
