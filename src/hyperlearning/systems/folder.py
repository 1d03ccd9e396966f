"""A folder of a user's own images, its classes lived one after another: what every life meets, and how each fares.

Shape suffixes: N images, K classes, F features.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from hyperlearning.core.expect import Seed, check_ranges
from hyperlearning.core.seeding import generator
from hyperlearning.data.image_folders import UserImages
from hyperlearning.engine.devices import computing_on
from hyperlearning.systems.folder_lives import FolderLife, FolderRun, Learner, Sees, folder_lives
from hyperlearning.systems.innate import Innate

_AT_A_TIME = 128
"""Images whose features are computed together."""

_MOST_LOOKS = 20
"""Classes after which lives are asked at most: with many classes, evenly among them."""

_NAMED = 5
"""Classes named in a sentence; the others are counted."""


@dataclass(frozen=True, kw_only=True)
class FolderSettings:
    """How a folder is lived."""

    num_learned: int | Literal["all"] | None = None
    """Images of a class that are learned, at most half of it; the others are held out. `all`: nothing is held out. Absent: as
    many as the run's own lives have."""
    seed: Seed = 0
    """What images are learned, first weights and what is replayed follow from."""

    def __post_init__(self) -> None:
        check_ranges(self)
        if isinstance(self.num_learned, int) and self.num_learned < 1:
            raise ValueError(f"Expected `num_learned` to be positive, or `all`, but got {self.num_learned}.")


class FolderStream(NamedTuple):
    """What every life meets.

    Attributes:
        images: (N, C, S, S), in the folder's order.
        labels: (N,), classes in the order in which they are met.
        batches: Of each class, which images are learned, in their order: one batch, met once.
        is_learned: (N,), whether an image is among them.
    """

    images: Float[Tensor, "N C S S"]
    labels: Int64[Tensor, " N"]
    batches: tuple[Int64[Tensor, " learned"], ...]
    is_learned: Bool[Tensor, " N"]


@dataclass(frozen=True, kw_only=True)
class LivedFolder:
    """How one life fared. Shares are of 1.

    Attributes:
        name: The life's key.
        title: What a table calls it.
        note: What it is.
        along: Of held-out images of the classes met so far, the share recognised among these classes: asked after every class but
            the first, or after twenty, every time counting alike. Absent for lives that meet all classes mixed, or if nothing is
            held out.
        chosen: (N,), the class that it takes each image for at the end.
        learned: (K,), of each class's images learned, the share recognised at the end.
        held_out: (K,), likewise of the others; NaN where there are none.
        all_learned: Of all images learned.
        all_held_out: Of all held out; absent if there are none.
        num_stored: Numbers that it keeps.
        joint: Whether it meets all classes mixed.
        pixel_error: Mean squared error of held-out images' pixels at the end, if it reconstructs them and there are any.
    """

    name: str
    title: str
    note: str
    along: float | None
    chosen: Int64[Tensor, " N"] = field(repr=False)
    learned: Float[Tensor, " K"] = field(repr=False)
    held_out: Float[Tensor, " K"] = field(repr=False)
    all_learned: float
    all_held_out: float | None
    num_stored: int
    joint: bool
    pixel_error: float | None = None


@dataclass(frozen=True, kw_only=True)
class LearnedFolder:
    """A folder, lived by several.

    Attributes:
        stream: What they met.
        lives: Best first, by `along`, or by images learned if nothing is held out; of equal ones, first what keeps least. Lives
            that meet all classes mixed come last.
        own: Name of the life that the run was trained for.
        said: What a reader should know of how it was done.
    """

    stream: FolderStream = field(repr=False)
    lives: tuple[LivedFolder, ...]
    own: str
    said: tuple[str, ...]

    @property
    def best(self) -> LivedFolder:
        """The life that served these images best."""
        return self.lives[0]

    def __getitem__(self, name: str) -> LivedFolder:
        """A life by its name."""
        return next(life for life in self.lives if life.name == name)


