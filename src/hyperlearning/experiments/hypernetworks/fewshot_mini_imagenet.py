"""Few-shot learning on natural images: hypernetworks that write classifiers, on mini-ImageNet.

Claim (Sendera et al., "HyperShot", 2023, table 1): a hypernetwork that reads the kernel of the support tells new classes of
mini-ImageNet apart at 53.18 percent from one image of each of five and 69.62 from five, beside 44 to 50 and 63 to 66 of others.

The page `docs/experiments/fewshot-mini-imagenet.md` lists every deviation from the source.
"""

from dataclasses import replace

from hyperlearning.experiments.hypernetworks.few_shot import COMPARED, few_shot_experiment
from hyperlearning.systems.hypernetworks.few_shot_pools import in_domain_pools
from hyperlearning.systems.hypernetworks.few_shot_settings import (
    EpisodeData,
    EpisodeTests,
    EpisodeTraining,
    FewShotConfig,
    LearnerSettings,
)

_DATA = EpisodeData(dataset="mini_imagenet", rotations=False)
_QUICK = FewShotConfig(
    data=_DATA,
    training=EpisodeTraining(
        learners=("prototypes", "baseline_plus", "hyper_shot", "equivariant_hyper_shot", "hyper_maml"),
        common_images=9_000,
        images=1_500,
        lr=2e-3,
        last_relu=False,
        step_images=120,
        width=32,
        looks=3,
    ),
    tests=EpisodeTests(ways=(5,), validation_episodes=100),
)

PRESETS: dict[str, FewShotConfig] = {
    "quick": _QUICK,
    "laptop": FewShotConfig(
        data=_DATA,
        training=EpisodeTraining(
            learners=COMPARED, common_images=300_000, images=60_000, last_relu=False, lr=1e-3, train_queries=5
        ),
        tests=EpisodeTests(ways=(5,)),
        threads=2,
    ),
    "smoke": replace(
        _QUICK,
        training=EpisodeTraining(
            learners=("prototypes", "hyper_shot"),
            images=60,
            width=4,
            train_ways=3,
            train_shots=(1, 2),
            train_queries=2,
            step_images=15,
            looks=2,
        ),
        learners=LearnerSettings(adapting_steps=2, whole_ways=(3,)),
        tests=EpisodeTests(ways=(3,), shots=(1, 2), queries=3, episodes=10, validation_episodes=4),
    ),
    # HyperShot's command: 10,000 epochs of 100 episodes of 5 ways with 16 queries; one shot.
    "paper": FewShotConfig(
        data=_DATA,
        training=EpisodeTraining(
            learners=COMPARED,
            images=85_000_000,
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
    claim="On mini-ImageNet, a hypernetwork that reads a few photographs' kernel writes a classifier for new classes.",
    presets=PRESETS,
    pools=in_domain_pools,
)
