"""Heads that are solved: linear readouts of fixed features which follow from all images learned, in whatever order they came.

What a readout of `learners.closed_form` arrives at one image after another is solved here for a whole run at once, in double
precision. What has to be chosen is chosen on other runs, by the rule of the rates; what is innate is of meta-train classes.

Shape suffixes: K classes of a split, C classes of a run, n images, F features.
"""

from collections.abc import Callable, Sequence
from itertools import product
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from hyperlearning.core.seeding import generator
from hyperlearning.evaluation.recognition import Accuracy, ClassFeatures, check_runs
from hyperlearning.learners.closed_form.discriminant import shrunk
from hyperlearning.learners.closed_form.least_squares import ridge
from hyperlearning.streams.trajectories import MetaTestRuns
from hyperlearning.systems.trajectories.whitening import SplitFeatures

NUM_PROJECTIONS = 2000
SHRINKAGES = (0.03, 0.1, 0.3, 0.6, 1.0)
STRENGTHS = (1e2, 1e3, 1e4)
"""Images that the innate covariance is worth where it streams."""
PRECISIONS = (0.01, 0.1, 1.0, 10.0, 100.0, 1000.0)
"""Of ridge, in units of the features' mean square length."""


class LinearReadout(NamedTuple):
    """Logits `images @ weight + bias`, one for each class of a run."""

    weight: Float[Tensor, "F C"]
    bias: Float[Tensor, " C"]


class Innate(NamedTuple):
    """What meta-train classes say of features.

    Attributes:
        covariance: Within classes.
        square: Mean squared length.
    """

    covariance: Float[Tensor, "F F"]
    square: float


Solve = Callable[[Float[Tensor, "C n F"], Innate, Sequence[float]], LinearReadout]
"""Maps images learned by class, what is innate and what was chosen to a readout."""


class Solver(NamedTuple):
    """A way to solve a readout.

    Attributes:
        solve: Does so.
        names: Names of what is chosen.
        tried: Values to choose from.
        projects: Whether features are projected at random first.
    """

    solve: Solve
    names: tuple[str, ...]
    tried: tuple[tuple[float, ...], ...]
    projects: bool = False


def solve_discriminant(learned: Tensor, innate: Innate, chosen: Sequence[float]) -> LinearReadout:
    """Class means under the innate covariance, shrunk."""
    (shrinkage,) = chosen
    return _discriminant(learned.mean(1), shrunk(innate.covariance, shrinkage))


def solve_streaming(learned: Tensor, innate: Innate, chosen: Sequence[float]) -> LinearReadout:
    """Class means under a covariance that is innate at first and learned from the images too, see `LinearDiscriminant`."""
    shrinkage, strength = chosen
    means = learned.mean(1)
    apart = (learned - means[:, None]).flatten(0, 1)
    scatter = strength * shrunk(innate.covariance, shrinkage) + apart.T @ apart
    return _discriminant(means, scatter / (strength + len(apart)))


def _discriminant(means_CF: Tensor, covariance_FF: Tensor) -> LinearReadout:
    weight = torch.linalg.solve(covariance_FF, means_CF.T)
    return LinearReadout(weight, (means_CF * weight.T).sum(1) / -2)


def solve_ridge(learned: Tensor, innate: Innate, chosen: Sequence[float]) -> LinearReadout:
    """Least squares on labels written as one 1 among zeros."""
    (precision,) = chosen
    num_classes, num_images = learned.shape[:2]
    codes = torch.eye(num_classes, dtype=learned.dtype).repeat_interleave(num_images, 0)
    weight = ridge(learned.flatten(0, 1), codes, precision=precision * innate.square)
    return LinearReadout(weight, weight.new_zeros(num_classes))


_ALONE = tuple((precision,) for precision in PRECISIONS)
DISCRIMINANT = Solver(solve_discriminant, ("shrinkage",), tuple((value,) for value in SHRINKAGES))
STREAMING = Solver(solve_streaming, ("shrinkage", "strength"), tuple(product(SHRINKAGES, STRENGTHS)))
RIDGE = Solver(solve_ridge, ("precision",), _ALONE)
PROJECTED_RIDGE = Solver(solve_ridge, ("precision",), _ALONE, projects=True)


def innate_of(features: ClassFeatures) -> Innate:
    """Estimates what is innate from all images of meta-train classes."""
    images = torch.cat((features.train, features.held_out), dim=1).double()
    apart = (images - images.mean(1, keepdim=True)).flatten(0, 1)
    return Innate(apart.T @ apart / (len(apart) - len(images)), float(images.square().sum(-1).mean()))


def projected(features: SplitFeatures, *, seed: int) -> SplitFeatures:
    """Random units of features, `relu(f R)`, under which features of usual length have projections of variance 1."""
    train = features.meta_train.train
    size = float(train.square().sum(-1).mean()) ** 0.5
    weight = torch.randn(train.shape[-1], NUM_PROJECTIONS, generator=generator(seed, "projection")).to(train) / size
    return SplitFeatures(
        *(
            ClassFeatures(
                train=torch.relu(part.train @ weight), held_out=torch.relu(part.held_out @ weight), split=part.split
            )
            for part in features
        )
    )


def best_choice(solver: Solver, innate: Innate, features: ClassFeatures, runs: MetaTestRuns) -> tuple[float, ...]:
    """Chooses the values of the highest mean accuracy, the first ones of several equals.

    That is accuracy on held-out images of meta-train classes; of other classes on the images learned alone.
    """

    def score(values: tuple[float, ...]) -> float:
        accuracy = solved_test(solver, values, innate, features, runs)
        return float((accuracy.held_out if features.split == "meta-train" else accuracy.memory).mean())

    return max(solver.tried, key=score)


def solved_test(
    solver: Solver, values: Sequence[float], innate: Innate, features: ClassFeatures, runs: MetaTestRuns
) -> Accuracy:
    """Makes all runs with a readout that is solved; classes that were not met are never chosen.

    Raises:
        ValueError: If the runs do not belong to the features.
    """
    check_runs(features, runs)
    shares = []
    for classes in runs.classes:
        learned, shown = features.train[classes].double(), features.held_out[classes].double()
        readout = solver.solve(learned, innate, values)
        shares.append(torch.stack([_recognised(readout, images) for images in (learned, shown)]))
    memory, held_out = torch.stack(shares, dim=1)
    return Accuracy(memory, held_out, memory, held_out)


def _recognised(readout: LinearReadout, images_CnF: Tensor) -> Tensor:
    found = (images_CnF @ readout.weight + readout.bias).argmax(-1)
    return (found == torch.arange(len(found), device=found.device)[:, None]).float().mean()
