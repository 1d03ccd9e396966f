"""Networks that are a signal: first activations, plain arithmetic, gradients, and that each fits what it is given."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import nn
from torch.nn.functional import grid_sample

from hyperlearning.networks.hypernetworks.hypernetwork import Hypernetwork
from hyperlearning.networks.implicit.fourier import FourierFeatures, fourier_network
from hyperlearning.networks.implicit.hash_grid import HashGrid, hash_grid_network
from hyperlearning.networks.implicit.siren import ModulatedSiren, is_modulation, siren


def source(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_what_weights_bring_to_every_sine_but_the_first_has_a_variance_of_one():
    network = siren((2, 256, 256, 256, 256, 1), generator=source())
    hidden = torch.rand(4000, 2, generator=source(1)) * 2 - 1
    for place, layer in enumerate(network):
        if isinstance(layer, nn.Linear) and 0 < place < len(network) - 1:
            assert float((30 * hidden @ layer.weight.T).square().mean().detach()) == pytest.approx(1, abs=0.15)
        hidden = layer(hidden)


def test_first_weights_lie_where_the_paper_has_them():
    first, second = (siren((2, 50, 50, 1), frequency=20.0, generator=source())[place] for place in (0, 2))
    assert isinstance(first, nn.Linear)
    assert isinstance(second, nn.Linear)
    assert 0.9 / 2 < float(first.weight.abs().max().detach()) <= 1 / 2
    reach = math.sqrt(6 / 50) / 20
    assert 0.9 * reach < float(second.weight.abs().max().detach()) <= reach


def test_a_modulated_siren_begins_as_the_plain_one():
    plain, own = siren((2, 8, 8, 3), generator=source()), ModulatedSiren((2, 8, 8, 3), generator=source())
    points = torch.rand(5, 2)
    torch.testing.assert_close(own(points), plain(points))
    assert [name for name, _ in own.named_parameters() if is_modulation(name)] == [
        "scales.0", "scales.1", "shifts.0", "shifts.1",
    ]  # fmt: skip


def test_a_hypernetwork_emits_modulations_alone():
    hyper = Hypernetwork(ModulatedSiren((2, 8, 8, 3)), 4, emits=is_modulation)
    assert sum(tensor.size for tensor in hyper.tensors()) == 32
    assert hyper.on_all(torch.rand(6, 2)).shape == (4, 6, 3)


def test_fourier_features_are_cosines_and_sines():
    features = FourierFeatures(2, 5, spread=3.0, generator=source())
    points = torch.rand(4, 2)
    own = features(points)
    for row in range(4):
        for column in range(5):
            angle = 2 * math.pi * float(points[row] @ features.frequencies[column])
            assert float(own[row, column]) == pytest.approx(math.cos(angle), abs=1e-4)
            assert float(own[row, 5 + column]) == pytest.approx(math.sin(angle), abs=1e-4)


def test_a_level_without_a_hash_is_bilinear_interpolation():
    grid = HashGrid(2, num_levels=1, num_features=3, coarsest=4, finest=4, table_size=1000).double()
    with torch.no_grad():
        grid.table.normal_()
    points = torch.rand(20, 2, dtype=torch.float64) * 2 - 1
    image = grid.table.detach().view(5, 5, 3).permute(2, 0, 1)[None]  # Rows are the second coordinate.
    wanted = grid_sample(image, points[None, None], align_corners=True)[0, :, 0].T
    torch.testing.assert_close(grid(points).detach(), wanted, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("num_coordinates", [1, 2, 3])
def test_gradients_of_a_grid_are_those_of_finite_differences(num_coordinates: int):
    grid = HashGrid(num_coordinates, num_levels=3, num_features=2, coarsest=2, finest=9, table_size=20).double()
    points = (torch.rand(6, num_coordinates, dtype=torch.float64) * 2 - 1).requires_grad_()
    assert torch.autograd.gradcheck(grid, (points,), eps=1e-7, atol=1e-6)
    assert len(grid.table) == sum(grid.sizes) <= 3 * 20


def test_points_at_the_ends_and_beyond_have_the_features_of_the_border():
    grid = HashGrid(1, num_levels=2, coarsest=2, finest=5)
    torch.testing.assert_close(grid(torch.tensor([[1.0], [7.0]]))[0], grid(torch.tensor([[1.0]]))[0])
    assert torch.isfinite(grid(torch.tensor([[-1.0], [1.0], [0.5]]))).all()


NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "siren": lambda: siren((2, 48, 48, 1), generator=source()),
    "modulated": lambda: ModulatedSiren((2, 48, 48, 1), generator=source()),
    "fourier": lambda: fourier_network((2, 64, 64, 1), 32, spread=2.0, generator=source()),
    "hash grid": lambda: hash_grid_network(HashGrid(2, finest=32, generator=source()), 1, generator=source()),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_it_fits_an_image(name: str):
    axis = torch.linspace(-1, 1, 24)
    points = torch.cartesian_prod(axis, axis)
    image = (torch.sin(6 * points[:, :1]) * torch.cos(9 * points[:, 1:]) > 0.2).float()
    network = NETWORKS[name]()
    rate = {"hash grid": 0.02, "fourier": 0.003}.get(name, 0.001)
    optimizer = torch.optim.Adam(network.parameters(), rate)
    for _ in range(250):
        optimizer.zero_grad()
        error = (network(points) - image).square().mean()
        error.backward()
        optimizer.step()
    assert float(error.detach()) < 0.02 * float(image.var())


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: siren((2,)), "`sizes` to be two or more"),
        (lambda: siren((2, 0, 1)), "`sizes` to be two or more"),
        (lambda: siren((2, 3, 1), frequency=0.0), "positive frequencies"),
        (lambda: ModulatedSiren((2, 1)), "a hidden layer"),
        (lambda: FourierFeatures(2, 3, spread=0.0), "positive `spread`"),
        (lambda: fourier_network((2,), 3, spread=1.0), "`sizes` to be two or more"),
        (lambda: HashGrid(4), "1 to 3 coordinates, but got 4"),
        (lambda: HashGrid(2, coarsest=5, finest=4), "the finest the largest"),
    ],
)
def test_what_is_out_of_range_is_refused(make: Callable[[], nn.Module], said: str):
    with pytest.raises(ValueError, match=said):
        make()
