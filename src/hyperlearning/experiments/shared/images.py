"""Hyper-Learning on images, shared by its experiments: settings, the data and the system that they describe.

Shape suffixes: L lives, T tasks, C channels, S side.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Literal, NamedTuple

import torch

from hyperlearning.core.losses import LossFn, cross_entropy, tempered_cross_entropy
from hyperlearning.core.params import Params, partition
from hyperlearning.core.seeding import generator
from hyperlearning.data.images import load
from hyperlearning.engine.hyper_training import Phase, Schedule, TrainingState, begin, outer_schedule
from hyperlearning.learners.hyper_step import make_hyper_step
from hyperlearning.learners.inner_loop import Learner
from hyperlearning.learners.memory import check_memory, population_memory
from hyperlearning.learners.optimizers import OptimizerName, adam, optimizer
from hyperlearning.learners.population import Backend, Prepare, split_forward
from hyperlearning.networks.conv_phenotype import ConvPhenotype
from hyperlearning.networks.dan import OutputInitializer
from hyperlearning.networks.image_networks import dan_classifier
from hyperlearning.networks.input_dans import InputDANs
from hyperlearning.networks.parameter_counts import ParameterCounts, count_parameters, without_allocating
from hyperlearning.networks.phenotypes import MLPPhenotype, PhenotypeFactory, ResidualPhenotype
from hyperlearning.networks.trunk import TrunkNetwork
from hyperlearning.networks.warp import matched_warp
from hyperlearning.streams.augmentation import (
    ELASTIC_AUGMENTATION,
    MILD_AUGMENTATION,
    PAPER_AUGMENTATION,
    STRONG_AUGMENTATION,
    Augmentation,
)
from hyperlearning.streams.class_incremental import (
    ClassScope,
    HyperMix,
    augmented,
    draw_class_hyper_stream,
)
from hyperlearning.streams.hyper_stream import HyperStream
from hyperlearning.streams.image_pool import ImagePool, image_pool, subset, with_rotated_classes

Dataset = Literal["omniglot", "mixture", "digits"]
AugmentationName = Literal["none", "mild", "strong", "elastic", "paper"]
Through = Literal["life", "none"]

AUGMENTATIONS: dict[AugmentationName, Augmentation | None] = {
    "none": None,
    "mild": MILD_AUGMENTATION,
    "strong": STRONG_AUGMENTATION,
    "elastic": ELASTIC_AUGMENTATION,
    "paper": PAPER_AUGMENTATION,
}
_DIGITS_FOR_TRAINING = 7
"""Digits whose rotations are learned from with `--dataset digits`; rotations of the other three are the held-out classes."""


@dataclass(frozen=True, kw_only=True)
class DataSettings:
    """Where classes come from."""

    dataset: Dataset = "omniglot"
    """omniglot: its background alphabets, then its evaluation alphabets and MNIST. mixture: Omniglot, Fashion-MNIST, CIFAR-100
    and mini-ImageNet, each met as often, then the same two. digits: scikit-learn's built-in ones, for a machine without data."""
    side: int = 28
    """Height and width that images are brought to."""
    rotated_classes: bool = True
    """Whether each class rotated by 90, 180 and 270 degrees is a class of its own in hyper-training."""
    augmentation: AugmentationName = "strong"
    """How all images of hyper-training are changed at random, each time they are met."""
    data_root: str = ""
    """Where data lie; HYPERLEARNING_DATA, or the user's cache, if empty."""

    def __post_init__(self) -> None:
        """Checks sizes."""
        if self.side < 1:
            raise ValueError(f"Expected `side` to be positive, but got {self.side}.")


class Pools(NamedTuple):
    """Classes to learn from and to deploy on.

    Attributes:
        meta_train: Classes of hyper-training; lives drawn from them are of images, not of classes, that are new.
        meta_test: Held-out classes of the same data set.
        meta_eval: Another data set: MNIST, its ten digits in order.
    """

    meta_train: ImagePool
    meta_test: ImagePool
    meta_eval: ImagePool


def load_pools(data: DataSettings) -> Pools:
    """Loads and arranges the classes.

    Raises:
        AbsentDataError: If a data set is not there; the message names the command that fetches it.
        DataError: If a file is not what the catalogue says.
    """
    read = partial(load, root=Path(data.data_root) if data.data_root else None)
    arrange = partial(image_pool, side=data.side, channels=1)
    if data.dataset == "digits":
        return _digit_pools(data, arrange([read("digits", "train")]), arrange([read("digits", "test")]))
    sources = [("omniglot", "background")]
    if data.dataset == "mixture":
        sources += [("fashion_mnist", "train"), ("cifar100", "train"), ("mini_imagenet", "train")]
    trained = arrange([read(*source) for source in sources])
    return Pools(
        with_rotated_classes(trained) if data.rotated_classes else trained,
        arrange([read("omniglot", "evaluation")]),
        arrange([read("mnist", "test")]),
    )


