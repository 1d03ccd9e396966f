"""A life of a last layer on a fixed embedding."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from hyperlearning.core.losses import cross_entropy
from hyperlearning.core.seeding import generator
from hyperlearning.data.image_folders import UserImages
from hyperlearning.data.images import load
from hyperlearning.learners.last_layer import draw_last_layers, learn_one_by_one
from hyperlearning.streams.image_pool import image_pool
from hyperlearning.systems.class_life import ClassifierLife
from hyperlearning.systems.folder import learn_folder
from hyperlearning.systems.trajectories.build import Embedding
from hyperlearning.systems.trajectories.characters import CharacterSettings
from hyperlearning.systems.trajectories.settings import ContinualSettings, LongTestSettings
from hyperlearning.systems.trajectories.trained import TrainedEmbedding, continual_network, layer_life


def _embed(images: torch.Tensor):
    return images.flatten(1)[:, 300:340].float() / 255


def _images(num: int):
    return torch.randint(0, 256, (num, 1, 28, 28), generator=torch.Generator().manual_seed(0)).byte()


def _trained(rates: dict[int, float]):
    return TrainedEmbedding(
        embedding=Embedding("a", "A", "none", _embed),
        data=CharacterSettings(),
        test=LongTestSettings(),
        rates=rates,
        untrained=continual_network(ContinualSettings(architecture="oml", width=1 / 32), CharacterSettings()),
    )


def _life():
    return layer_life(_embed, side=28, inner_lr=0.01, num_outputs=7, seed=3)


def test_a_life_learns_what_a_layer_of_a_meta_test_learns():
    life, images, labels = _life(), _images(12), torch.arange(12) % 7
    losses = [life.observe(image[None], label[None]) for image, label in zip(images, labels, strict=True)]
    drawn = draw_last_layers(1, 40, 7, generator(3, "layer of a life"))
    first = cross_entropy((_embed(images[:1]) @ drawn.weight[0])[None], labels[None, :1])
    layers = learn_one_by_one(
        drawn, _embed(images), torch.arange(12)[None], labels[None], lrs=torch.tensor([0.01], dtype=torch.float64)
    )
    expected = _embed(images) @ layers.weight[0] + layers.bias[0]
    torch.testing.assert_close(life.predict(images), expected, rtol=1e-4, atol=1e-4)
    assert losses[0] == pytest.approx(first.item(), rel=1e-5)
    assert life.num_updates == 12


def test_a_saved_life_goes_on_where_it_stood(tmp_path: Path):
    life, other, images = _life(), _life(), _images(3)
    life.observe(images[:1], torch.tensor([2]))
    life.save(tmp_path / "life.safetensors")
    other.load(tmp_path / "life.safetensors")
    assert other.num_updates == 1
    torch.testing.assert_close(other.predict(images), life.predict(images), rtol=0, atol=0)


@pytest.mark.parametrize(
    ("num_classes", "rates", "lr"),
    [(None, {10: 0.3, 50: 0.1}, 0.1), (8, {10: 0.3, 50: 0.1}, 0.3), (90, {10: 0.3, 50: 0.1}, 0.1), (5, {}, 0.001)],
)
def test_the_rate_is_what_the_run_chose_for_as_many_classes(
    num_classes: int | None, rates: dict[int, float], lr: float
):
    trained = _trained(rates)
    chosen, given = (trained.deployment(num_classes=num_classes, inner_lr=rate) for rate in (None, lr))
    for life in (chosen, given):
        life.observe(_images(1), torch.tensor([0]))
    torch.testing.assert_close(chosen.predict(_images(1)), given.predict(_images(1)), rtol=0, atol=0)


def test_learning_a_class_takes_one_image_after_another():
    learned, observed, images = _life(), _life(), _images(4)
    learned.learn(images, "cat")
    for image in images:
        observed.observe(image[None], "cat")
    assert learned.num_updates == 4
    assert torch.equal(learned.predict(images), observed.predict(images))


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64, np.uint8])
def test_images_of_any_type_mean_the_same(kind: Any):
    images = (_images(5) > 127).numpy()
    batch = images.astype(kind) * np.array(255 if kind is np.uint8 else 1, kind)
    expected = _embed(torch.from_numpy(images) * torch.tensor(255, dtype=torch.uint8))
    life, reference = _life(), _life()
    life.learn(batch, [1] * 5)
    reference.learn(torch.from_numpy(images).float(), np.full(5, 1, np.uint16))
    assert torch.equal(life.predict(list(batch)), reference.predict(batch[:, 0]))
    assert torch.equal(life._inputs(torch.from_numpy(images).float()), expected)


def test_what_the_embedding_makes_of_bytes_is_what_it_makes_of_floats_from_0_to_1():
    shades = torch.arange(256, dtype=torch.uint8).repeat(4)[: 28 * 28].view(1, 1, 28, 28)
    torch.testing.assert_close(_trained({}).features(shades.float() / 255), _embed(shades), rtol=1e-6, atol=0)


def test_names_of_classes_are_kept_with_a_saved_life_and_given_back(tmp_path: Path):
    life, again, images = _life(), _life(), _images(6)
    for _ in range(60):
        life.observe(images, ["a", "b", "a", "b", "\u65e5", "b"])
    life.save(tmp_path / "life.safetensors")
    again.load(tmp_path / "life.safetensors")
    assert again.classes == ("a", "b", "\u65e5")
    assert again.classify(images) == life.classify(images) == ["a", "b", "a", "b", "\u65e5", "b"]
    with pytest.raises(ValueError, match=r"learns as this one .`inner_lr` 0.02.*but .* is of `inner_lr` 0.01"):
        layer_life(_embed, side=28, inner_lr=0.02, num_outputs=7).load(tmp_path / "life.safetensors")


def test_names_take_free_outputs_up_to_the_last():
    life = _life()
    life.observe(_images(2), [0, 2])
    life.observe(_images(5), list("abcde"))
    assert [life.output_of(name) for name in "abcde"] == [1, 3, 4, 5, 6]
    with pytest.raises(ValueError, match="at most 7 classes"):
        life.observe(_images(1), "f")


_BATCHES = st.sampled_from(
    [(2, 28, 28), (1, 1, 28, 28), (28, 28), (0, 28, 28), (2, 3, 28, 28), (2, 27, 28), ()]
).flatmap(
    lambda shape: st.sampled_from([np.uint8, np.int64, np.float16, np.float64, np.bool_, np.complex64]).flatmap(
        lambda kind: arrays.arrays(kind, shape)
    )
)
_LABELS = st.one_of(
    st.integers(-9, 9), st.text(max_size=3), st.booleans(), st.floats(), st.none(),
    st.lists(st.one_of(st.integers(-1, 8), st.text(max_size=2), st.floats()), max_size=3),
    arrays.arrays(st.sampled_from([np.int8, np.uint16, ">i4", np.float32]), st.integers(0, 2)),
)  # fmt: skip


@pytest.mark.filterwarnings("default:Expected ink of 1:UserWarning", "ignore::RuntimeWarning")
@examples(max_examples=40, deadline=None)
@given(_BATCHES, _LABELS, st.sampled_from(["learn", "observe"]))
def test_whatever_is_fed_is_learned_or_refused_by_name_and_then_nothing_has_changed(batch: Any, labels: Any, how: str):
    life = _life()
    answer = _answer_or_refusal(life, how, batch, labels)
    if isinstance(answer, ValueError):
        assert str(answer).startswith("Expected ")
        assert (life.num_updates, life.classes) == (0, ())
    else:
        assert np.isfinite(answer)
        assert set(life.classify(batch)) <= set(life.classes) != set()


def _answer_or_refusal(life: ClassifierLife, how: str, batch: Any, labels: Any) -> float | ValueError:
    try:
        return getattr(life, how)(batch, labels)
    except ValueError as error:
        return error


def test_a_folder_is_lived_as_the_deployment_lives():
    pool = image_pool([load("digits", "test")], side=28, channels=1)
    images = torch.cat([pool.images[int(pool.first[k]) : int(pool.first[k]) + 4] for k in range(3)]).float() / 255
    pictures = UserImages(
        images=images,
        labels=torch.arange(3).repeat_interleave(4),
        class_names=("a", "b", "c"),
        file_names=tuple(f"{i}.png" for i in range(12)),
        unread=(),
        said=(),
    )
    trained = _trained({3: 0.01})
    learned = learn_folder(trained, pictures)
    life = trained.deployment(num_classes=3)
    for label, batch in enumerate(learned.stream.batches):
        life.learn(images[batch], label)
    assert learned.own == "last_layer"
    assert learned["last_layer"].chosen.tolist() == life.classify(images)
    assert learned["last_layer"].num_stored == life.num_stored
    assert {"means", "streaming_discriminant", "projected_ridge", "bayes", "plain", "plain_replay", "plain_joint"} < {
        life.name for life in learned.lives
    }
