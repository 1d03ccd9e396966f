"""Deep active learning with Barlow Twins on MNIST: what does it add to a classifier, and what does asking by it?

Claim (dissertation, section 4.4, figure 4.2): with 100 and with 1,000 questions a round, it is on par with existing methods.

The page `docs/experiments/dalbt-mnist.md` lists every deviation from the source.
"""

from hyperlearning.experiments.active.twins import grey_presets, twins_experiment
from hyperlearning.systems.active.twins import TwinsConfig

_OF = grey_presets("mnist")

PRESETS: dict[str, TwinsConfig] = {
    "quick": _OF.quick,
    "laptop": _OF.laptop,
    "thousand": _OF.thousand,
    "paper": _OF.paper,
    "smoke": _OF.smoke,
}

EXPERIMENT = twins_experiment(
    __name__,
    claim="On MNIST, Barlow Twins beside a classifier, and asking for outliers, is on par with other strategies.",
    presets=PRESETS,
)
