"""Images as networks: is one that a hypernetwork writes from a short code nearer than what the same code gives by other ways?

Claim (programme of hypernetworks; Sitzmann et al., "Implicit Neural Representations with Periodic Activation Functions", 2020,
section 4.4; Klocek et al., "Hypernetwork Functional Image Representation", 2019): a hypernetwork maps images to networks that
give them back at any point, and generalises to images that it never saw.

The page `docs/experiments/inr-images.md` lists every deviation from the source.
"""

from dataclasses import dataclass, field, replace

from rich.console import Console

from hyperlearning.core.expect import Count, Seed, check_ranges
from hyperlearning.engine.devices import DeviceName
from hyperlearning.engine.run_record import RunRecord
from hyperlearning.experiments.entry import Entry, Fared, FurtherLives, Measure, MetLives, refuse_further
from hyperlearning.experiments.experiment import Experiment, page_of
from hyperlearning.systems.hypernetworks.image_coders import CODERS
from hyperlearning.systems.hypernetworks.image_comparison import check_images, compare_coders, draw_images
from hyperlearning.systems.hypernetworks.image_lines import CoderLine
from hyperlearning.systems.hypernetworks.image_settings import CodedImages, CoderSettings


@dataclass(frozen=True, kw_only=True)
class Config:
    """Code images in a few numbers, by hypernetworks and otherwise, and compare what comes back."""

    data: CodedImages = field(default_factory=CodedImages)
    coding: CoderSettings = field(default_factory=CoderSettings)
    seed: Seed = 0
    """Everything random follows from it."""
    device: DeviceName = "cpu"
    """Where it computes."""
    threads: Count = 1
    """Threads of the computation."""

    def __post_init__(self) -> None:
        check_ranges(self)


_LAPTOP = Config()

_QUICK = replace(
    _LAPTOP,
    data=CodedImages(train_images=20_000, test_images=500),
    coding=CoderSettings(updates=1000, looks=5, coders=("principal", "autoencoder", "residual", "modulated")),
)

PRESETS: dict[str, Config] = {
    "quick": _QUICK,
    "laptop": _LAPTOP,
    "characters": replace(_LAPTOP, data=CodedImages(dataset="omniglot")),
    "clothes": replace(_LAPTOP, data=CodedImages(dataset="fashion_mnist")),
    # SIREN's own, for faces: 256 units in five layers, a code of 256, all points, a rate of .00005.
    "paper": replace(
        _LAPTOP,
        coding=CoderSettings(
            coders=("principal", "autoencoder", "residual"),
            code_size=256,
            signal_sizes=(256, 256, 256),
            hidden=(256,),
            gain=0.01,
            updates=200_000,
            batch=100,
            points=1.0,
            coder_lr=0.00005,
            warm_up=0.0,
        ),
    ),
    "smoke": replace(
        _QUICK,
        data=CodedImages(train_images=60, test_images=20),
        coding=CoderSettings(updates=4, looks=2, code_size=4, signal_sizes=(8,), hidden=(16,), batch=8),
    ),
}


def check(config: Config) -> None:
    """Raises if settings contradict one another, or data are absent."""
    check_ranges(config)
    check_images(draw_images(config.data, config.coding, config.seed))


def run(config: Config, record: RunRecord, console: Console) -> None:
    """Trains and tests all coders, or goes on doing so."""
    record.note(threads=config.threads)
    compare_coders(draw_images(config.data, config.coding, config.seed), config, record, console)


def enter(record: RunRecord, further: FurtherLives | None) -> Entry:
    """Every coder on the test images of the run, an image a life."""
    refuse_further(record, further)
    config, lines = record.settings(Config), record.lines(CoderLine)
    named = next((line.coder for line in lines if line.num_emitted is not None), lines[0].coder)
    systems = tuple(
        Fared(
            system=line.coder,
            title=CODERS[line.coder].title,
            enters=line.coder == named,
            scores={"psnr": line.psnrs},
        )
        for line in lines
    )
    facts = {"dataset": config.data.dataset, "images": len(lines[0].psnrs), "seed": config.seed}
    met = MetLives(title=f"test images of {config.data.dataset}", facts=facts, systems=systems)
    measure = Measure(name="psnr", title="peak signal to noise", unit="dB")
    return Entry(measures=(measure,), met=(met,))


EXPERIMENT = Experiment(
    claim="A hypernetwork writes networks that give back images from short codes, at any number of pixels.",
    presets=PRESETS,
    check=check,
    run=run,
    report=page_of(__name__),
    enter=enter,
)
