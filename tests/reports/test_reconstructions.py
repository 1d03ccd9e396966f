"""Pictures of reconstructions: what is where, and what is refused."""

import io

import numpy as np
import pytest
from PIL import Image

from hyperlearning.reports import reconstruction_animation, reconstruction_figure
from hyperlearning.reports.reconstructions import tile

ORIGINALS = np.linspace(0, 1, 3 * 2 * 16).reshape(3, 2, 4, 4)
ROWS = ("learned", "not")


def test_a_sheet_has_every_image_in_its_place():
    first, second = ORIGINALS[:, 0], ORIGINALS[:, 1]
    sheet = tile([first, second])
    assert sheet.shape == (4 * 2 + 2, 4 * 3 + 2 * 2)
    np.testing.assert_array_equal(sheet[6:, 6:10], second[1])
    assert (sheet[4:6] == 1).all()


def test_a_figure_has_a_panel_a_moment_with_originals_above_reconstructions():
    figure = reconstruction_figure(ORIGINALS, {"early": 1 - ORIGINALS, "late": ORIGINALS}, row_names=ROWS)
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["early", "late"]
    shown = np.asarray(figure.axes[0].get_images()[0].get_array())
    np.testing.assert_array_equal(shown[:4, :4], ORIGINALS[0, 0])
    np.testing.assert_array_equal(shown[6:10, :4], 1 - ORIGINALS[0, 0])
    names = [text.get_text() for text in figure.axes[0].get_yticklabels()]
    assert names == ["learned", "reconstructed", "not", "reconstructed"]


def test_an_animation_has_a_picture_a_frame_and_marks_the_class_at_hand():
    frames = [("at birth", -1, 0 * ORIGINALS), ("first", 0, ORIGINALS), ("last", 2, 1 - ORIGINALS)]
    film = Image.open(io.BytesIO(reconstruction_animation(ORIGINALS, frames, row_names=ROWS)))
    assert getattr(film, "n_frames", 1) == 3
    stills = []
    for index in range(3):
        film.seek(index)
        stills.append(np.asarray(film.convert("RGB")).astype(int))
    assert (stills[1][24:40, :4] != stills[0][24:40, :4]).any()
    assert (stills[2][40:44, 28:34] != stills[0][40:44, 28:34]).any()


def test_data_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="at least one moment"):
        reconstruction_figure(ORIGINALS, {}, row_names=ROWS)
    with pytest.raises(ValueError, match="Expected 2 `row_names`"):
        reconstruction_figure(ORIGINALS, {"early": ORIGINALS}, row_names=("one",))
    with pytest.raises(ValueError, match="Expected `early` of shape"):
        reconstruction_figure(ORIGINALS, {"early": ORIGINALS[:2]}, row_names=ROWS)
    with pytest.raises(ValueError, match="at least one frame"):
        reconstruction_animation(ORIGINALS, [], row_names=ROWS)
    with pytest.raises(ValueError, match="square images"):
        reconstruction_animation(ORIGINALS[..., :3], [("", -1, ORIGINALS[..., :3])], row_names=ROWS)
