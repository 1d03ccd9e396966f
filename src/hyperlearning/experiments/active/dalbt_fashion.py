"""Deep active learning with Barlow Twins on Fashion-MNIST: what does it add to a classifier, and what does asking by it?

Claim (dissertation, section 4.4, figure 4.5): it outperforms all other methods but chapter 3's, which it is on par with.

The page `docs/experiments/dalbt-fashion.md` lists every deviation from the source.
"""

from hyperlearning.experiments.active.twins import grey_presets, twins_experiment
from hyperlearning.systems.active.twins import TwinsConfig

_OF = grey_presets("fashion_mnist")

PRESETS: dict[str, TwinsConfig] = {
    "quick": _OF.quick,
    "laptop": _OF.laptop,
    "thousand": _OF.thousand,
    "paper": _OF.paper,
    "smoke": _OF.smoke,
}

EXPERIMENT = twins_experiment(
    __name__,
    claim="On Fashion-MNIST, Barlow Twins beside a classifier, and asking for outliers, outperforms other strategies.",
    presets=PRESETS,
)
