"""What learns a stream: hypernetworks in their variants, and one network with a remedy against forgetting."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from torch import nn

from hyperlearning.core.seeding import generator
from hyperlearning.learners.continual.distillation import Distillation
from hyperlearning.learners.continual.learner import ContinualLearner, Remedy, Sgd
from hyperlearning.learners.continual.quadratic import Quadratic
from hyperlearning.learners.continual.rehearsal import Rehearsal
from hyperlearning.learners.hypernet_continual.factored import is_worth_it
from hyperlearning.learners.hypernet_continual.hypermask import KeepMasks
from hyperlearning.learners.hypernet_continual.intervals import KeepIntervals
from hyperlearning.learners.hypernet_continual.learner import AdamRule, HypernetLearner, KeepOutputs
from hyperlearning.learners.hypernet_continual.output_penalty import OutputPenalty, TargetsOf
from hyperlearning.networks.hypernetworks.emissions import MaskEmission
from hyperlearning.networks.hypernetworks.hypernetwork import Hypernetwork
from hyperlearning.systems.hypernetworks.continual_lines import Scenario
from hyperlearning.systems.hypernetworks.continual_settings import HypernetSettings, RivalSettings, Variant
from hyperlearning.systems.hypernetworks.continual_tasks import Tasks


class Named(NamedTuple):
    """What a method is called.

    Attributes:
        method: Its key in records.
        title: What a figure calls it.
        note: What it is, in a sentence.
    """

    method: str
    title: str
    note: str


VARIANTS: dict[Variant, Named] = {
    "outputs": Named("outputs", "hypernetwork", "what it emits for old tasks is kept, all of them as one batch"),
    "lookahead": Named("lookahead", "hypernetwork, lookahead", "likewise, as the next update would leave it"),
    "subset": Named("subset", "hypernetwork, one old task", "likewise, of one old task, drawn at every update"),
    "unkept": Named("unkept", "hypernetwork, nothing kept", "likewise, without the penalty"),
    "masks": Named("masks", "HyperMask", "a mask a task on one network, which learns too"),
    "intervals": Named("intervals", "intervals", "a box of embeddings a task, all networks of which have learned it"),
    "nested": Named("nested", "nested intervals", "likewise, boxes that share an embedding"),
}


def hypernet_learner(tasks: Tasks, settings: HypernetSettings, variant: Variant, *, seed: int) -> HypernetLearner:
    """Makes a hypernetwork that learns tasks, in one of its variants.

    Args:
        tasks: The tasks, for the target network and their number.
        settings: Sizes and strengths.
        variant: Which.
        seed: Of first weights.
    """
    masked = variant == "masks"
    network = tasks.network(num_outputs=tasks.num_outputs * (len(tasks) if masked else 1))
    last = list(dict(network.named_parameters()))[-1].split(".")[0]
    hyper = Hypernetwork(
        network,
        len(tasks),
        embedding_size=settings.embedding_size,
        hidden=settings.hidden,
        chunk_size=settings.chunk_size,
        chunk_embedding_size=settings.chunk_embedding_size,
        emission=MaskEmission() if masked else None,
        emits=(lambda name: name.split(".")[0] != last) if masked else (lambda name: bool(name)),
        generator=generator(seed, "hypernetwork"),
    )
    rule = AdamRule(settings.num_steps, settings.batch, settings.lr)
    targets: TargetsOf = "factored" if is_worth_it(hyper, len(tasks) // 2) else "stored"
    return HypernetLearner(hyper, _objective(tasks, network, settings, variant, targets), rule)


def _objective(
    tasks: Tasks, network: nn.Sequential, settings: HypernetSettings, variant: Variant, targets: TargetsOf
) -> KeepOutputs:
    if variant == "masks":
        return KeepMasks(
            OutputPenalty(strength=settings.mask_strength, targets=targets),
            hold=settings.mask_hold,
            zeros=settings.mask_zeros,
            num_outputs=tasks.num_outputs,
        )
    if variant in ("intervals", "nested"):
        return KeepIntervals(
            network,
            strength=settings.interval_strength,
            radius=settings.interval_radius,
            nested=variant == "nested",
        )
    strength = 0.0 if variant == "unkept" else settings.strength
    penalty = OutputPenalty(strength=strength, targets=targets, num_old=1 if variant == "subset" else None)
    return KeepOutputs(penalty, lookahead=variant == "lookahead", doubt=settings.doubt)


class Rival(NamedTuple):
    """One network for all tasks, with a remedy.

    Attributes:
        named: What it is called.
        remedy: Makes its remedy, given a strength.
        first_strength: The first strength that is tried; absent where there is none to find.
    """

    named: Named
    remedy: Callable[[float], Remedy]
    first_strength: float | None = None

    def learner(self, tasks: Tasks, strength: float, scenario: Scenario, sgd: Sgd) -> ContinualLearner:
        """Makes one for a scenario: a last layer a task, one that tasks share, or one of all their labels."""
        network = tasks.network(num_outputs=num_outputs_in(scenario, tasks))
        return ContinualLearner(network, self.remedy(strength), sgd, own_heads=scenario == "task")


def num_outputs_in(scenario: Scenario, tasks: Tasks) -> int:
    """Outputs of one last layer."""
    return tasks.num_outputs * (len(tasks) if scenario == "class" else 1)


def rivals_of(settings: RivalSettings, *, seed: int) -> Iterator[Rival]:
    """Lists those that are no `joint`."""

    def fisher(every_anchor: bool) -> Callable[[float], Remedy]:
        return lambda strength: Quadratic(
            "fisher", strength=strength, every_anchor=every_anchor, num_images=settings.fisher_images
        )

    def replay(strength: float) -> Remedy:
        return Rehearsal(num_kept=settings.replay_images, generator=generator(seed, "replay"))

    found = {
        "sgd": Rival(Named("sgd", "finetune", "one network, nothing against forgetting"), lambda _: Remedy()),
        "ewc": Rival(Named("ewc", "EWC", "pulled to where every task ended, by Fisher information"), fisher(True), 1e2),
        "online_ewc": Rival(
            Named("online_ewc", "online EWC", "pulled to where the last task ended, by its sum"), fisher(False), 1e2
        ),
        "synaptic_intelligence": Rival(
            Named("synaptic_intelligence", "synaptic intelligence", "likewise, by what a weight took off the loss"),
            lambda strength: Quadratic("path", strength=strength),
            1.0,
        ),
        "distillation": Rival(
            Named("distillation", "learning without forgetting", "it keeps saying of new images what it said before"),
            lambda strength: Distillation(strength=strength),
            1.0,
        ),
        "replay": Rival(
            Named("replay", "replay", f"{settings.replay_images} images are kept, and met again at every update"),
            replay,
        ),
    }
    return (found[name] for name in settings.rivals if name in found)
