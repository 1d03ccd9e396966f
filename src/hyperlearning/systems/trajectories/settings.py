"""OML and ANML: network, meta-training and long meta-test as settings."""

from dataclasses import dataclass, field
from typing import Annotated, Literal

from hyperlearning.core.expect import Above, Amount, AtLeast, Count, Rate, Seed, Some, Within, check_ranges
from hyperlearning.core.seeding import generator
from hyperlearning.engine.devices import DeviceName
from hyperlearning.engine.hyper_training import Schedule
from hyperlearning.networks.gated.anml import ANMLNetwork, Gates
from hyperlearning.networks.gated.oml import OMLNetwork
from hyperlearning.streams.trajectories import NUM_CLASSES, TRAIN_IMAGES
from hyperlearning.systems.trajectories.characters import CharacterSettings
from hyperlearning.systems.trajectories.meta_test import PUBLISHED_OUTPUTS, Selection

ContinualNetwork = OMLNetwork | ANMLNetwork


@dataclass(frozen=True, kw_only=True)
class ContinualSettings:
    """The network."""

    architecture: Literal["oml", "anml"] = "anml"
    """OML: innate convolutions and a plastic linear layer. ANML: plastic convolutions and linear layer, gated by innate ones."""
    width: Rate = 0.25
    """Share of the published feature maps: 1, .5 or .25."""
    gates: Gates = "learned"
    """ANML's neuromodulator: learned, random (as drawn, never trained) or none. OML has none: leave it at learned there."""

    def __post_init__(self) -> None:
        check_ranges(self)
        if self.architecture not in ("oml", "anml"):
            raise ValueError(f"Expected `architecture` to be 'oml' or 'anml', but got {self.architecture!r}.")
        if self.architecture == "oml" and self.gates != "learned":
            raise ValueError(
                f"Expected `gates` to be left as they are for OML, which has none, but got {self.gates!r}."
            )

    def build(self, data: CharacterSettings, seed: int, *, at_least: int = 0) -> ContinualNetwork:
        """Builds the network, its numbers drawn from the seed; it has an output for every class of meta-training."""
        source = generator(seed, "network")
        outputs = max(PUBLISHED_OUTPUTS, data.num_labels, at_least)
        if self.architecture == "oml":
            return OMLNetwork(outputs, side=data.side, width=self.width, generator=source)
        return ANMLNetwork(outputs, width=self.width, gates=self.gates, generator=source)


@dataclass(frozen=True, kw_only=True)
class TrajectorySettings:
    """How it is meta-trained."""

    num_steps: Count = 2000
    """Outer steps, one trajectory each (published: 20,000)."""
    classes_per_trajectory: Count = 1
    """Classes that a trajectory goes through, one after another (ANML 1, OML 3)."""
    images_per_class: Count = 20
    """Images of each, one update an image (ANML 20, OML 5)."""
    other_images_per_class: Amount = 0
    """Other images of each in the meta-loss in place of the trajectory's own (ANML 0, OML 5)."""
    remember_size: Amount = 64
    """Images of all classes in the meta-loss (ANML 64, OML 15)."""
    inner_lr: Rate = 0.1
    """Rate of plain SGD along the trajectory (ANML .1, OML .03)."""
    outer_lr: Rate = 0.001
    """Rate of the outer Adam (ANML .001, OML .0001)."""
    schedule: Schedule = "constant"
    """Course of the outer rate (published: constant)."""
    first_order: bool = False
    """Whether the outer gradient leaves second derivatives out, as ANML's authors shipped it; else it is exact."""
    population: Count = 1
    """Trajectories of an outer step, whose gradients are averaged (published: 1)."""
    checkpoint: bool = False
    """Whether activations along the trajectory are computed twice instead of being kept: slower, with less memory."""

    def __post_init__(self) -> None:
        check_ranges(self)
        if self.first_order and self.checkpoint:
            raise ValueError(
                "Expected `checkpoint` to be left out with `first_order`, which keeps no graph, but got both."
            )

    @property
    def length(self) -> int:
        """Updates of a trajectory, k."""
        return self.classes_per_trajectory * self.images_per_class

    @property
    def meta_batch(self) -> int:
        """Images of the meta-loss."""
        own = self.other_images_per_class or self.images_per_class
        return self.classes_per_trajectory * own + self.remember_size


