"""Few-shot learning across data sets: learned from Omniglot without Latin, tested on EMNIST, MNIST, KMNIST and Fashion-MNIST.

Claim (Sendera et al., "HyperShot", 2023, table 2): a hypernetwork that reads the kernel of the support carries over to other
glyphs better than other learners do: 80.65 percent of queries right of EMNIST's odd classes from one image of each of five,
90.81 from five.

The page `docs/experiments/fewshot-transfer.md` lists every deviation from the source.
"""

from dataclasses import replace

from hyperlearning.experiments.hypernetworks.few_shot import COMPARED, few_shot_experiment
from hyperlearning.systems.hypernetworks.few_shot_pools import transfer_pools
from hyperlearning.systems.hypernetworks.few_shot_settings import (
    EpisodeData,
    EpisodeTests,
    EpisodeTraining,
    FewShotConfig,
    LearnerSettings,
)

_DATA = EpisodeData(augmentation="elastic")
_QUICK = FewShotConfig(
    data=_DATA,
    training=EpisodeTraining(
        learners=("cosine_prototypes", "ridge", "baseline_plus", "hyper_shot", "equivariant_hyper_shot", "hyper_maml"),
        common_images=70_000,
        images=25_000,
        lr=2e-3,
        step_images=120,
        width=32,
        last_relu=False,
        looks=5,
    ),
    tests=EpisodeTests(ways=(5,), validation_episodes=100),
)

PRESETS: dict[str, FewShotConfig] = {
    "quick": _QUICK,
    "laptop": FewShotConfig(
        data=_DATA,
        training=EpisodeTraining(learners=COMPARED, common_images=4_000_000, images=250_000, last_relu=False, lr=1e-3),
        tests=EpisodeTests(ways=(5,)),
        threads=2,
    ),
    "smoke": replace(
        _QUICK,
        training=EpisodeTraining(
            learners=("cosine_prototypes", "hyper_shot"),
            images=120,
            width=4,
            train_ways=3,
            train_shots=(1, 2),
            train_queries=2,
            step_images=30,
            looks=2,
        ),
        learners=LearnerSettings(adapting_steps=2, whole_ways=(3,)),
        tests=EpisodeTests(ways=(3,), shots=(1, 2), queries=3, episodes=10, validation_episodes=4),
    ),
    # HyperShot's command for characters: 200,000 episodes of 5 ways with 16 queries, so 17 million images; one shot.
    "paper": FewShotConfig(
        data=EpisodeData(),
        training=EpisodeTraining(
            learners=COMPARED,
            images=17_000_000,
            train_ways=5,
            train_shots=(1,),
            train_queries=16,
            step_images=85,
            lr=1e-3,
            looks=100,
        ),
        learners=LearnerSettings(blend="published"),
        tests=EpisodeTests(ways=(5,), shots=(1,)),
    ),
}


EXPERIMENT = few_shot_experiment(
    __name__,
    claim="A hypernetwork trained on Omniglot without Latin writes classifiers for other letters, digits and clothes.",
    presets=PRESETS,
    pools=transfer_pools,
)
