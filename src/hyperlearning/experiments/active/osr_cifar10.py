"""Which of ten kinds of small photographs to ask about: is choosing worth anything with the same network and training?

Claim (dissertation, section 3.4.2, figure 3.3, left): on CIFAR-10, asking for what a variational network is least sure of is
ahead of all other methods by a considerable margin.

The page `docs/experiments/osr-cifar10.md` lists every deviation from the source.
"""

from hyperlearning.experiments.active.asking import asking_experiment
from hyperlearning.experiments.active.photo_presets import photo_presets
from hyperlearning.systems.active.asking import AskConfig, only_condition
from hyperlearning.systems.active.settings import QuestionSettings

_OF = photo_presets(
    "cifar10",
    quick=QuestionSettings(first_labelled=100, query_size=100, num_rounds=2, num_seeds=3),
    laptop=QuestionSettings(first_labelled=1000, query_size=500, num_rounds=6, num_seeds=10),
)

PRESETS: dict[str, AskConfig] = {
    "quick": _OF.quick,
    "laptop": _OF.laptop,
    "features": _OF.features,
    "paper": _OF.paper,
    "code": _OF.code,
    "smoke": _OF.smoke,
}

EXPERIMENT = asking_experiment(
    __name__,
    claim="Asking for what a variational network is least sure of wins little over chance on small photographs.",
    presets=PRESETS,
    conditions=only_condition,
)
