"""The page of `learned-activation`, from its record alone."""

import torch

from hyperlearning.engine.lines import EpochLine
from hyperlearning.engine.run_record import RunRecord
from hyperlearning.experiments.publish import footer_of
from hyperlearning.experiments.regression.learned_activation import ActivationLine
from hyperlearning.reports import Curve, Page, Section, Table, activation_figure, column, curves_figure, short_estimate
from hyperlearning.systems.regression.page_parts import picture

_SCORES = ("total_error", "memory_error", "forgetting")


def report(record: RunRecord) -> Page:
    """Makes the page from the record."""
    lines = {line.which: line for line in record.lines(ActivationLine)}
    totals = {which: line.scores.estimates()["total_error"] for which, line in lines.items()}
    return Page(
        title="Learned activation",
        lead="With one channel per synapse a Deep Artificial Neuron is an activation function. "
        "Hyper-training on continual regression gives it this shape.",
        facts={f"total error, {which}": short_estimate(total) for which, total in totals.items()},
        sections=(_glance(lines), _training_section(record)),
        command=record.manifest["command"],
        footer=footer_of(record),
    )


def _glance(lines: dict[str, ActivationLine]) -> Section:
    drive = torch.tensor(lines["learned"].drive)
    functions = {which: (line.activation, line.derivative) for which, line in lines.items()}
    functions["tanh"] = (torch.tanh(drive).tolist(), (1 - torch.tanh(drive) ** 2).tolist())
    functions["ReLU"] = (torch.relu(drive).tolist(), (drive > 0).float().tolist())
    columns = [
        column(name.replace("_", " "), [line.scores.estimates()[name] for line in lines.values()]) for name in _SCORES
    ]
    table = Table(
        title=f"Deployed on {len(lines['learned'].scores.total_error)} held-out functions",
        header=("network", *(header for header, _ in columns)),
        rows=tuple(zip([f"{which} function" for which in lines], *(cells for _, cells in columns), strict=True)),
        caption="Mean squared error with 95 % intervals over functions.",
    )
    shown = picture(
        "Learned, initial and common activations",
        "Drive on the horizontal axis, as in figure 6.12 of the dissertation. Red: the function. Brown: its derivative, which "
        "backpropagation multiplies synaptic gradients with.",
        activation_figure(lines["learned"].drive, functions),
        alt="Activation functions and their derivatives",
    )
    return Section(title="At a glance", pictures=(shown,), tables=(table,))


def _training_section(record: RunRecord) -> Section:
    epochs = record.lines(EpochLine)
    curve = Curve([line.epoch for line in epochs], [line.hyper_loss for line in epochs])
    shown = picture(
        "Hyper-loss",
        "Mean over members and steps of each epoch.",
        curves_figure({"hyper-loss": curve}, xlabel="epoch", ylabel="mean squared error", log_y=True),
        alt="Hyper-loss by epoch",
    )
    return Section(title="Hyper-training", pictures=(shown,))
