"""Coded images: principal components against the best possible, points against pixels, training that is killed, refusals."""

from typing import Any

import pytest
import torch
from tests.engine.resuming import check_goes_on_to_the_same_bits

from hyperlearning.systems.hypernetworks.image_coders import CODERS, PrincipalCoder, WrittenImages, pixel_points
from hyperlearning.systems.hypernetworks.image_comparison import check_images, draw_images
from hyperlearning.systems.hypernetworks.image_lines import CoderLook
from hyperlearning.systems.hypernetworks.image_settings import CodedImages, CoderName, CoderSettings
from hyperlearning.systems.hypernetworks.image_training import build_coder, coder_job, psnrs

SMALL = CoderSettings(updates=6, looks=3, code_size=4, signal_sizes=(8,), hidden=(16,), batch=8)
LEARNED: tuple[CoderName, ...] = ("autoencoder", "written", "residual", "modulated")


def images(count: int = 30, channels: int = 1) -> torch.Tensor:
    return torch.rand(count, channels, 8, 8, generator=torch.Generator().manual_seed(count))


def test_principal_components_are_the_best_of_their_number():
    train = images()
    coder = PrincipalCoder(train, 5)
    given = coder.decode(coder.encode(train), pixel_points(8)).transpose(1, 2).reshape(train.shape)
    flat = train.flatten(1).double()
    left = torch.linalg.svdvals(flat - flat.mean(0))[5:].square().sum()
    assert float((given - train).square().sum()) == pytest.approx(float(left), rel=1e-5)


def test_peak_signal_to_noise_is_that_of_plain_arithmetic():
    train = images()
    coder = PrincipalCoder(train, 5)
    given = coder.decode(coder.encode(train), pixel_points(8)).clamp(0, 1).transpose(1, 2).reshape(train.shape)
    wanted = [-10 * torch.log10(((a - b) ** 2).mean()) for a, b in zip(given, train, strict=True)]
    torch.testing.assert_close(psnrs(coder, train), torch.stack(wanted), rtol=1e-5, atol=0)


def test_points_of_pixels_are_rows_of_middles():
    points = pixel_points(4)
    assert points[:5].tolist() == [[-0.75, -0.75], [-0.75, -0.25], [-0.75, 0.25], [-0.75, 0.75], [-0.25, -0.75]]


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", LEARNED)
def test_a_coder_gives_back_images_of_the_same_shape(name: CoderName, channels: int):
    coder = build_coder(name, SMALL, (channels, 8, 8), 0)
    given = coder.decode(coder.encode(images(5, channels)), pixel_points(8))
    assert given.shape == (5, 64, channels)
    assert isinstance(coder, WrittenImages) == CODERS[name].is_written
    if isinstance(coder, WrittenImages):
        assert coder.decode(coder.encode(images(5, channels)), pixel_points(20)).shape == (5, 400, channels)


@pytest.mark.parametrize("name", LEARNED)
def test_a_killed_job_goes_on_to_the_same_bits(name: CoderName):
    check_goes_on_to_the_same_bits(lambda: coder_job(name, SMALL, images(), images(5), seed=0))


@pytest.mark.parametrize("name", LEARNED)
def test_a_coder_learns(name: CoderName):
    sizes: dict[str, Any] = {"code_size": 6, "signal_sizes": (16,), "hidden": (32,)}
    settings = CoderSettings(**sizes, updates=600, looks=2, batch=16, points=0.5, coder_lr=0.01)
    ramp = torch.linspace(-1, 1, 8)
    levels = torch.rand(40, 2, 1, generator=torch.Generator().manual_seed(0)) * 2 - 1
    rows, columns = levels[:, 0, :, None] * ramp[:, None], levels[:, 1, :, None] * ramp
    made = (rows + columns).reshape(40, 1, 8, 8) / 4 + 0.5
    job = coder_job(name, settings, made, made, seed=0)
    looks = [step.line for step in job.steps(job.begin())]
    assert all(isinstance(look, CoderLook) for look in looks)
    assert [look.updates for look in looks] == [300, 600]
    assert looks[-1].psnr > 18  # The mean image has 17.4.


@pytest.mark.parametrize(
    ("settings", "said"),
    [({"code_size": 64}, "at most 63, below pixels and images"), ({"updates": 2, "looks": 3}, "at most 2 `looks`")],
)
def test_what_contradicts_is_refused(settings: dict[str, Any], said: str):
    with pytest.raises(ValueError, match=said):
        check_images(draw_images(CodedImages(dataset="digits"), CoderSettings(**settings), 0))
