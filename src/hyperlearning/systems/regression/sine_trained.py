"""What can be done with a finished run of OML's sine waves: begin lives, evaluate it anew."""

from typing import NamedTuple

from hyperlearning.core.params import Params
from hyperlearning.engine.run_record import RunRecord
from hyperlearning.engine.runner import load_model
from hyperlearning.learners.deployment import Deployment
from hyperlearning.networks.gated.oml_regressor import OMLRegressor
from hyperlearning.systems.regression.lives import deploy
from hyperlearning.systems.regression.scores import Scores, scores_of, settled
from hyperlearning.systems.regression.sine_build import oml_learner
from hyperlearning.systems.regression.sine_lives import hold_out_lives
from hyperlearning.systems.regression.sine_methods import DIVERGED
from hyperlearning.systems.regression.sine_settings import LifeSettings, OMLSettings, TrainingSettings


class TrainedOML(NamedTuple):
    """OML as a finished run has trained it.

    Attributes:
        network: The network; its own values are not the trained ones.
        life: What a life consists of.
        start: The prediction network at birth.
        innate: The representation.
        inner_lr: Rate of its SGD.
        clamp: Largest magnitude of a gradient's number in the record's lives.
    """

    network: OMLRegressor
    life: LifeSettings
    start: Params
    innate: Params
    inner_lr: float
    clamp: float

    def deployment(self) -> Deployment:
        """Begins a life: the prediction network at birth, the representation fixed. Its gradients are not clamped."""
        self.network.load_state_dict(self.start, strict=False)
        return Deployment(self.network, self.innate, inner_lr=self.inner_lr)

    def scores(self, num_lives: int, *, seed: int) -> Scores:
        """Lives further lives, that neither training nor the run's own evaluation has met.

        Args:
            num_lives: How many.
            seed: What they are drawn from.
        """
        held_out = hold_out_lives(self.life, num_lives, seed=seed, purpose="evaluate")
        learner = oml_learner(self.network, self.inner_lr, clamp=self.clamp)
        lives = deploy(learner, self.start, self.innate, held_out)
        return scores_of(settled(lives.errors, instead=DIVERGED)[0])


def open_oml(
    record: RunRecord, oml: OMLSettings, training: TrainingSettings, life: LifeSettings, *, seed: int
) -> TrainedOML:
    """Loads what a run has trained.

    Args:
        record: The run's record.
        oml: The settings that its network follows from.
        training: How it was trained.
        life: What a life consists of.
        seed: The run's.

    Raises:
        RunError: If it has not finished training.
        FileError: If its model file was altered.
    """
    innate, start = load_model(record)
    return TrainedOML(oml.build(life, seed), life, start, innate, oml.oml_inner_lr, training.clamp)
