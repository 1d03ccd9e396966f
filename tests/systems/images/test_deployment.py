"""A classifier's life on images of one's own: it learns as the run's own lives did; what is no image or label is refused."""

import math
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image

import hyperlearning as hl
from hyperlearning.core.errors import FileError
from hyperlearning.core.losses import cross_entropy
from hyperlearning.core.params import partition
from hyperlearning.core.tensor_files import load_tensors, save_tensors
from hyperlearning.data.images import load
from hyperlearning.evaluation.accuracy import recognised
from hyperlearning.systems.class_life import ClassifierLife
from hyperlearning.systems.images import lives as of_lives
from hyperlearning.systems.images.lives import hold_out, looked_at, some_lives
from hyperlearning.systems.images.methods import newborn
from hyperlearning.systems.images.pools import load_pools
from hyperlearning.systems.images.settings import (
    DataSettings,
    ImageSettings,
    LifeSettings,
    NetworkSettings,
    TrainingSettings,
)
from hyperlearning.systems.images.trained import TrainedClassifier

ROOT = Path(__file__).parents[3]
SETTINGS = ImageSettings(
    data=DataSettings(dataset="digits", side=8),
    network=NetworkSettings(maps=(8, 8), num_channels=3, num_outputs=6, zero_start=False),
    life=LifeSettings(num_tasks=4, num_instances=5, steps_per_task=3, num_held_out=6, num_lives=2),
)


def trained(settings: ImageSettings = SETTINGS) -> TrainedClassifier:
    network = settings.network.build(settings.data, settings.seed)
    return TrainedClassifier(settings, *partition(network, network.is_innate))