def _digit_pools(data: DataSettings, trained: ImagePool, tested: ImagePool) -> Pools:
    first, rest = torch.arange(_DIGITS_FOR_TRAINING), torch.arange(_DIGITS_FOR_TRAINING, 10)
    turned = with_rotated_classes if data.rotated_classes else (lambda pool: pool)
    return Pools(turned(subset(trained, first)), turned(subset(tested, rest)), tested)


@dataclass(frozen=True, kw_only=True)
class NetworkSettings:
    """Innate convolutions (input DANs), then layers of DANs with plastic vector synapses."""

    maps: tuple[int, ...] = (32, 64, 64, 64)
    """Feature maps of each convolution; each halves the side."""
    hidden_sizes: tuple[int, ...] = ()
    """DANs of each hidden layer, all of them also joined to the output DANs (authors: 40 20 20)."""
    num_channels: int = 9
    """Size of a vector synapse (authors: 100)."""
    phenotype: Literal["residual", "mlp", "conv"] = "residual"
    """A nearly linear start, a plain multilayer perceptron, or the papers' small convolutional network on the channels."""
    phenotype_units: int = 16
    """Hidden units of the phenotype's dense layer."""
    synaptic_scaling: float = 1.0
    """How much synapses can grow before they are scaled back; 0 for not at all (papers)."""
    zero_start: bool = True
    """Whether synapses into the output DANs are 0 at first; else drawn at random as all others (papers)."""
    num_outputs: int = 25
    """Output DANs: labels that a life may use (authors: 120)."""
    warp: bool = False
    """Whether dense WarpGrad layers stand in for the DANs, as many numbers in all."""

    def __post_init__(self) -> None:
        """Checks sizes."""
        if min(*self.maps, *self.hidden_sizes, self.num_channels, self.phenotype_units, self.num_outputs) < 1:
            raise ValueError(
                "Expected positive sizes, but got "
                f"{self.maps}, {self.hidden_sizes}, {self.num_channels}, {self.phenotype_units} and {self.num_outputs}."
            )

    def build(self, data: DataSettings, seed: int) -> TrunkNetwork:
        """Builds the network, its numbers drawn from the seed."""
        source = generator(seed, "network")
        output: OutputInitializer = "zeros" if self.zero_start else "as_others"
        network = dan_classifier(
            self.trunk(data, source),
            num_classes=self.num_outputs,
            hidden_sizes=self.hidden_sizes,
            num_channels=self.num_channels,
            output_initializer=output,
            phenotype=self.phenotype_factory(),
            synaptic_scaling=self.synaptic_scaling,
            generator=source,
        )
        if not self.warp:
            return network
        return matched_warp(
            network, output_initializer=output, synaptic_scaling=self.synaptic_scaling, generator=source
        )

    def trunk(self, data: DataSettings, source: torch.Generator) -> InputDANs:
        """Builds the innate convolutions alone."""
        groups = 8 if all(size % 8 == 0 for size in self.maps) else 1
        return InputDANs(
            (1, data.side, data.side),
            maps=self.maps,
            normalization="group",
            num_groups=groups,
            rectifier="relu",
            centred=True,
            generator=source,
        )

    def count(self, data: DataSettings) -> ParameterCounts:
        """Counts plastic and innate parameters, allocating none."""
        network = without_allocating(lambda: self.build(data, 0))
        return count_parameters(network, network.is_innate)

    def phenotype_factory(self) -> PhenotypeFactory:
        """Makes what makes phenotypes."""
        units = self.phenotype_units
        kinds: dict[str, PhenotypeFactory] = {
            "residual": partial(ResidualPhenotype, hidden_sizes=(units,)),
            "mlp": partial(MLPPhenotype, hidden_sizes=(2 * units, units), output_activation="identity"),
            "conv": partial(ConvPhenotype, hidden_sizes=(units,)),
        }
        return kinds[self.phenotype]