@dataclass(frozen=True, kw_only=True)
class ContinualTraining:
    """All that a trained embedding follows from."""

    data: CharacterSettings = field(default_factory=CharacterSettings)
    network: ContinualSettings = field(default_factory=ContinualSettings)
    training: TrajectorySettings = field(default_factory=TrajectorySettings)
    supervised: bool = False
    """Whether it is trained on shuffled batches by plain Adam instead, without trajectories: pretraining."""
    seed: Seed = 0

    def __post_init__(self) -> None:
        check_ranges(self)

    @property
    def order(self) -> str:
        """The order of the outer gradient in words."""
        if self.supervised:
            return "no trajectories"
        return "first order" if self.training.first_order else "second order, exact"


@dataclass(frozen=True, kw_only=True)
class LongTestSettings:
    """The meta-test."""

    test_classes: Annotated[tuple[Annotated[int, AtLeast(2)], ...], Some(distinct=True)] = NUM_CLASSES
    """Classes of a run, one curve point each."""
    learned_images: Annotated[int, Within(1, 19)] = TRAIN_IMAGES
    """Images of a class that a run learns, the first ones; the others are held out."""
    num_runs: Annotated[int, AtLeast(2)] = 20
    """Runs of every point (published: 50)."""
    lrs: Annotated[tuple[Rate, ...], Some()] = (0.003, 0.001, 0.0003, 0.0001)
    """Rates of Adam to choose from, for every head and number of classes anew."""
    sgd_lrs: Annotated[tuple[Rate, ...], Some()] = (0.0003, 0.001, 0.003, 0.01)
    """Rates of SGD to choose from for the cosine layer, which begins at 0."""
    lr_by: Selection = "meta-train classes"
    """What the rate is chosen by: held-out images of meta-train classes, or training accuracy on the test's classes."""
    lr_runs: Count = 2
    """Runs of each rate that it is chosen by; other runs than those reported."""
    shrinkages: Annotated[tuple[Annotated[float, Above(0), Within(0, 1)], ...], Some()] = (0.1, 0.3, 0.5, 0.7, 0.9)
    """How far whitening leaves directions as they are, to choose from by the rule of the rates: near 0 each gets the same
    spread, with 1 none is changed."""

    def __post_init__(self) -> None:
        check_ranges(self)

    def check(self, *, meta_train: int, meta_test: int) -> None:
        """Refuses more classes than the splits have.

        Args:
            meta_train: Classes that rates may be chosen on.
            meta_test: Classes that are reported.

        Raises:
            ValueError: If a run asks for more.
        """
        available = min(meta_train, meta_test) if self.lr_by == "meta-train classes" else meta_test
        if max(self.test_classes) > available:
            raise ValueError(
                f"Expected `test_classes` from 2 to {available}, the classes of the split, but got {self.test_classes}."
            )


@dataclass(frozen=True, kw_only=True)
class ContinualConfig:
    """Meta-train a network to learn classes in a row, one image at a time, without forgetting."""

    data: CharacterSettings = field(default_factory=CharacterSettings)
    network: ContinualSettings = field(default_factory=ContinualSettings)
    training: TrajectorySettings = field(default_factory=TrajectorySettings)
    test: LongTestSettings = field(default_factory=LongTestSettings)
    seed: Seed = 0
    """Everything random follows from it."""
    device: DeviceName = "auto"
    """Where it computes: a GPU if there is one, or cpu, or cuda."""
    threads: Count = 2
    """Threads of the computation."""

    def __post_init__(self) -> None:
        check_ranges(self)

    @property
    def system(self) -> ContinualTraining:
        """What the system follows from."""
        return ContinualTraining(data=self.data, network=self.network, training=self.training, seed=self.seed)