def learn_folder(
    run: FolderRun,
    pictures: UserImages,
    *,
    innate: Innate | None = None,
    settings: FolderSettings | None = None,
) -> LearnedFolder:
    """Lives a folder class after class: the run's own life and all that it must stand beside.

    Args:
        run: What a finished run has trained.
        pictures: The images, brought to the run's side.
        innate: What the run's meta-train classes say of its features; without it, a life less.
        settings: How it is lived.

    Raises:
        ValueError: If there are fewer than two classes, or more than the run's own life can tell apart.
    """
    settings = settings or FolderSettings()
    _check_classes(run, pictures)
    stream = folder_stream(pictures, settings, num_instances=run.num_learned)
    # Operations on a few images are too small to be shared out: beside other programs, threads that wait for one another are a
    # hundred times slower than one.
    with computing_on(torch.get_default_device(), threads=1):
        features = _features(run, stream.images)
        lives = folder_lives(
            run,
            innate,
            num_classes=len(stream.batches),
            num_features=features.shape[1],
            square=float(
                features[stream.batches[0]].square().sum(1).mean()
            ),  # Of the class met first: no life knows more then.
            seed=settings.seed,
        )
        lived = [_lived(life, stream, _seen(life.sees, stream.images, features)) for life in lives]
    own = lives[0].name
    lived.sort(key=lambda life: (life.joint, -_score(life), -(life.all_held_out or 0), life.num_stored))
    said = (*_said(stream, pictures), *_said_of_innate(innate))
    return LearnedFolder(stream=stream, lives=tuple(lived), own=own, said=said)