@dataclass(frozen=True, kw_only=True)
class LifeSettings:
    """What a deployed life consists of."""

    num_tasks: int = 10
    """Classes learned one after another, the papers' d."""
    num_instances: int = 5
    """Images of each class, the papers' i, met as one batch."""
    steps_per_task: int = 2
    """Updates on each class, the papers' k (paper: 25)."""
    num_held_out: int = 15
    """Further images of each class that generalization is measured on."""
    num_lives: int = 100
    """Lives of each kind."""

    def __post_init__(self) -> None:
        """Checks sizes."""
        if min(self.num_tasks, self.num_instances, self.steps_per_task, self.num_held_out) < 1 or self.num_lives < 2:
            raise ValueError(
                "Expected positive `num_tasks`, `num_instances`, `steps_per_task` and `num_held_out` and at least 2 of "
                f"`num_lives`, but got {self.num_tasks}, {self.num_instances}, {self.steps_per_task}, {self.num_held_out} "
                f"and {self.num_lives}."
            )


@dataclass(frozen=True, kw_only=True)
class TrainingSettings:
    """How what is innate is hyper-trained."""

    population: int = 4
    """Lives side by side, whose innate gradients are averaged (paper: 3)."""
    num_epochs: int = 1000
    """Generations of lives."""
    train_tasks: int = 20
    """Classes that a life learns in hyper-training, the papers' h_CL: more than it will meet when deployed."""
    train_classes: int = 25
    """Classes of a hyper-stream in all, the papers' h_H; those beyond `train_tasks` are never learned."""
    train_held_out: int = 5
    """Further images of each class for the hyper-loss."""
    hyper_batch_size: int = 200
    """Images per hyper-loss and life."""
    hyper_mix: HyperMix = (0.5, 0.5, 0.0)
    """Shares of the hyper-batch: images learned, other images of the same classes, classes never learned."""
    scope: ClassScope = "stream"
    """Whether a hyper-loss covers all of a life's classes, or those met so far."""
    through: Through = "life"
    """Whether the outer gradient passes, exactly, through the whole life, with one outer update a life and synapses at birth
    learned too; or through none of it, with an outer update after every inner one (papers)."""
    inner_optimizer: OptimizerName = "sgd"
    """How synapses learn."""
    inner_lr: float = 0.3
    """Rate of the synapses, the papers' alpha (paper: .001, Adam)."""
    temperature: float = 100.0
    """Of the task loss's softmax; 1 for the plain one (papers)."""
    outer_lr: float = 0.002
    """Highest rate of the outer Adam, the papers' gamma (paper: .001)."""
    schedule: Schedule = "cosine"
    """Course of the outer rate after its warm-up."""
    warmup_share: float = 0.02
    """Share of all outer steps in which the outer rate rises from 0."""
    max_grad_norm: float | None = 1.0
    """Bound on the norm of the outer gradient."""
    backend: Backend = "auto"
    """How a step is computed."""

    def __post_init__(self) -> None:
        """Checks what can be checked without building anything."""
        sizes = (self.population, self.num_epochs, self.train_tasks, self.hyper_batch_size)
        if min(sizes) < 1 or not self.inner_lr > 0:
            raise ValueError(
                "Expected positive `population`, `num_epochs`, `train_tasks`, `hyper_batch_size` and `inner_lr`, but got "
                f"{', '.join(map(str, sizes))} and {self.inner_lr}."
            )
        if self.max_grad_norm is not None and not self.max_grad_norm > 0:
            raise ValueError(f"Expected `max_grad_norm` to be positive, but got {self.max_grad_norm}.")
        tempered_cross_entropy(self.temperature)
        outer_schedule(self.schedule, self.outer_lr, warmup_share=self.warmup_share)


PAPER_NETWORK = NetworkSettings(
    maps=(32, 64, 64),
    hidden_sizes=(40, 20, 20),
    num_channels=100,
    phenotype="conv",
    phenotype_units=30,
    synaptic_scaling=0.0,
    zero_start=False,
    num_outputs=120,
)
"""Classifier of the dissertation, section 6.4.1, as the authors' script has it."""

PAPER_TRAINING = TrainingSettings(
    population=3,
    num_epochs=1000,
    train_held_out=10,
    hyper_batch_size=20,
    hyper_mix=(0.4, 0.4, 0.2),
    through="none",
    inner_optimizer="adam",
    inner_lr=0.001,
    temperature=1.0,
    outer_lr=0.001,
    schedule="constant",
    warmup_share=0.0,
    max_grad_norm=None,
)
"""Hyper-training of the dissertation, section 6.4.1: first order, with an outer update after every inner one."""


