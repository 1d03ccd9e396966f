"""Networks that keep learning while they live, without forgetting and without replay."""

from hyperlearning.experiments.shared.image_runs import TrainedClassifier, load_classifier
from hyperlearning.experiments.shared.runs import LearnedSeries, TrainedRun, learn_series, load_run
from hyperlearning.learners.deployment import Deployment
from hyperlearning.networks.anml import ANMLNetwork
from hyperlearning.networks.conv_phenotype import ConvPhenotype
from hyperlearning.networks.convert import ConvertedModule, convert
from hyperlearning.networks.dan import DANNetwork
from hyperlearning.networks.image_networks import dan_autoencoder, dan_classifier
from hyperlearning.networks.input_dans import InputDANs
from hyperlearning.networks.oml import OMLNetwork
from hyperlearning.networks.phenotypes import DenseSkipPhenotype, MLPPhenotype, ResidualPhenotype
from hyperlearning.networks.trunk import TrunkNetwork

__all__ = [
    "ANMLNetwork",
    "ConvPhenotype",
    "ConvertedModule",
    "DANNetwork",
    "DenseSkipPhenotype",
    "Deployment",
    "InputDANs",
    "LearnedSeries",
    "MLPPhenotype",
    "OMLNetwork",
    "ResidualPhenotype",
    "TrainedClassifier",
    "TrainedRun",
    "TrunkNetwork",
    "convert",
    "dan_autoencoder",
    "dan_classifier",
    "learn_series",
    "load_classifier",
    "load_run",
]