def folder_stream(pictures: UserImages, settings: FolderSettings, *, num_instances: int) -> FolderStream:
    """Chooses at random which images of each class are learned: at least one, and no more than half unless all are asked for.

    Args:
        pictures: The images.
        settings: How they are lived.
        num_instances: Images of a class that are learned, if no number is asked for.
    """
    source, batches = generator(settings.seed, "images learned"), []
    wanted = settings.num_learned or num_instances
    for label in range(len(pictures.class_names)):
        own = (pictures.labels == label).nonzero()[:, 0]
        own = own[torch.randperm(len(own), generator=source)]
        batches.append(own if wanted == "all" else own[: max(1, min(wanted, len(own) // 2))])
    is_learned = torch.zeros(len(pictures.labels), dtype=torch.bool)
    is_learned[torch.cat(batches)] = True
    return FolderStream(pictures.images, pictures.labels, tuple(batches), is_learned)


def _check_classes(run: FolderRun, pictures: UserImages) -> None:
    num_classes, most = len(pictures.class_names), run.most_classes
    if num_classes < 2:
        raise ValueError(f"Expected two classes or more, a subfolder each, but got '{pictures.class_names[0]}' alone.")
    if most is not None and num_classes > most:
        raise ValueError(
            f"Expected at most {most} classes, as many as the run's network has outputs, but got {num_classes}. "
            f"Hyper-train a run with `--num-outputs {num_classes}` or more, or take classes away."
        )


def _features(run: FolderRun, images: Tensor) -> Tensor:
    with torch.no_grad():
        return torch.cat([run.features(part) for part in images.split(_AT_A_TIME)])


def _seen(sees: Sees, images: Tensor, features: Tensor) -> Tensor:
    if sees == "images":
        return images
    return features if sees == "features" else torch.cat([features, images.flatten(1)], dim=1)


def _lived(life: FolderLife, stream: FolderStream, inputs: Tensor) -> LivedFolder:
    learner, num_classes, asked = life.begin(), len(stream.batches), []
    looks = _looks(num_classes) if not life.rounds else ()
    for place, batch in enumerate(_batches(life, stream), start=1):
        learner.learn(inputs[batch], stream.labels[batch])
        if place in looks:
            met = ~stream.is_learned & (stream.labels < place)
            asked.append(_chosen(learner, inputs[met], place) == stream.labels[met])
    chosen = _chosen(learner, inputs, num_classes)
    right, learned = chosen == stream.labels, stream.is_learned
    shares = [share for each in asked if (share := _share(each)) is not None]
    return LivedFolder(
        name=life.name,
        title=life.title,
        note=life.note,
        along=sum(shares) / len(shares) if shares else None,
        chosen=chosen,
        learned=_by_class(right, learned, stream.labels, num_classes),
        held_out=_by_class(right, ~learned, stream.labels, num_classes),
        all_learned=float(right[learned].double().mean()),
        all_held_out=_share(right[~learned]),
        num_stored=learner.num_stored,
        joint=life.rounds > 0,
        pixel_error=_pixel_error(life, learner, inputs[~learned]),
    )


def _pixel_error(life: FolderLife, learner: Learner, inputs: Tensor) -> float | None:
    if life.pixel_errors is None or not len(inputs):
        return None
    parts = inputs.split(_AT_A_TIME)
    return float(torch.cat([life.pixel_errors(learner, part) for part in parts]).double().mean())


def _looks(num_classes: int) -> tuple[int, ...]:
    """After how many classes a life is asked."""
    number = min(num_classes - 1, _MOST_LOOKS)
    return tuple(torch.linspace(2, num_classes, number, dtype=torch.float64).round().int().tolist())


def _batches(life: FolderLife, stream: FolderStream) -> Iterator[Int64[Tensor, " batch"]]:
    """A batch a class, or as many of all classes mixed, as often as the life meets each image."""
    if not life.rounds:
        yield from stream.batches
        return
    source, met = generator(0, "joint order"), torch.cat(stream.batches)
    for _ in range(life.rounds):
        yield from met[torch.randperm(len(met), generator=source)].chunk(len(stream.batches))


def _chosen(learner: Learner, inputs: Tensor, num_met: int) -> Int64[Tensor, " images"]:
    """The class that each image is taken for, among those met."""
    return learner.predict(inputs)[:, :num_met].argmax(1) if len(inputs) else torch.zeros(0, dtype=torch.int64)


def _share(right: Bool[Tensor, " images"]) -> float | None:
    return float(right.double().mean()) if len(right) else None


def _by_class(right: Tensor, of: Tensor, labels: Tensor, num_classes: int) -> Float[Tensor, " K"]:
    """Of each class's images among some, the share that is right; NaN where there are none."""
    return torch.stack([right[of & (labels == label)].double().mean() for label in range(num_classes)])


def _score(life: LivedFolder) -> float:
    return life.all_learned if life.along is None else life.along


def _said(stream: FolderStream, pictures: UserImages) -> Iterator[str]:
    sizes = [len(batch) for batch in stream.batches]
    few, most = min(sizes), max(sizes)
    span = f"{most}" if few == most else f"{few} to {most}"
    num_held_out = int((~stream.is_learned).sum())
    yield (
        f"{len(sizes)} classes were learned one after another in the order of their names, each from {span} image"
        f"{'' if most == 1 else 's'} drawn at random and met once, as one batch."
    )
    if num_held_out:
        looks = len(_looks(len(sizes)))
        asked = (
            "every class but the first" if looks == len(sizes) - 1 else f"{looks} of the classes, evenly among them,"
        )
        yield (
            f"The other {num_held_out:,} images are held out, at least half of each class: no life learns any of them. After "
            f"{asked} those of the classes met by then are asked for: every answer is given before the image is learned."
        )
    else:
        yield "Nothing was held out: shares are of the very images learned, and say what is remembered, not what is recognised."
    alone = [
        name
        for name, label in zip(pictures.class_names, range(len(sizes)), strict=True)
        if num_held_out and bool(stream.is_learned[stream.labels == label].all())
    ]
    if alone:
        more = f" and {len(alone) - _NAMED} more" if len(alone) > _NAMED else ""
        yield f"Of one image only, which was learned, so that none is held out: {', '.join(alone[:_NAMED])}{more}."


def _said_of_innate(innate: Innate | None) -> Iterator[str]:
    if innate is None:
        yield (
            "The innate discriminant was left out, and conjugate Bayes has a flat prior: the run has no `innate.safetensors`, "
            "and the data set that it was trained on is not there (`hyperlearning data list`)."
        )
