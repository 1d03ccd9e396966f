"""Episodes: what they hold, that they follow from their source, and what is refused."""

import re

import pytest
import torch

from hyperlearning.core.seeding import generator
from hyperlearning.streams.augmentation import MILD_AUGMENTATION
from hyperlearning.streams.episodes import (
    EpisodeShape,
    Picks,
    draw_picks,
    drawing,
    episodes_of,
    in_parts,
    labels_of,
)
from hyperlearning.streams.image_pool import ImagePool, with_rotated_classes

COUNTS = (4, 7, 5, 4)


def pool() -> ImagePool:
    """Every image of class k is grey 10 k + its place in the class."""
    greys = torch.tensor([10 * k + i for k, count in enumerate(COUNTS) for i in range(count)])
    counts = torch.tensor(COUNTS)
    return ImagePool(
        images=greys.to(torch.uint8)[:, None, None, None].expand(-1, 1, 16, 16).contiguous(),
        first=counts.cumsum(0) - counts,
        counts=counts,
        source=torch.zeros(4, dtype=torch.int64),
        source_names=("greys/all",),
    )


def picks(shape: EpisodeShape, num_episodes: int = 200, seed: int = 0) -> Picks:
    return draw_picks(pool(), shape, generator(seed, "episodes"), num_episodes=num_episodes)


def test_classes_of_an_episode_are_distinct_and_come_in_every_order():
    classes = picks(EpisodeShape(3, 1, 2)).classes
    assert all(len(set(row)) == 3 for row in classes.tolist())
    assert len({tuple(row) for row in classes.tolist()}) == 24


def test_images_of_an_episode_are_distinct_and_of_their_class():
    drawn = picks(EpisodeShape(3, 2, 2))
    both = torch.cat([drawn.support, drawn.query], -1)
    assert all(len(set(row)) == 12 for row in both.flatten(1).tolist())
    images = pool().images[:, 0, 0, 0]
    assert torch.equal(images[both].long() // 10, drawn.classes[..., None].expand_as(both))


def test_every_image_of_a_class_is_drawn_alike():
    drawn = picks(EpisodeShape(4, 1, 1), num_episodes=4000)
    of_second = drawn.support[drawn.classes == 1].flatten()
    shares = (of_second.bincount(minlength=11)[4:11] / len(of_second)).double()
    assert torch.allclose(shares, torch.full((7,), 1 / 7, dtype=torch.float64), atol=0.025)


def test_the_same_seed_gives_the_same_episodes_and_another_one_others():
    shape = EpisodeShape(3, 1, 2)
    first, again, other = (picks(shape, seed=seed) for seed in (0, 0, 1))
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first.query, other.query)


def test_images_are_floats_at_their_places_and_labels_are_ways():
    drawn = picks(EpisodeShape(3, 2, 1), num_episodes=5)
    episodes = episodes_of(pool(), drawn)
    assert episodes.support.shape == (5, 3, 2, 1, 16, 16)
    assert episodes.query.shape == (5, 3, 1, 1, 16, 16)
    assert torch.equal(episodes.query[..., 0, 0, 0] * 255, pool().images[drawn.query][..., 0, 0, 0].float())
    assert torch.equal(labels_of(episodes), torch.tensor([0, 1, 2]).expand(5, -1))


def test_parts_are_the_whole():
    drawn = picks(EpisodeShape(3, 1, 2), num_episodes=10)
    parts = list(in_parts(pool(), drawn, most_images=30))
    assert [len(part.support) for part in parts] == [3, 3, 3, 1]
    assert torch.equal(torch.cat([part.query for part in parts]), episodes_of(pool(), drawn).query)


def test_rotated_classes_are_further_classes():
    turned = with_rotated_classes(pool())
    drawn = draw_picks(turned, EpisodeShape(16, 1, 1), generator(0, "turned"), num_episodes=1)
    assert sorted(drawn.classes[0].tolist()) == list(range(16))


def test_augmented_episodes_follow_from_the_source():
    draw = drawing(pool(), EpisodeShape(3, 1, 2), num_episodes=2, augmentation=MILD_AUGMENTATION)
    first, again = (draw(generator(3, "steps")) for _ in range(2))
    assert torch.equal(first.query, again.query)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        (EpisodeShape(5, 1, 1), "Expected 5 or more classes in greys/all, but got 4: have fewer ways."),
        (EpisodeShape(2, 2, 3), "2 shots and 3 queries, but class 0 has 4: have fewer shots or queries."),
        (EpisodeShape(1, 1, 1), "Expected two ways or more, and shots and queries of each, but got 1 ways"),
        (EpisodeShape(2, 0, 1), "but got 2 ways, 0 shots and 1 queries."),
    ],
)
def test_a_pool_that_is_too_small_is_refused_with_what_to_do(shape: EpisodeShape, message: str):
    with pytest.raises(ValueError, match=re.escape(message)):
        drawing(pool(), shape, num_episodes=1)
