"""Writes `images/innate.safetensors`: what Omniglot's background classes say of the shipped classifier's features.

Run it with the data at hand, after the run in `images` has changed: `python src/hyperlearning/shipped/images_innate.py`.
"""

from pathlib import Path

from hyperlearning.experiments.images.class_incremental import load_classifier
from hyperlearning.systems.images.innate_file import estimated, write_innate

if __name__ == "__main__":
    images = Path(__file__).parent / "images"
    write_innate(images, estimated(load_classifier(images)))
