"""Networks that keep learning while they live, without forgetting and without replay."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hyperlearning.acquisition.strategies import STRATEGIES
    from hyperlearning.data.image_folders import UserImages, read_image_folder
    from hyperlearning.data.unlabelled_folders import read_unlabelled_folder
    from hyperlearning.data.user_images import as_images
    from hyperlearning.experiments.images.class_incremental import load_classifier
    from hyperlearning.experiments.loading import load
    from hyperlearning.learners.closed_form.class_means import ClassMeans
    from hyperlearning.learners.closed_form.conjugate_bayes import ConjugateBayes
    from hyperlearning.learners.closed_form.discriminant import LinearDiscriminant
    from hyperlearning.learners.closed_form.least_mean_squares import NormalisedLMS
    from hyperlearning.learners.closed_form.least_squares import RecursiveLeastSquares, RidgeClassifier
    from hyperlearning.learners.closed_form.life import ClosedFormLife
    from hyperlearning.learners.deployment import Deployment
    from hyperlearning.learners.sequence_life import SequenceLife
    from hyperlearning.learners.weight_codecs.principal import PrincipalComponents
    from hyperlearning.learners.weight_codecs.residuals import QuantisedResiduals, stepped, uniform
    from hyperlearning.learners.weight_codecs.self_net import SelfNet, SelfNetRule
    from hyperlearning.learners.weight_store import WeightStore
    from hyperlearning.networks.convert.conversion import ConvertedModule, convert
    from hyperlearning.networks.dan.conv_phenotype import ConvPhenotype
    from hyperlearning.networks.dan.image_networks import dan_autoencoder, dan_classifier
    from hyperlearning.networks.dan.input_dans import InputDANs
    from hyperlearning.networks.dan.network import DANNetwork
    from hyperlearning.networks.dan.phenotypes import DenseSkipPhenotype, MLPPhenotype, ResidualPhenotype
    from hyperlearning.networks.features import GaussianBumps, Harmonics, RandomFeatures
    from hyperlearning.networks.gated.anml import ANMLNetwork
    from hyperlearning.networks.gated.oml import OMLNetwork
    from hyperlearning.networks.hypernetworks.emissions import (
        FullEmission,
        LowRankEmission,
        MaskEmission,
        ResidualEmission,
    )
    from hyperlearning.networks.hypernetworks.hypernetwork import Hypernetwork
    from hyperlearning.networks.sequence_model import SequenceModel
    from hyperlearning.networks.trunk import TrunkNetwork
    from hyperlearning.networks.weight_codec.hashed import CodedNetwork
    from hyperlearning.networks.weight_codec.masked import MaskedNetwork
    from hyperlearning.systems.active.embedders import folder_features
    from hyperlearning.systems.active.labelling.classifier import FolderClassifier
    from hyperlearning.systems.active.loop import ActiveLoop
    from hyperlearning.systems.active.questions import NOT_OURS, UNSURE
    from hyperlearning.systems.class_life import ClassifierLife
    from hyperlearning.systems.images.trained import TrainedClassifier
    from hyperlearning.systems.regression.series import LearnedSeries, learn_series
    from hyperlearning.systems.regression.trained import TrainedRun, load_run

_HOMES = {
    "ANMLNetwork": "networks.gated.anml",
    "ActiveLoop": "systems.active.loop",
    "ClassMeans": "learners.closed_form.class_means",
    "ClassifierLife": "systems.class_life",
    "ClosedFormLife": "learners.closed_form.life",
    "CodedNetwork": "networks.weight_codec.hashed",
    "ConjugateBayes": "learners.closed_form.conjugate_bayes",
    "ConvPhenotype": "networks.dan.conv_phenotype",
    "ConvertedModule": "networks.convert.conversion",
    "DANNetwork": "networks.dan.network",
    "DenseSkipPhenotype": "networks.dan.phenotypes",
    "Deployment": "learners.deployment",
    "FolderClassifier": "systems.active.labelling.classifier",
    "FullEmission": "networks.hypernetworks.emissions",
    "GaussianBumps": "networks.features",
    "Harmonics": "networks.features",
    "Hypernetwork": "networks.hypernetworks.hypernetwork",
    "InputDANs": "networks.dan.input_dans",
    "LearnedSeries": "systems.regression.series",
    "LinearDiscriminant": "learners.closed_form.discriminant",
    "LowRankEmission": "networks.hypernetworks.emissions",
    "MLPPhenotype": "networks.dan.phenotypes",
    "MaskEmission": "networks.hypernetworks.emissions",
    "MaskedNetwork": "networks.weight_codec.masked",
    "NOT_OURS": "systems.active.questions",
    "NormalisedLMS": "learners.closed_form.least_mean_squares",
    "OMLNetwork": "networks.gated.oml",
    "PrincipalComponents": "learners.weight_codecs.principal",
    "QuantisedResiduals": "learners.weight_codecs.residuals",
    "RandomFeatures": "networks.features",
    "RecursiveLeastSquares": "learners.closed_form.least_squares",
    "ResidualEmission": "networks.hypernetworks.emissions",
    "ResidualPhenotype": "networks.dan.phenotypes",
    "RidgeClassifier": "learners.closed_form.least_squares",
    "STRATEGIES": "acquisition.strategies",
    "SelfNet": "learners.weight_codecs.self_net",
    "SelfNetRule": "learners.weight_codecs.self_net",
    "SequenceLife": "learners.sequence_life",
    "SequenceModel": "networks.sequence_model",
    "TrainedClassifier": "systems.images.trained",
    "TrainedRun": "systems.regression.trained",
    "TrunkNetwork": "networks.trunk",
    "UNSURE": "systems.active.questions",
    "UserImages": "data.image_folders",
    "WeightStore": "learners.weight_store",
    "as_images": "data.user_images",
    "convert": "networks.convert.conversion",
    "dan_autoencoder": "networks.dan.image_networks",
    "dan_classifier": "networks.dan.image_networks",
    "folder_features": "systems.active.embedders",
    "learn_series": "systems.regression.series",
    "load": "experiments.loading",
    "load_classifier": "experiments.images.class_incremental",
    "load_run": "systems.regression.trained",
    "read_image_folder": "data.image_folders",
    "read_unlabelled_folder": "data.unlabelled_folders",
    "stepped": "learners.weight_codecs.residuals",
    "uniform": "learners.weight_codecs.residuals",
}
"""Where each public name lives; it is imported when it is first used, so that the command starts at once."""

__all__ = [
    "NOT_OURS",
    "STRATEGIES",
    "UNSURE",
    "ANMLNetwork",
    "ActiveLoop",
    "ClassMeans",
    "ClassifierLife",
    "ClosedFormLife",
    "CodedNetwork",
    "ConjugateBayes",
    "ConvPhenotype",
    "ConvertedModule",
    "DANNetwork",
    "DenseSkipPhenotype",
    "Deployment",
    "FolderClassifier",
    "FullEmission",
    "GaussianBumps",
    "Harmonics",
    "Hypernetwork",
    "InputDANs",
    "LearnedSeries",
    "LinearDiscriminant",
    "LowRankEmission",
    "MLPPhenotype",
    "MaskEmission",
    "MaskedNetwork",
    "NormalisedLMS",
    "OMLNetwork",
    "PrincipalComponents",
    "QuantisedResiduals",
    "RandomFeatures",
    "RecursiveLeastSquares",
    "ResidualEmission",
    "ResidualPhenotype",
    "RidgeClassifier",
    "SelfNet",
    "SelfNetRule",
    "SequenceLife",
    "SequenceModel",
    "TrainedClassifier",
    "TrainedRun",
    "TrunkNetwork",
    "UserImages",
    "WeightStore",
    "as_images",
    "convert",
    "dan_autoencoder",
    "dan_classifier",
    "folder_features",
    "learn_series",
    "load",
    "load_classifier",
    "load_run",
    "read_image_folder",
    "read_unlabelled_folder",
    "stepped",
    "uniform",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'hyperlearning' has no attribute '{name}'")
    value = getattr(import_module(f"hyperlearning.{_HOMES[name]}"), name)
    globals()[name] = value
    return value
