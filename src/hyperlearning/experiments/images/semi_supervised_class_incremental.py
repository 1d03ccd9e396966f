"""Semi-supervised class-incremental learning: one labelled and four unlabelled images a class, met once.

The dissertation names this setting (abstract of chapter 6) and reports nothing of it. Defined here: classes come one after
another; a class's only batch has `num_labelled` images with their label and the others without. The task loss is the negative
log-likelihood of the labelled images plus lambda times the mean squared error of reconstructing all images of the batch; the
hyper-loss is the same sum over images of the life's classes, learned and held out, all labelled. One network makes both outputs
from hidden DANs whose synapses are plastic: through them alone can a reconstruction change a classification within a life.

The question: does that help? The same network with the label alone, and with all labels, live the same lives.
The page `docs/experiments/semi-supervised-class-incremental.md` says what else could be done with unlabelled images.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from rich.console import Console
from torch import Tensor

from hyperlearning.core.image_losses import NUM_LABEL_COLUMNS, semi_supervised_loss
from hyperlearning.core.params import Params, stack_members
from hyperlearning.core.rounding import rounded
from hyperlearning.core.seeding import generator
from hyperlearning.engine.hyper_training import TrainingState
from hyperlearning.engine.run_record import RunRecord
from hyperlearning.engine.runner import save_model
from hyperlearning.learners.inner_loop import Learner, live
from hyperlearning.learners.prototypes import SCALE
from hyperlearning.learners.refined_prototypes import refined_prototype_logits
from hyperlearning.networks.dan.image_networks import dan_classifier
from hyperlearning.networks.dan.network import DANNetwork, Synapses
from hyperlearning.networks.parameter_counts import ParameterCounts, count_parameters, without_allocating
from hyperlearning.networks.trunk import TrunkNetwork
from hyperlearning.streams.class_incremental import ClassLives
from hyperlearning.streams.semi_supervised import as_semi_supervised, lives_as_semi_supervised
from hyperlearning.systems.images.build import Losses, System, assemble, check_settings, drawing
from hyperlearning.systems.images.embedding import (
    compared_settings,
    images_of_embedding,
    train_embedding,
    train_prototypes,
)
from hyperlearning.systems.images.lives import KINDS, Lives, deploy_prototypes, hold_out, lives_of, right, tested_images
from hyperlearning.systems.images.pools import Pools, load_pools
from hyperlearning.systems.images.results import append_method
from hyperlearning.systems.images.settings import (
    DataSettings,
    EmbeddingSettings,
    ImageSettings,
    LifeSettings,
    NetworkSettings,
    TrainingSettings,
)
from hyperlearning.systems.images.training import short_scores, train, validation_lives

NAME = "semi-supervised-class-incremental"


@dataclass(frozen=True, kw_only=True)
class SupervisionSettings:
    """What is labelled, and what reconstruction weighs."""

    num_labelled: int = 1
    """Labelled images of each class; the others of `num_instances` have no label."""
    pixel_side: int = 7
    """Side of the images to reconstruct: the images averaged down."""
    pixel_weight: float = 10.0
    """Weight of reconstruction in the task loss, lambda."""
    hyper_pixel_weight: float = 1.0
    """Its weight in the hyper-loss."""

    def __post_init__(self) -> None:
        """Checks ranges."""
        if min(self.num_labelled, self.pixel_side) < 1 or not self.pixel_weight > 0 or self.hyper_pixel_weight < 0:
            raise ValueError(
                "Expected positive `num_labelled`, `pixel_side` and `pixel_weight` and a non-negative `hyper_pixel_weight`, "
                f"but got {self.num_labelled}, {self.pixel_side}, {self.pixel_weight} and {self.hyper_pixel_weight}."
            )


@dataclass(frozen=True, kw_only=True)
class Config:
    """Learn classes one after another from one labelled image each and a few without a label."""

    data: DataSettings = field(default_factory=lambda: DataSettings(augmentation="elastic"))
    network: NetworkSettings = field(default_factory=lambda: NetworkSettings(hidden_sizes=(32,), num_outputs=10))
    """`num_outputs` labels; as many more output DANs as there are pixels."""
    life: LifeSettings = field(default_factory=LifeSettings)
    training: TrainingSettings = field(
        default_factory=lambda: TrainingSettings(
            population=2, num_epochs=200, train_tasks=10, train_classes=10, hyper_batch_size=100, inner_lr=0.1
        )
    )
    """At the rate that serves five labelled images a class, .3, one labelled image moves the outputs too far."""
    embedding: EmbeddingSettings = field(default_factory=lambda: EmbeddingSettings(embedding_epochs=800))
    """How the input DANs are trained alone, before the lives of every condition; and the prototypes' embedding, until it has
    met as many images as one condition's network in all."""
    hidden_scaling: float = 10.0
    """Scaling of synapses into hidden neurons, which act as `weight / sqrt(|weight|^2 + hidden_scaling^2)`: what drives hidden
    neurons is as much smaller as it is large, and what an update changes in it smaller by its square. At 1, `synaptic_scaling`
    of the outputs, an update overwrites the hidden layer, and hyper-training begins in chaos."""
    supervision: SupervisionSettings = field(default_factory=SupervisionSettings)
    seed: int = 0
    """Everything random follows from it."""
    threads: int = 2
    """Threads of the computation."""

    def __post_init__(self) -> None:
        """Checks sizes that depend on one another."""
        if self.seed < 0 or self.threads < 1:
            raise ValueError(
                f"Expected a non-negative `seed` and positive `threads`, but got {self.seed} and {self.threads}."
            )
        if not self.hidden_scaling > 0:
            raise ValueError(f"Expected `hidden_scaling` to be positive, but got {self.hidden_scaling}.")
        if self.supervision.num_labelled >= self.life.num_instances:
            raise ValueError(
                f"Expected `num_labelled` below `num_instances` ({self.life.num_instances}), "
                f"but got {self.supervision.num_labelled}."
            )
        if self.data.side % self.supervision.pixel_side:
            raise ValueError(
                f"Expected `pixel_side` to divide `side` ({self.data.side}), but got {self.supervision.pixel_side}."
            )
        if self.network.warp or not self.network.hidden_sizes:
            raise ValueError(
                "Expected `hidden_sizes`, through which reconstruction reaches classification, and no `warp`, "
                f"but got {self.network.hidden_sizes} and {self.network.warp}."
            )

    @property
    def settings(self) -> ImageSettings:
        """What the hyper-trained systems follow from."""
        return ImageSettings(
            data=self.data, network=self.network, life=self.life, training=self.training, seed=self.seed
        )


