"""What is trained on answers, made from settings: with random encoders, or with one that learned from the pool before."""

from rich.console import Console

from hyperlearning.core.seeding import generator
from hyperlearning.engine.run_record import RunRecord
from hyperlearning.systems.active.learned import learn_features
from hyperlearning.systems.active.networks import make_encoder
from hyperlearning.systems.active.pretraining import make_pretrained
from hyperlearning.systems.active.problem import Problem
from hyperlearning.systems.active.recipes import FrozenFeatures, Recipe, TrainedNetworks
from hyperlearning.systems.active.settings import RecipeSettings


def make_recipe(
    problem: Problem, settings: RecipeSettings, record: RunRecord, console: Console, *, seed: int, reject: bool = False
) -> Recipe:
    """Makes what is trained on answers; where it rests on features of the pool, these are learned first, or gone on with.

    Args:
        problem: What is asked about.
        settings: Network and training.
        record: The run's.
        console: Where progress is shown.
        seed: Of features.
        reject: Whether images that are none of ours are learned, too.
    """
    if settings.model == "frozen":
        learned = learn_features(problem, settings.pretraining, record, console, seed=seed)
        pool, tests = learned(problem.images), learned(problem.test_images)
        return FrozenFeatures(pool, tests, problem.num_classes, num_draws=settings.draws, reject=reject)
    encoder = None
    if settings.begins_as == "pretrained":
        encoder = learn_features(problem, settings.pretraining, record, console, seed=seed).encoder
    return TrainedNetworks(problem, settings, reject=reject, encoder=encoder)


def check_pretraining(settings: RecipeSettings, problem: Problem) -> None:
    """Raises if the encoder that learns from the pool is not of the kind that then learns from labels.

    Raises:
        ValueError: If so.
    """
    if settings.model == "frozen" or settings.begins_as == "random":
        return
    image, source, pretraining = problem.images[0], generator(0, "encoders that are compared"), settings.pretraining
    made = make_encoder(settings.encoder, image, source), make_pretrained(pretraining, image, source)
    named, learned = ([tuple(own.shape) for own in encoder.parameters()] for encoder in made)
    if named != learned:
        raise ValueError(
            f"Expected `pretrained` and `width` of the {settings.encoder} that learns from labels, but got "
            f"{pretraining.pretrained} with {pretraining.width} channels."
        )