def images(num_images: int = 5, seed: int = 0) -> torch.Tensor:
    return torch.rand(num_images, 1, 8, 8, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def life() -> ClassifierLife:
    return trained().deployment()


def untouched(life: ClassifierLife) -> bool:
    at_birth = trained().deployment().plastic
    same = all(torch.equal(life.plastic[name], tensor) for name, tensor in at_birth.items())
    return same and life.num_updates == 0 and life.classes == ()


@pytest.mark.parametrize("inner_optimizer", ["sgd", "adam"])
@pytest.mark.parametrize("temperature", [1.0, 100.0])
def test_learning_a_class_is_what_the_runs_own_lives_did(inner_optimizer: Any, temperature: float):
    rate = {"sgd": 0.3, "adam": 0.01}[inner_optimizer]
    training = TrainingSettings(inner_optimizer=inner_optimizer, inner_lr=rate, temperature=temperature)
    settings = replace(SETTINGS, training=training)
    classifier = trained(settings)
    born = newborn(settings, classifier.start, classifier.innate)
    lives = hold_out(settings.life, load_pools(settings.data), "meta_eval", num_outputs=6, seed=3)
    lived = born.live(lives, steps_per_task=settings.life.steps_per_task)
    for number in range(2):
        its = some_lives(lives, slice(number, number + 1))
        life, shown = classifier.deployment(), of_lives.tested_images(its)[0]
        looks = list(looked_at(born.learner, born.start, born.innate, its, steps_per_task=3))
        for task, logits in enumerate(looks):
            if task:
                life.learn(its.inputs[task - 1, 0], its.targets[task - 1, 0])
            predicted = life.predict(shown)
            scale = float(logits.abs().max()) + 1
            assert (predicted - logits[0]).abs().max() <= 1e-4 * scale
        at_end = recognised(life.predict(shown)[None], its.labels)[0]
        assert at_end[:, :5].mean() == pytest.approx(float(lived.memory[number, -1].mean()))
        assert life.num_updates == 4 * 3


def test_a_loss_is_a_cross_entropy_in_nats_whatever_the_temperature_that_is_learned_at(life: ClassifierLife):
    batch, labels = images(), torch.tensor([2] * 5)
    expected = float(cross_entropy(life.predict(batch)[None], labels[None]))
    assert life.observe(batch, labels) == pytest.approx(expected, rel=1e-5)
    expected = float(cross_entropy(life.predict(batch)[None], labels[None]))
    assert life.learn(batch, labels) == pytest.approx(expected, rel=1e-5)


def test_where_nothing_is_known_the_loss_is_that_of_a_guess():
    zero = replace(SETTINGS, network=replace(SETTINGS.network, zero_start=True))
    assert trained(zero).deployment().observe(images(), 4) == pytest.approx(math.log(6), rel=1e-5)


def test_learning_makes_the_runs_updates_on_one_batch_and_observing_makes_one():
    learned, observed = trained().deployment(), trained().deployment()
    learned.learn(images(), 1)
    for _ in range(3):
        observed.observe(images(), 1)
    assert learned.num_updates == observed.num_updates == learned.steps_per_task == 3
    for name, tensor in learned.plastic.items():
        assert torch.equal(tensor, observed.plastic[name])


@pytest.mark.parametrize(
    "labels",
    [
        3,
        np.int8(3),
        np.array(3),
        torch.tensor(3),
        [3] * 5,
        (3,) * 5,
        [np.int64(3), 3, torch.tensor(3), np.array(3), np.uint8(3)],
        *[
            np.full(5, 3, kind)
            for kind in ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", ">i4")
        ],
        pd.Series([3] * 5, index=range(7, 12)),
        pd.Series([3] * 5, dtype="Int64"),
        pd.Index([3] * 5),
        *[torch.full((5,), 3, dtype=kind) for kind in (torch.int8, torch.int16, torch.int32, torch.int64, torch.uint8)],
    ],
    ids=repr,
)
def test_whole_numbers_of_any_width_are_labels(life: ClassifierLife, labels: Any):
    reference = trained().deployment()
    assert life.observe(images(), labels) == reference.observe(images(), torch.full((5,), 3))
    assert life.classes == (3,)


@pytest.mark.parametrize(
    "labels",
    [
        -100, -1, 6, 2**63, -(2**63), [0, 1, 2, 3, 6], np.full(5, -100), torch.full((5,), -100),
        torch.tensor([0, 0, 0, 0, -1]), np.full(5, 2**64 - 1, np.uint64),
    ],
)  # fmt: skip
def test_a_label_out_of_range_is_refused_with_the_range(life: ClassifierLife, labels: Any):
    for update in (life.observe, life.learn):
        with pytest.raises(ValueError, match="Expected labels from 0 to 5, or names of classes, but got"):
            update(images(), labels)
    assert untouched(life)


@pytest.mark.parametrize(
    "labels",
    [
        True, 1.0, None, 1 + 0j, b"cat", "", "  ", np.float32(1), np.bool_(True), {1}, {"a": 1}, torch.tensor(1.0),
        [True] * 5, [1.0] * 5, [None] * 5, [b"a"] * 5, [1, 2, 3, 4, True], [1, 2, 3, 4, 5.0],
        torch.ones(5), torch.ones(5, dtype=torch.bool), np.ones(5), np.ones(5, bool), np.array([b"a"] * 5),
        torch.full((5,), torch.nan), [[1]] * 5, np.array([None] * 5), pd.Series([1.0] * 5), pd.Series([True] * 5),
        pd.Series([pd.NA] * 5, dtype="Int64"), np.ma.masked_array([1] * 5, [True] * 5),
    ],
    ids=repr,
)  # fmt: skip
def test_what_is_neither_a_whole_number_nor_a_name_is_refused(life: ClassifierLife, labels: Any):
    with pytest.raises(ValueError, match="Expected labels that are whole numbers or names of classes, but got"):
        life.observe(images(), labels)
    assert untouched(life)


@pytest.mark.parametrize("labels", [[], [1], [1] * 4, ["a"] * 6, torch.zeros(0, dtype=torch.int64), np.array(["a"])])
def test_as_many_labels_as_images_are_needed(life: ClassifierLife, labels: Any):
    with pytest.raises(ValueError, match="Expected one label for all or 5, one an image, but got"):
        life.observe(images(), labels)
    assert untouched(life)


@pytest.mark.parametrize("labels", [torch.eye(5, 6), np.ones((5, 1), int), torch.ones(1, 5, dtype=torch.int64)])
def test_labels_of_two_axes_are_refused_with_their_shape(life: ClassifierLife, labels: Any):
    with pytest.raises(ValueError, match=r"Expected one label an image, but got labels of shape \(\d, \d\)"):
        life.observe(images(), labels)
    assert untouched(life)


def test_numbers_and_names_in_one_batch_are_refused(life: ClassifierLife):
    with pytest.raises(ValueError, match="all numbers or all names"):
        life.observe(images(2), [1, "cat"])
    assert untouched(life)


@pytest.mark.parametrize("labels", ["cat", ["cat"] * 5, ("cat",) * 5, np.array(["cat"] * 5), np.str_("cat"),
                                    np.array(["cat"] * 5, object), pd.Series(["cat"] * 5, dtype="category")])  # fmt: skip
def test_a_name_takes_a_free_output_and_is_given_back(life: ClassifierLife, labels: Any):
    for _ in range(10):
        life.learn(images(seed=1), labels)
    assert life.classes == ("cat",)
    assert life.output_of("cat") == 0
    assert life.classify(images(seed=1)) == ["cat"] * 5


def test_names_in_a_batch_have_an_output_each_and_keep_it(life: ClassifierLife):
    life.observe(images(4), ["b", "a", "b", "c"])
    life.observe(images(2), ["c", "d"])
    assert life.classes == ("b", "a", "c", "d")
    assert [life.output_of(name) for name in "bacd"] == [0, 1, 2, 3]


def test_a_name_does_not_take_an_output_that_a_number_has(life: ClassifierLife):
    life.observe(images(2), [0, 2])
    life.observe(images(2), ["cat", "dog"])
    assert life.classes == (0, 2, "cat", "dog")
    assert (life.output_of("cat"), life.output_of("dog")) == (1, 3)


def test_a_class_with_a_name_is_not_met_by_its_number(life: ClassifierLife):
    life.observe(images(), "cat")
    with pytest.raises(ValueError, match="Expected class 'cat' by its name"):
        life.observe(images(), 0)


def test_a_name_too_many_is_refused_with_the_number_of_outputs(life: ClassifierLife):
    for name in "abcdef":
        life.observe(images(), name)
    with pytest.raises(
        ValueError, match=r"Expected at most 6 classes, one for each output .*'g' is one more.*--num-outputs"
    ):
        life.observe(images(), "g")
    with pytest.raises(ValueError, match="at most 6 classes"):
        trained().deployment().observe(images(7), list("abcdefg"))
    assert life.num_updates == 6
    assert life.classes == tuple("abcdef")
    life.observe(images(), "c")


def test_one_name_written_in_two_ways_is_one_class(life: ClassifierLife):
    life.observe(images(), "caf\u00e9")
    life.observe(images(), "cafe\u0301")
    assert life.classes == ("caf\u00e9",)


def test_a_batch_that_is_refused_gives_its_class_no_output(life: ClassifierLife):
    with pytest.raises(ValueError, match="finite images"):
        life.learn(images() * torch.nan, "cat")
    assert untouched(life)


def test_what_it_sees_is_among_the_classes_met(life: ClassifierLife):
    with pytest.raises(ValueError, match="it has met none"):
        life.classify(images())
    life.observe(images(), 4)
    life.observe(images(), "cat")
    assert set(life.classify(images(50))) <= {4, "cat"}


@pytest.mark.parametrize("call", ["observe", "learn", "predict", "classify"])
@pytest.mark.parametrize(
    ("batch", "message"),
    [
        (np.full((2, 8, 8), np.nan), "Expected finite images, but got a NaN"),
        (torch.full((2, 1, 8, 8), torch.inf), "Expected finite images"),
        (torch.zeros(0, 1, 8, 8), "Expected one image or more, but got none"),
        ([], "Expected one image or more, but got none"),
        (255.0 * images(), "from 0 .ground. to 1 .ink., but got .* to 25.*Divide them by 255"),
        (-images(), "from 0 .ground. to 1 .ink."),
        (images().long(), "Expected images of uint8 from 0 to 255 or floats from 0 to 1, but got int64"),
        (torch.zeros(2, 1, 9, 9), r"Expected images of shape .*but got \(2, 1, 9, 9\)"),
        (torch.zeros(2, 3, 8, 8), r"but got \(2, 3, 8, 8\).*grey"),
    ],
)  # fmt: skip
def test_what_is_no_image_is_refused_and_nothing_has_changed(life: ClassifierLife, call: str, batch: Any, message: str):
    labelled = {"observe": lambda: life.observe(batch, 1), "learn": lambda: life.learn(batch, 1)}
    if call == "classify":
        life._classes = life._classes.understand(1, num_images=1)[1]
    act = labelled.get(call, lambda: getattr(life, call)(batch))
    with pytest.raises(ValueError, match=message):
        act()
    assert life.num_updates == 0


@pytest.mark.parametrize("kind", [np.uint8, np.float16, np.float32, np.float64, bool])
def test_images_of_any_type_mean_the_same(life: ClassifierLife, kind: Any):
    drawn = (images() > 0.5).numpy()
    batch = drawn.astype(kind) * np.array(255 if kind is np.uint8 else 1, kind)
    reference = trained().deployment()
    expected = reference.predict(torch.from_numpy(drawn).float())
    for form in (
        batch,
        torch.from_numpy(batch),
        batch[:, 0],
        np.moveaxis(batch, 1, 3),
        list(batch),
        batch[:, :, ::-1][:, :, ::-1],
    ):
        assert torch.equal(life.predict(form), expected)
    reference.observe(torch.from_numpy(drawn).float(), 2)
    life.observe(batch, 2)
    assert torch.equal(life.predict(batch), reference.predict(torch.from_numpy(drawn).float()))


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_it_learns_where_no_gradient_is_kept(life: ClassifierLife, mode: Any):
    reference = trained().deployment()
    reference.learn(images(), "cat")
    with mode():
        life.learn(images(), "cat")
        assert life.classify(images()) == reference.classify(images())
    for name, tensor in reference.plastic.items():
        assert torch.equal(tensor, life.plastic[name])


def test_images_on_a_light_ground_are_warned_of_before_anything_is_learned(life: ClassifierLife):
    drawn = torch.zeros(2, 1, 8, 8)
    drawn[..., 2:6, 3:5] = 1
    with pytest.warns(UserWarning, match="light ground.*`1 - images`"):
        life.observe(1 - drawn, "a")
    life.observe(drawn, "a")
    assert life.classes == ("a",)


def test_a_saved_life_goes_on_as_if_it_had_not_stopped_and_knows_its_classes(tmp_path: Path):
    settings = replace(SETTINGS, training=TrainingSettings(inner_optimizer="adam", inner_lr=0.01))
    life, again = trained(settings).deployment(), trained(settings).deployment()
    life.learn(images(seed=1), "cat")
    life.learn(images(seed=2), 3)
    life.save(tmp_path / "life.safetensors")
    again.load(tmp_path / "life.safetensors")
    assert again.classes == ("cat", 3)
    for each in (life, again):
        each.learn(images(seed=3), "日本")
    assert again.classes == life.classes == ("cat", 3, "日本")
    assert again.num_updates == life.num_updates
    assert torch.equal(again.predict(images()), life.predict(images()))
    assert again.classify(images(20)) == life.classify(images(20))


def test_a_life_that_learns_otherwise_does_not_go_on(life: ClassifierLife, tmp_path: Path):
    life.learn(images(), "cat")
    life.save(tmp_path / "life.safetensors")
    other = trained(replace(SETTINGS, life=replace(SETTINGS.life, steps_per_task=4))).deployment()
    with pytest.raises(ValueError, match=r"learns as this one .`steps_per_task` 4., but .* is of `steps_per_task` 3"):
        other.load(tmp_path / "life.safetensors")
    assert untouched(other)


def test_a_life_of_another_network_or_a_damaged_file_does_not_go_on(life: ClassifierLife, tmp_path: Path):
    life.learn(images(), "cat")
    life.save(path := tmp_path / "life.safetensors")
    other = trained(replace(SETTINGS, network=replace(SETTINGS.network, num_outputs=7))).deployment()
    with pytest.raises(ValueError, match="Expected a deployment of the same network"):
        other.load(path)
    assert other.classes == ()
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(FileError):
        trained().deployment().load(path)
    with pytest.raises(FileError):
        trained().deployment().load(tmp_path / "nowhere")


def test_a_file_of_an_earlier_version_goes_on_with_any_output(life: ClassifierLife, tmp_path: Path):
    life.learn(images(), 5)
    life.save(path := tmp_path / "life.safetensors")
    old = load_tensors(path)
    save_tensors(path, old.tensors, {"num_updates": old.facts["num_updates"]})
    again = trained().deployment()
    again.load(path)
    assert again.classes == (0, 1, 2, 3, 4, 5)
    assert again.classify(images()) == again.predict(images()).argmax(1).tolist()


def test_it_cannot_be_pickled_and_says_how_it_is_kept(life: ClassifierLife):
    with pytest.raises(TypeError, match="`save` and `load`"):
        pickle.dumps(life)


def test_what_the_network_has_is_passed_through(life: ClassifierLife):
    network = SETTINGS.network.build(SETTINGS.data, 0)
    assert set(life.innate) == {name for name, _ in network.named_parameters() if network.is_innate(name)}
    assert life.num_stored == sum(tensor.numel() for tensor in life.plastic.values())
    assert (life.side, life.num_outputs, life.steps_per_task) == (8, 6, 3)
    before = life.innate
    life.learn(images(), 2)
    for name, tensor in life.innate.items():
        assert torch.equal(tensor, before[name])


def test_images_and_labels_stay_as_they_are(life: ClassifierLife):
    batch, labels = images().numpy(), np.full(5, 2, np.int32)
    copies = batch.copy(), labels.copy()
    life.learn(batch, labels)
    np.testing.assert_array_equal(batch, copies[0])
    np.testing.assert_array_equal(labels, copies[1])


def test_a_life_without_updates_is_refused():
    classifier = trained()
    with pytest.raises(ValueError, match="`steps_per_task` to be positive"):
        ClassifierLife(classifier.deployment()._life, num_outputs=6, side=8, steps_per_task=0, learns={})


def answer_or_refusal(life: ClassifierLife, batch: Any, labels: Any) -> float | ValueError:
    try:
        return life.observe(batch, labels)
    except ValueError as error:
        return error


_SHAPES = st.sampled_from([(2, 8, 8), (2, 1, 8, 8), (2, 8, 8, 1), (8, 8), (0, 8, 8), (2, 3, 8, 8), (3,), (2, 7, 8), ()])
_TYPES = st.sampled_from(
    [np.uint8, np.int64, np.float16, np.float32, np.float64, np.bool_, np.complex64, "U1", "M8[s]"]
)
_LABELS = st.one_of(
    st.integers(-200, 200), st.text(max_size=3), st.booleans(), st.floats(), st.none(),
    st.lists(st.one_of(st.integers(-1, 6), st.text(max_size=2), st.floats()), max_size=3),
)  # fmt: skip


def test_a_trained_run_learns_digits_drawn_on_paper_from_a_folder_of_pictures(tmp_path: Path):
    digits = load("digits", "test")
    for name in range(10):
        (tmp_path / f"digit {name}").mkdir()
        for i, image in enumerate(digits.images[digits.labels == name][:20, 0]):
            Image.fromarray(255 - image.numpy()).resize((90, 90)).save(
                tmp_path / f"digit {name}" / f"{i}.jpg", quality=95
            )
    life = hl.load(ROOT / "results" / "class-incremental" / "best-seed0").deployment()
    pictures = hl.read_image_folder(tmp_path, side=life.side)
    assert "ground is light" in " ".join(pictures.said)
    for name in pictures.class_names:
        life.learn(pictures.of(name)[:5], name)
    memory, others = (
        np.mean([answer == name for name in life.classes for answer in life.classify(pictures.of(name)[part])])
        for part in (slice(5), slice(5, None))
    )
    assert life.num_updates == 10 * life.steps_per_task
    assert memory >= 0.9
    assert others >= 0.7


@pytest.mark.filterwarnings("default:Expected ink of 1:UserWarning", "ignore::RuntimeWarning")
@examples(max_examples=150)
@given(st.data(), _LABELS)
def test_whatever_is_fed_is_learned_or_refused_by_name_and_then_nothing_has_changed(data: st.DataObject, labels: Any):
    batch = data.draw(arrays.arrays(data.draw(_TYPES), data.draw(_SHAPES)))
    life = trained().deployment()
    answer = answer_or_refusal(life, batch, labels)
    if isinstance(answer, ValueError):
        assert str(answer).startswith("Expected ")
        assert untouched(life)
    else:
        assert math.isfinite(answer)
        assert life.num_updates == 1
        assert set(life.classify(batch)) <= set(life.classes) != set()


@given(st.lists(st.text(min_size=1).filter(str.strip), max_size=6))
def test_every_name_is_given_back_by_the_output_that_it_took(names: list[str]):
    classes = trained_classes()
    for name in names:
        (output,), classes = classes.understand([name], num_images=1)
        assert classes.understand(name, num_images=1)[0].item() == output
    restored = trained_classes().restored({"classes": classes.facts()})
    assert restored == classes
    assert len(set(classes.names.values())) == len(classes.outputs)


def trained_classes() -> Any:
    return trained().deployment()._classes