class Condition(NamedTuple):
    """One way to be supervised.

    Attributes:
        title: What a figure calls it.
        note: What it is, in a sentence.
        num_labelled: Labelled images of each class.
        reconstructs: Whether losses have their share of reconstruction.
    """

    title: str
    note: str
    num_labelled: int
    reconstructs: bool


PRESETS: dict[str, Config] = {
    "laptop": Config(),
    "smoke": Config(
        network=NetworkSettings(maps=(8, 8, 8), hidden_sizes=(6,), num_channels=2, phenotype_units=4, num_outputs=5),
        life=LifeSettings(num_tasks=4, num_instances=3, steps_per_task=1, num_held_out=3, num_lives=3),
        training=TrainingSettings(
            population=2, num_epochs=2, train_tasks=4, train_classes=5, train_held_out=2, hyper_batch_size=12
        ),
        embedding=EmbeddingSettings(embedding_epochs=2, embedding_classes=6),
        supervision=SupervisionSettings(pixel_side=7),
        threads=1,
    ),
    "paper": Config(
        network=NetworkSettings(
            maps=(32, 64, 64), hidden_sizes=(120,), num_channels=100, phenotype="conv", phenotype_units=30
        ),
        life=LifeSettings(steps_per_task=5),
        training=TrainingSettings(num_epochs=2000, inner_lr=0.1),
        embedding=EmbeddingSettings(),
        supervision=SupervisionSettings(pixel_side=28),
    ),
}


def conditions(config: Config) -> dict[str, Condition]:
    """Lists the ways compared."""
    few, all_of_them = config.supervision.num_labelled, config.life.num_instances
    return {
        "dan": Condition(
            "DAN network, semi-supervised",
            f"{few} labelled and {all_of_them - few} unlabelled images a class, all reconstructed",
            few,
            True,
        ),
        "few": Condition(
            "DAN network, labelled images alone", f"{few} labelled a class, no reconstruction", few, False
        ),
        "all": Condition(
            "DAN network, all images labelled", f"{all_of_them} labelled a class, no reconstruction", all_of_them, False
        ),
    }


def check(config: Config) -> None:
    """Raises if settings contradict one another or data are absent, before a run exists."""
    check_settings(config.settings, build=lambda: build(config))