@dataclass(frozen=True, kw_only=True)
class EmbeddingSettings:
    """How convolutions are trained alone, as an embedding for class means, which costs a fraction of what lives cost."""

    embedding_epochs: int = 0
    """Generations of this training, which comes before hyper-training; 0 for none (papers)."""
    embedding_classes: int = 60
    """Classes of each generation, or all there are: to tell many apart is a harder lesson than to tell few."""
    embedding_lr: float = 0.002
    """Highest rate of its Adam, with the course that hyper-training's has."""

    def __post_init__(self) -> None:
        """Checks sizes."""
        if self.embedding_epochs < 0 or self.embedding_classes < 2 or not self.embedding_lr > 0:
            raise ValueError(
                "Expected a non-negative `embedding_epochs`, 2 or more `embedding_classes` and a positive `embedding_lr`, but "
                f"got {self.embedding_epochs}, {self.embedding_classes} and {self.embedding_lr}."
            )


@dataclass(frozen=True, kw_only=True)
class ImageSettings:
    """All of a hyper-trained image system."""

    data: DataSettings = field(default_factory=DataSettings)
    network: NetworkSettings = field(default_factory=NetworkSettings)
    life: LifeSettings = field(default_factory=LifeSettings)
    training: TrainingSettings = field(default_factory=TrainingSettings)
    seed: int = 0


class Losses(NamedTuple):
    """What the inner and the outer gradients are of.

    Attributes:
        task: The task loss.
        hyper: The hyper-loss.
    """

    task: LossFn
    hyper: LossFn


class System(NamedTuple):
    """A network with its training, ready to begin.

    Attributes:
        network: The network; its own values are those at birth before training.
        phases: What hyper-training is made of.
        learner: The inner loop in deployment.
        initial: The state before the first phase.
        generator: Source of all training data.
    """

    network: TrunkNetwork
    phases: tuple[Phase, ...]
    learner: Learner
    initial: TrainingState
    generator: torch.Generator


def build_system(settings: ImageSettings, pool: ImagePool, *, trunk: Params | None = None) -> System:
    """Builds a classifier and its hyper-training on a pool of classes.

    Args:
        settings: How to build, to train and to live.
        pool: Where classes come from.
        trunk: Convolutions, by their names in the network, that stay as they are: hyper-training then has neither them among
            what is innate nor a gradient through them. They are trained as all else if absent.

    Raises:
        ValueError: If settings contradict one another or the pool has too little.
    """
    network = settings.network.build(settings.data, settings.seed)
    losses = Losses(tempered_cross_entropy(settings.training.temperature), cross_entropy)
    return assemble(settings, network, losses, drawing(settings, pool), trunk=trunk)


def assemble(
    settings: ImageSettings,
    network: TrunkNetwork,
    losses: Losses,
    draw: Callable[[torch.Generator], HyperStream],
    *,
    trunk: Params | None = None,
) -> System:
    """Puts a network, losses and lives together.

    Args:
        settings: How to train and to live.
        network: Any network with an innate trunk.
        losses: Its losses.
        draw: Draws an epoch's lives, such as `drawing` makes.
        trunk: Convolutions that stay as they are, if any, as for `build_system`.
    """
    training, life = settings.training, settings.life
    plastic, innate = partition(network, network.is_innate)
    innate = {name: value for name, value in innate.items() if name not in (trunk or {})}
    learner = build_learner(settings, network, losses, trunk=trunk)
    whole, outer = training.through == "life", adam()
    num_updates = training.train_tasks * life.steps_per_task
    update_every = num_updates if whole else 1
    step = make_hyper_step(
        build_learner(settings, network, losses, second_order=whole, trunk=trunk),
        outer,
        update_every=update_every,
        through=update_every if whole else 0,
        learn_start=whole,
        max_grad_norm=training.max_grad_norm,
        steps_per_batch=life.steps_per_task,
    )
    phase = Phase(
        step=step,
        inner=learner.optimizer,
        outer=outer,
        learn_start=whole,
        draw=draw,
        births=None,
        population=training.population,
        update_every=update_every,
        num_epochs=training.num_epochs,
        steps_per_epoch=num_updates // update_every,
        outer_lr=outer_schedule(training.schedule, training.outer_lr, warmup_share=training.warmup_share),
        steps_per_batch=life.steps_per_task,
    )
    source = generator(settings.seed, "lives")
    return System(network, (phase,), learner, begin(innate, plastic, source), source)


