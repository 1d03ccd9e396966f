"""OML and ANML: network and meta-training as settings."""

from dataclasses import dataclass, field
from typing import Literal

from hyperlearning.core.seeding import generator
from hyperlearning.engine.hyper_training import Schedule
from hyperlearning.networks.gated.anml import ANMLNetwork, Gates
from hyperlearning.networks.gated.oml import OMLNetwork
from hyperlearning.systems.trajectories.characters import CharacterSettings

PUBLISHED_OUTPUTS = 1000

ContinualNetwork = OMLNetwork | ANMLNetwork


@dataclass(frozen=True, kw_only=True)
class ContinualSettings:
    """The network."""

    architecture: Literal["oml", "anml"] = "anml"
    """OML: innate convolutions and a plastic linear layer. ANML: plastic convolutions and linear layer, gated by innate ones."""
    width: float = 0.25
    """Share of the published feature maps: 1, .5 or .25."""
    gates: Gates = "learned"
    """ANML's neuromodulator: learned, random (as drawn, never trained) or none. OML has none: leave it at learned there."""

    def __post_init__(self) -> None:
        """Refuses an option without effect."""
        if self.architecture not in ("oml", "anml"):
            raise ValueError(f"Expected `architecture` to be 'oml' or 'anml', but got {self.architecture!r}.")
        if self.architecture == "oml" and self.gates != "learned":
            raise ValueError(
                f"Expected `gates` to be left as they are for OML, which has none, but got {self.gates!r}."
            )

    def build(self, data: CharacterSettings, seed: int) -> ContinualNetwork:
        """Builds the network, its numbers drawn from the seed; it has an output for every class of meta-training."""
        source = generator(seed, "network")
        outputs = max(PUBLISHED_OUTPUTS, data.num_labels)
        if self.architecture == "oml":
            return OMLNetwork(outputs, side=data.side, width=self.width, generator=source)
        return ANMLNetwork(outputs, width=self.width, gates=self.gates, generator=source)


@dataclass(frozen=True, kw_only=True)
class TrajectorySettings:
    """How it is meta-trained."""

    num_steps: int = 2000
    """Outer steps, one trajectory each (published: 20,000)."""
    classes_per_trajectory: int = 1
    """Classes that a trajectory goes through, one after another (ANML 1, OML 3)."""
    images_per_class: int = 20
    """Images of each, one update an image (ANML 20, OML 5)."""
    other_images_per_class: int = 0
    """Other images of each in the meta-loss in place of the trajectory's own (ANML 0, OML 5)."""
    remember_size: int = 64
    """Images of all classes in the meta-loss (ANML 64, OML 15)."""
    inner_lr: float = 0.1
    """Rate of plain SGD along the trajectory (ANML .1, OML .03)."""
    outer_lr: float = 0.001
    """Rate of the outer Adam (ANML .001, OML .0001)."""
    schedule: Schedule = "constant"
    """Course of the outer rate (published: constant)."""
    first_order: bool = False
    """Whether the outer gradient leaves second derivatives out, as ANML's authors shipped it; else it is exact."""
    population: int = 1
    """Trajectories of an outer step, whose gradients are averaged (published: 1)."""
    checkpoint: bool = False
    """Whether activations along the trajectory are computed twice instead of being kept: slower, with less memory."""

    def __post_init__(self) -> None:
        """Checks what can be checked without data."""
        if min(self.num_steps, self.population) < 1 or not min(self.inner_lr, self.outer_lr) > 0:
            raise ValueError(
                "Expected positive `num_steps`, `population`, `inner_lr` and `outer_lr`, but got "
                f"{self.num_steps}, {self.population}, {self.inner_lr} and {self.outer_lr}."
            )
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

    @property
    def order(self) -> str:
        """The order of the outer gradient in words."""
        return "first order" if self.first_order else "second order, exact"


@dataclass(frozen=True, kw_only=True)
class ContinualTraining:
    """All of a meta-trained system."""

    data: CharacterSettings = field(default_factory=CharacterSettings)
    network: ContinualSettings = field(default_factory=ContinualSettings)
    training: TrajectorySettings = field(default_factory=TrajectorySettings)
    supervised: bool = False
    """Whether it is trained on shuffled batches by plain Adam instead, without trajectories: pretraining."""
    seed: int = 0

    @property
    def order(self) -> str:
        """The order of the outer gradient in words."""
        return "no trajectories" if self.supervised else self.training.order