def build(config: Config) -> TrunkNetwork:
    """Builds the network: output DANs of labels, then of pixels; synapses into them are 0 at first, hidden ones act feebly."""
    network, source = config.network, generator(config.seed, "network")
    built = dan_classifier(
        network.trunk(config.data, source),
        num_classes=network.num_outputs + config.supervision.pixel_side**2,
        hidden_sizes=network.hidden_sizes,
        num_channels=network.num_channels,
        phenotype=network.phenotype_factory(),
        synaptic_scaling=network.synaptic_scaling,
        generator=source,
    )
    assert isinstance(built.head, DANNetwork)
    output = len(network.hidden_sizes) + 1
    for name, synapses in built.head.synapses.items():
        assert isinstance(synapses, Synapses)
        if not name.endswith(f"_{output}"):
            synapses.scaling = config.hidden_scaling
        elif network.zero_start:
            torch.nn.init.zeros_(synapses.weight)
            torch.nn.init.zeros_(synapses.bias)
    return built


def build_system(config: Config, condition: Condition, pools: Pools, trunk: Params) -> System:
    """Builds the network and its hyper-training under a condition; all conditions meet the same lives.

    Args:
        config: The settings.
        condition: What is labelled, and whether losses have a share of reconstruction.
        pools: Where classes come from.
        trunk: Convolutions that were trained before and stay as they are; none if they are trained in lives.
    """
    supervision, labels = config.supervision, config.network.num_outputs
    losses = Losses(
        semi_supervised_loss(
            labels,
            pixel_weight=supervision.pixel_weight * condition.reconstructs,
            temperature=config.training.temperature,
        ),
        semi_supervised_loss(labels, pixel_weight=supervision.hyper_pixel_weight * condition.reconstructs),
    )
    transform = partial(as_semi_supervised, num_labelled=condition.num_labelled, pixel_side=supervision.pixel_side)
    draw = drawing(config.settings, pools.meta_train, transform=transform)
    return assemble(config.settings, build(config), losses, draw, trunk=trunk or None)


def run(config: Config, record: RunRecord, console: Console) -> None:
    """Hyper-trains the network under every condition, then deploys all methods on the same held-out lives."""
    torch.set_num_threads(config.threads)
    pools = load_pools(config.data)
    network = without_allocating(lambda: build(config))
    counts = count_parameters(network, network.is_innate)
    console.print(f"network: {counts}, {config.threads} threads", highlight=False)
    record.note(threads=config.threads, parameters=counts._asdict())
    lives = {
        kind: hold_out(config.life, pools, kind, num_outputs=config.network.num_outputs, seed=config.seed)
        for kind in KINDS
    }
    with record.timed("training_seconds"):
        trunk = train_embedding(record, config.settings, config.embedding, build(config), pools, console)
        before = images_of_embedding(config.settings, config.embedding, pools.meta_train)
        for name, condition in conditions(config).items():
            system = build_system(config, condition, pools, trunk)
            look = _look(config, condition, system, pools)
            state = train(record, name, config.settings, system, console, look=look, images_before=before).state
            if name == "dan":
                save_model(record, state._replace(hyper=state.hyper._replace(innate={**trunk, **state.hyper.innate})))
            _append(config, name, condition, system.learner, state, lives, counts, record)
        _meta_train_prototypes(config, pools, lives, record, console)


def _look(
    config: Config, condition: Condition, system: System, pools: Pools
) -> Callable[[TrainingState], dict[str, Any]]:
    lives = validation_lives(config.settings, pools)

    def look(state: TrainingState) -> dict[str, Any]:
        return {
            kind: short_scores(_deploy(config, condition, system.learner, state, lives[kind]).lives) for kind in KINDS
        }

    return look


class Deployed(NamedTuple):
    """How lives went.

    Attributes:
        lives: Shares of images classified rightly.
        pixel_error: (L,), mean squared error of reconstructing held-out images at the end.
    """

    lives: Lives
    pixel_error: Float[Tensor, " lives"]


def _deploy(
    config: Config, condition: Condition, learner: Learner, state: TrainingState, lives: ClassLives
) -> Deployed:
    """Lives every life and looks at all its images after every class; memory is of all images met, labelled or not."""
    supervision, num_labels = config.supervision, config.network.num_outputs
    innate = state.hyper.innate
    pack = partial(lives_as_semi_supervised, num_labelled=condition.num_labelled, pixel_side=supervision.pixel_side)
    shown = lives._replace(inputs=tested_images(lives)[None], targets=_zeros(tested_images(lives)[None]))
    pixels = pack(shown).targets[0, ..., NUM_LABEL_COLUMNS:]
    with torch.no_grad():
        met, features = _features(learner, innate, lives.inputs), _features(learner, innate, shown.inputs)[0]
    births = stack_members(state.hyper.start, len(lives.labels))
    on_features = learner._replace(prepare=None)
    looks, outputs = [], torch.empty(0)
    steps = config.life.steps_per_task
    for plastic in live(on_features, births, innate, met, pack(lives).targets, steps_per_batch=steps):
        with torch.no_grad():
            outputs = learner.forward(plastic, innate, features)
        looks.append(right(outputs[..., :num_labels], lives))
    logits = outputs[..., :num_labels]
    of_life = torch.nn.functional.one_hot(lives.labels, num_labels).sum(1).bool()[:, None]
    among = right(logits.masked_fill(~of_life, -torch.inf), lives)
    scored = lives_of(torch.stack(looks, dim=1), among, lives.learned.shape[2])
    errors = (torch.sigmoid(outputs[..., num_labels:]) - pixels).square().mean(-1)
    held_out = errors.unflatten(1, (lives.labels.shape[1], -1))[..., lives.learned.shape[2] :]
    return Deployed(scored, held_out.flatten(1).mean(1))


