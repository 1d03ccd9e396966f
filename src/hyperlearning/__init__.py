"""Networks that keep learning while they live, without forgetting and without replay."""

from hyperlearning.experiments.shared.runs import LearnedSeries, TrainedRun, learn_series, load_run
from hyperlearning.learners.deployment import Deployment
from hyperlearning.networks.convert import ConvertedModule, convert
from hyperlearning.networks.dan import DANNetwork
from hyperlearning.networks.phenotypes import DenseSkipPhenotype, MLPPhenotype

__all__ = [
    "ConvertedModule",
    "DANNetwork",
    "DenseSkipPhenotype",
    "Deployment",
    "LearnedSeries",
    "MLPPhenotype",
    "TrainedRun",
    "convert",
    "learn_series",
    "load_run",
]
