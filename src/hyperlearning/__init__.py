"""Networks that keep learning while they live, without forgetting and without replay."""

from hyperlearning.learners.deployment import Deployment
from hyperlearning.networks.convert.conversion import ConvertedModule, convert
from hyperlearning.networks.dan.conv_phenotype import ConvPhenotype
from hyperlearning.networks.dan.image_networks import dan_autoencoder, dan_classifier
from hyperlearning.networks.dan.input_dans import InputDANs
from hyperlearning.networks.dan.network import DANNetwork
from hyperlearning.networks.dan.phenotypes import DenseSkipPhenotype, MLPPhenotype, ResidualPhenotype
from hyperlearning.networks.gated.anml import ANMLNetwork
from hyperlearning.networks.gated.oml import OMLNetwork
from hyperlearning.networks.trunk import TrunkNetwork
from hyperlearning.systems.images.trained import TrainedClassifier, load_classifier
from hyperlearning.systems.regression.series import LearnedSeries, learn_series
from hyperlearning.systems.regression.trained import TrainedRun, load_run

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