def _zeros(images: Tensor) -> Tensor:
    return torch.zeros(images.shape[:-3], dtype=torch.long)


def _features(learner: Learner, innate: Params, images: Tensor) -> Tensor:
    """A few lives at a time, so that the trunk's maps fit into memory."""
    return torch.cat([learner.prepared(innate, part) for part in images.split(10, dim=1)], dim=1)


def _append(
    config: Config,
    name: str,
    condition: Condition,
    learner: Learner,
    state: TrainingState,
    lives: dict[str, ClassLives],
    counts: ParameterCounts,
    record: RunRecord,
) -> None:
    for kind in KINDS:
        alive, errors = _deploy(config, condition, learner, state, lives[kind])
        facts = {"pixel_error": rounded(errors, 6)} if condition.reconstructs else {}
        append_method(record, name, condition.title, condition.note, counts, kind, alive, **facts)


def _meta_train_prototypes(
    config: Config, pools: Pools, lives: dict[str, ClassLives], record: RunRecord, console: Console
) -> None:
    few, num_labels = config.supervision.num_labelled, config.network.num_outputs
    settings = compared_settings(config.settings, config.embedding, pools.meta_train)
    features, innate, size = train_prototypes(record, settings, pools, console)

    def with_labelled(kept: ClassLives, number: int) -> Lives:
        cut = kept._replace(inputs=kept.inputs[:, :, :number], targets=kept.targets[:, :, :number])
        return deploy_prototypes(features, cut, num_labels=num_labels)

    refined = partial(deploy_refined, features, num_labelled=few, num_labels=num_labels, scale=float(innate[SCALE]))
    of = f"an embedding of {size:,} parameters, meta-trained for {config.life.num_instances} images a class; "
    ways: dict[str, tuple[str, str, Callable[[ClassLives], Lives]]] = {
        "prototypes_few": (
            f"prototypes from {few}", of + "means of the labelled images", lambda kept: with_labelled(kept, few)
        ),
        "prototypes_refined": (
            f"prototypes from {few}, refined", of + "one step of soft k-means with the unlabelled images, all kept", refined
        ),
        "prototypes_all": (
            f"prototypes from {config.life.num_instances}",
            of + "means of all images, all labelled",
            lambda kept: with_labelled(kept, config.life.num_instances),
        ),
    }  # fmt: skip
    for name, (title, note, way) in ways.items():
        for kind in KINDS:
            append_method(record, name, title, note, None, kind, way(lives[kind]))


def deploy_refined(
    features: Callable[[Tensor], Tensor], lives: ClassLives, *, num_labelled: int, num_labels: int, scale: float
) -> Lives:
    """Lives with class means refined by the unlabelled images met so far, which it keeps.

    Args:
        features: Maps images (..., C, S, S) to features (..., F).
        lives: The lives, with labels as targets.
        num_labelled: The first images of each batch, whose labels are known.
        num_labels: Labels in all.
        scale: What distances are multiplied by.
    """
    with torch.no_grad():
        met = torch.cat([features(part) for part in lives.inputs.split(10, dim=1)], dim=1)
        shown = torch.cat([features(part) for part in tested_images(lives).split(10)])
        num_tasks = lives.labels.shape[1]
        looks = [torch.zeros(len(shown), num_tasks, shown.shape[1] // num_tasks)]
        for task in range(1, num_tasks + 1):
            logits = refined_prototype_logits(
                met[:task, :, :num_labelled],
                lives.targets[:task, :, :num_labelled],
                met[:task, :, num_labelled:].transpose(0, 1).flatten(1, 2),
                shown,
                num_labels=num_labels,
                scale=scale,
            )
            looks.append(right(logits, lives))
    return lives_of(torch.stack(looks, dim=1), looks[-1], lives.learned.shape[2])
