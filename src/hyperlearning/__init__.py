"""Networks that keep learning while they live, without forgetting and without replay."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hyperlearning.data.image_folders import UserImages, read_image_folder
    from hyperlearning.data.user_images import as_images
    from hyperlearning.experiments.images.class_incremental import load_classifier
    from hyperlearning.experiments.loading import load
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
    from hyperlearning.systems.images.deployment import ClassifierLife
    from hyperlearning.systems.images.trained import TrainedClassifier
    from hyperlearning.systems.regression.series import LearnedSeries, learn_series
    from hyperlearning.systems.regression.trained import TrainedRun, load_run

_HOMES = {
    "ANMLNetwork": "networks.gated.anml",
    "ClassifierLife": "systems.images.deployment",
    "ConvPhenotype": "networks.dan.conv_phenotype",
    "ConvertedModule": "networks.convert.conversion",
    "DANNetwork": "networks.dan.network",
    "DenseSkipPhenotype": "networks.dan.phenotypes",
    "Deployment": "learners.deployment",
    "InputDANs": "networks.dan.input_dans",
    "LearnedSeries": "systems.regression.series",
    "MLPPhenotype": "networks.dan.phenotypes",
    "OMLNetwork": "networks.gated.oml",
    "ResidualPhenotype": "networks.dan.phenotypes",
    "TrainedClassifier": "systems.images.trained",
    "TrainedRun": "systems.regression.trained",
    "TrunkNetwork": "networks.trunk",
    "UserImages": "data.image_folders",
    "as_images": "data.user_images",
    "convert": "networks.convert.conversion",
    "dan_autoencoder": "networks.dan.image_networks",
    "dan_classifier": "networks.dan.image_networks",
    "learn_series": "systems.regression.series",
    "load": "experiments.loading",
    "load_classifier": "experiments.images.class_incremental",
    "load_run": "systems.regression.trained",
    "read_image_folder": "data.image_folders",
}
"""Where each public name lives; it is imported when it is first used, so that the command starts at once."""

__all__ = [
    "ANMLNetwork",
    "ClassifierLife",
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
    "UserImages",
    "as_images",
    "convert",
    "dan_autoencoder",
    "dan_classifier",
    "learn_series",
    "load",
    "load_classifier",
    "load_run",
    "read_image_folder",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'hyperlearning' has no attribute '{name}'")
    value = getattr(import_module(f"hyperlearning.{_HOMES[name]}"), name)
    globals()[name] = value
    return value
