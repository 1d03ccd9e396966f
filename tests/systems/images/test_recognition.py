"""What one life is seen to recognise: what deployment scores, and every mistake by the class that it is taken for."""

import numpy as np
import pytest
import torch

from hyperlearning.reports.recognition import recognition_figure
from hyperlearning.systems.images.lives import hold_out
from hyperlearning.systems.images.methods import drawn
from hyperlearning.systems.images.pools import Split, load_pools
from hyperlearning.systems.images.recognition import recognition_line, recognition_picture
from hyperlearning.systems.images.settings import DataSettings, ImageSettings, LifeSettings, NetworkSettings
from hyperlearning.systems.packed_images import unpack_images

SETTINGS = ImageSettings(
    data=DataSettings(dataset="digits", side=12),
    network=NetworkSettings(maps=(4, 4), num_channels=3, phenotype_units=3, num_outputs=8),
    life=LifeSettings(num_tasks=3, num_instances=4, num_held_out=5, num_lives=2),
)
POOLS = load_pools(SETTINGS.data)


@pytest.mark.parametrize(("split", "names"), [("meta_eval", ["0", "1", "2"]), ("meta_test", ["A", "B", "C"])])
def test_what_is_recognised_is_what_deployment_scores(split: Split, names: list[str]):
    lives, born = hold_out(SETTINGS.life, POOLS, split, num_outputs=8, seed=0), drawn(SETTINGS)
    line = recognition_line(born, split, lives, steps_per_task=2)
    right = torch.tensor([[place == task for place in row] for task, row in enumerate(line.taken_for)])
    scored = born.live(lives, steps_per_task=2).generalization[0, -1]
    torch.testing.assert_close(right.float().mean(1), scored)
    assert line.names == names
    shown = torch.tensor(unpack_images(line.held_out)) / 255
    assert (shown - lives.held_out[0, :, :, 0]).abs().max() <= 1 / 30 + 0.5 / 255
    assert f"{int(right.sum())} of 15 are recognised" in recognition_picture(line, title="digits").caption


def test_a_figure_names_what_a_mistake_is_taken_for():
    images = torch.zeros(2, 3, 4, 4)
    figure = recognition_figure(images, images, [[0, 1, -1], [1, 1, 1]], names=["cat", "dog"])
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert [text for text in texts if text in ("cat", "dog", "?")] == ["cat", "dog", "?", "dog"]
    assert "1 of 3" in texts
    assert "3 of 3" in texts


def test_names_that_are_missing_are_refused():
    images = torch.zeros(2, 3, 4, 4)
    with pytest.raises(ValueError, match="Expected 2 `names`"):
        recognition_figure(images, images, [[0, 0, 0], [1, 1, 1]], names=["cat"])


def test_where_pixels_are_not_numbers_there_is_no_image():
    images = np.zeros((2, 3, 4, 4))
    images[0, 1:] = np.nan
    images[1] = np.nan
    figure = recognition_figure(np.zeros((2, 1, 4, 4)), images, [[0, 1, -1], [1, 1, 1]], names=["cat", "dog"])
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert "1 of 1" in texts
    assert "none held out" in texts
    assert len(figure.axes[0].images) == 2 + 1


@pytest.mark.parametrize("num_images", [1, 2, 9])
def test_heads_stand_side_by_side_and_within_the_picture_however_few_images_there_are(num_images: int):
    images = np.zeros((2, num_images, 4, 4))
    figure = recognition_figure(images, images, np.zeros((2, num_images)), names=["cat", "dog"])
    figure.canvas.draw()
    left, right = (text.get_window_extent() for text in figure.axes[0].texts[:2])
    assert left.x1 < right.x0
    assert right.x1 < figure.bbox.x1
