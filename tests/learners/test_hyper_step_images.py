"""A hyper step on images does what a plain per-member loop of ordinary modules does."""

import pytest
import torch
from benchmarks.hyper_step_images import Config, check_agreement, fewest_operations, make_network, make_problem

from hyperlearning.core.params import partition
from hyperlearning.learners.population import why_no_kernel

CONFIG = Config(hyper_batch_size=7)


@pytest.mark.parametrize("variant", ["eager", "eager / frugal", "kernel"])
def test_losses_and_parameters_agree_with_the_plain_loop_in_double_precision(variant: str):
    network = make_network(CONFIG)
    plastic, _ = partition(network.head, network.head.is_innate)  # pyright: ignore[reportArgumentType]
    if variant == "kernel" and (reason := why_no_kernel(network.head, plastic)):
        pytest.skip(reason)
    check_agreement(CONFIG, 2, "cpu", variant)
    assert make_problem(CONFIG, 2, "cpu", torch.float64).dtype == torch.float64


def test_operations_are_counted_as_pytorch_counts_them():
    flops, of_phenotypes = fewest_operations(CONFIG, 3)
    assert flops == 3 * fewest_operations(CONFIG, 1)[0]
    # One neuron and sample of 4 x 4 channels: 9 x 8 x 4 and 4 x 8 x 32 for convolutions, 32 x 16 and 16 dense.
    each = 2 * (288 + 1024 + 512 + 16)
    assert of_phenotypes == 3 * each * 42 * (2 * 5 + 3 * 7)
