"""Which of a hundred kinds of small photographs to ask about: is choosing worth anything with the same network and training?

Claim (dissertation, section 3.4.2, figure 3.3, right): on CIFAR-100, asking for what a variational network is least sure of is
ahead of all other methods by a considerable margin.

The page `docs/experiments/osr-cifar100.md` lists every deviation from the source.
"""

from dataclasses import replace

from hyperlearning.experiments.active.asking import asking_experiment
from hyperlearning.experiments.active.photo_presets import photo_presets
from hyperlearning.systems.active.asking import AskConfig, only_condition
from hyperlearning.systems.active.settings import PHOTO_RECIPES, PretrainingSettings, QuestionSettings

_OF = photo_presets(
    "cifar100",
    quick=QuestionSettings(first_labelled=500, query_size=250, num_rounds=3, num_seeds=3),
    laptop=QuestionSettings(first_labelled=800, query_size=400, num_rounds=6, num_seeds=10),
)

_BRIEF = PretrainingSettings(width=16, pretrain_epochs=40, pretrain_batch=128)

PRESETS: dict[str, AskConfig] = {
    "quick": replace(_OF.quick, recipe=replace(PHOTO_RECIPES["features"], pretraining=_BRIEF)),
    "laptop": _OF.laptop,
    "features": _OF.features,
    "paper": _OF.paper,
    "code": _OF.code,
    "smoke": _OF.smoke,
}

EXPERIMENT = asking_experiment(
    __name__,
    claim="Asking for what a variational network is least sure of wins little over chance on photographs of a hundred kinds.",
    presets=PRESETS,
    conditions=only_condition,
)