def build_learner(
    settings: ImageSettings,
    network: TrunkNetwork,
    losses: Losses,
    *,
    second_order: bool = False,
    trunk: Params | None = None,
) -> Learner:
    """Makes the inner loop of a network with an innate trunk, or with this one."""
    plastic, _ = partition(network, network.is_innate)
    training = settings.training
    prepare, forward = split_forward(
        network, plastic, input_ndim=3, backend=training.backend, second_order=second_order
    )
    if trunk is not None:
        prepare = _prepared_by(trunk, prepare)
    inner = optimizer(training.inner_optimizer)
    return Learner(forward, losses.task, inner, training.inner_lr, prepare=prepare, hyper_loss_fn=losses.hyper)


def _prepared_by(trunk: Params, prepare: Prepare) -> Prepare:
    def prepare_without_gradient(_: Params, inputs: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            return prepare(trunk, inputs)

    return prepare_without_gradient


def drawing(
    settings: ImageSettings,
    pool: ImagePool,
    *,
    transform: Callable[[HyperStream], HyperStream] = lambda stream: stream,
) -> Callable[[torch.Generator], HyperStream]:
    """Makes the function that draws an epoch's hyper-streams.

    Args:
        settings: What a life is.
        pool: Where classes come from.
        transform: Changes a stream after augmentation, such as `as_reconstruction`.
    """
    training, life = settings.training, settings.life
    augment = AUGMENTATIONS[settings.data.augmentation]
    outer_steps = 1 if training.through == "life" else training.train_tasks * life.steps_per_task

    def draw(source: torch.Generator) -> HyperStream:
        stream = draw_class_hyper_stream(
            pool,
            source,
            population=training.population,
            num_tasks=training.train_tasks,
            num_classes=training.train_classes,
            num_instances=life.num_instances,
            num_held_out=training.train_held_out,
            batches_per_task=1,
            outer_steps=outer_steps,
            hyper_batch_size=training.hyper_batch_size,
            hyper_mix=training.hyper_mix,
            scope=training.scope,
            num_labels=settings.network.num_outputs,
            balance="sources",
        )
        return transform(augmented(stream, augment.apply, source) if augment else stream)

    return draw


def check_settings(settings: ImageSettings, *, build: Callable[[], TrunkNetwork] | None = None) -> None:
    """Raises what building and drawing would, before anything is trained.

    Args:
        settings: What is to be trained.
        build: As for `check_size`.

    Raises:
        AbsentDataError: If a data set is not there.
        ValueError: As `check_size` and `check_pools`.
    """
    check_size(settings, build=build)
    check_pools(settings, load_pools(settings.data))


def check_size(settings: ImageSettings, *, build: Callable[[], TrunkNetwork] | None = None) -> None:
    """Raises if settings contradict one another, or the population does not fit into memory; needs no data.

    Args:
        settings: What is to be trained.
        build: Builds the network, where it is not the settings' classifier.

    Raises:
        ValueError: If so.
    """
    life, training = settings.life, settings.training
    if settings.network.num_outputs < max(training.train_classes, life.num_tasks):
        raise ValueError(
            "Expected `num_outputs` to be at least `train_classes` and `num_tasks` of a life "
            f"({training.train_classes} and {life.num_tasks}), but got {settings.network.num_outputs}."
        )
    network = without_allocating(build or (lambda: settings.network.build(settings.data, settings.seed)))
    check_memory(
        population_memory(
            network,
            network.is_innate,
            population=training.population,
            batch=life.num_instances,
            hyper_batch=training.hyper_batch_size,
            input_shape=(1, settings.data.side, settings.data.side),
            inner_optimizer=training.inner_optimizer,
        ),
        device="cpu",
    )


def check_pools(settings: ImageSettings, pools: Pools) -> None:
    """Raises if the data have fewer classes or images than asked for.

    Raises:
        ValueError: If so.
    """
    drawing(settings, pools.meta_train)(torch.Generator().manual_seed(0))
    check_lives(settings.life, pools)


def check_lives(life: LifeSettings, pools: Pools) -> None:
    """Raises if the data have fewer classes or images than deployed lives need.

    Raises:
        ValueError: If so.
    """
    for name, pool in pools._asdict().items():
        needed, fewest = life.num_instances + life.num_held_out, int(pool.counts.min())
        if pool.num_classes < life.num_tasks or fewest < needed:
            raise ValueError(
                f"Expected {life.num_tasks} classes of {needed} images or more for lives of {name}, "
                f"but got {pool.num_classes} classes, one of which has {fewest}."
            )
