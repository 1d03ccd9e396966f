"""Few-shot learning on Omniglot: hypernetworks that write classifiers, beside learners that solve, tune or descend them.

Claim (Sendera et al., "HyperShot", 2023): a hypernetwork that reads the kernel of the support, and writes a small network for
it, tells new classes apart better than learners that measure distances or take gradient steps. Here on Omniglot's evaluation
alphabets.

The page `docs/experiments/fewshot-omniglot.md` lists every deviation from the source.
"""

from dataclasses import replace

from hyperlearning.experiments.hypernetworks.few_shot import few_shot_experiment
from hyperlearning.systems.hypernetworks.few_shot_pools import in_domain_pools
from hyperlearning.systems.hypernetworks.few_shot_settings import (
    EpisodeTests,
    EpisodeTraining,
    FewShotConfig,
    LearnerSettings,
)

_QUICK = FewShotConfig(
    training=EpisodeTraining(
        learners=("prototypes", "ridge", "baseline_plus", "hyper_shot", "equivariant_hyper_shot", "hyper_maml"),
        common_images=70_000,
        images=25_000,
        lr=2e-3,
        step_images=120,
        width=32,
        last_relu=False,
        looks=5,
    ),
    tests=EpisodeTests(ways=(5,), validation_episodes=50),
)

PRESETS: dict[str, FewShotConfig] = {
    "quick": _QUICK,
    "laptop": FewShotConfig(
        training=EpisodeTraining(common_images=3_000_000, images=200_000, last_relu=False, lr=1e-3), threads=2
    ),
    "smoke": replace(
        _QUICK,
        training=EpisodeTraining(
            common_images=60,
            images=120,
            width=4,
            train_ways=3,
            train_shots=(1, 2),
            train_queries=2,
            step_images=30,
            looks=2,
        ),
        learners=LearnerSettings(inner_steps=2, tuning_steps=2, adapting_steps=2, blend="published", whole_ways=(3,)),
        tests=EpisodeTests(ways=(3, 4), shots=(1, 2), queries=3, episodes=10, validation_episodes=4),
    ),
    # HyperShot's command for characters: 200,000 episodes of 5 ways with 16 queries, so 17 million images; one shot.
    "paper": FewShotConfig(
        training=EpisodeTraining(
            images=17_000_000, train_ways=5, train_shots=(1,), train_queries=16, step_images=85, lr=1e-3, looks=100
        ),
        learners=LearnerSettings(blend="published", whole_ways=(5,)),
        tests=EpisodeTests(ways=(5,), shots=(1,)),
    ),
}


EXPERIMENT = few_shot_experiment(
    __name__,
    claim="A hypernetwork that reads a few images' kernel writes a classifier for classes that are new.",
    presets=PRESETS,
    pools=in_domain_pools,
)
