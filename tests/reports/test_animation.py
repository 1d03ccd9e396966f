"""The moving picture of a life."""

import io

import numpy as np
import pytest
from PIL import Image
from PIL.GifImagePlugin import GifImageFile

from hyperlearning.reports import life_animation

GRID = np.linspace(-5, 5, 50)
TRUTH = np.sin(GRID)


def frames(count: int) -> list[list[object]]:
    """Frames as JSON gives them: lists throughout, and no examples before learning."""
    return [
        [10 * index, (TRUTH * index / count).tolist(), [[-4.5, 0.97], [-4.0, 0.75]] if index else []]
        for index in range(count)
    ]


def test_an_animation_has_as_many_pictures_as_frames() -> None:
    picture = GifImageFile(io.BytesIO(life_animation(GRID, TRUTH, frames(7), num_tasks=2, title="A life")))
    assert (picture.format, picture.n_frames) == ("GIF", 7)


def test_an_animation_repeats_and_rests_on_its_last_picture() -> None:
    picture = Image.open(
        io.BytesIO(life_animation(GRID, TRUTH, frames(3), num_tasks=2, title="A life", frame_seconds=0.2))
    )
    durations = []
    for index in range(3):
        picture.seek(index)
        durations.append(picture.info["duration"])
    assert picture.info["loop"] == 0
    assert durations == [200, 200, 3000]


def test_an_animation_shades_the_window_that_is_being_learned() -> None:
    picture = Image.open(io.BytesIO(life_animation(GRID, TRUTH, frames(5), num_tasks=2, title="A life")))
    shaded = []
    for index in (1, 4):  # A quarter of the life: first window; its end: second.
        picture.seek(index)
        pixels = np.asarray(picture.convert("RGB")).astype(int)
        tinted = (pixels[..., 2] - pixels[..., 0] > 15) & (pixels[..., 0] > 200)
        shaded.append(np.median(np.nonzero(tinted)[1]))
    assert shaded[0] < picture.width / 2 < shaded[1]


def test_an_animation_of_fifty_frames_stays_below_a_megabyte_and_a_half() -> None:
    assert len(life_animation(GRID, TRUTH, frames(50), num_tasks=5, title="A life")) < 1_500_000


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ([], "Expected at least one frame, but got none"),
        ([[0, TRUTH.tolist()]], "Expected a frame of .* but got 2 values"),
        ([[0, [1.0], []]], r"Expected `prediction` of shape \(50,\), but got \(1,\)"),
        ([[0, TRUTH.tolist(), [1.0, 2.0]]], r"Expected `examples` of shape \(any, 2\), but got \(2,\)"),
    ],
    ids=["none", "short", "prediction", "examples"],
)
def test_frames_that_do_not_fit_are_refused(wrong: list[list[object]], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        life_animation(GRID, TRUTH, wrong, num_tasks=2, title="A life")
