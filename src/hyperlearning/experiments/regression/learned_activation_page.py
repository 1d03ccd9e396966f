"""The page of `learned-activation`, from its record alone."""

import torch

from hyperlearning.engine.run_record import RunRecord
from hyperlearning.evaluation.intervals import estimate
from hyperlearning.experiments.publish import footer_of
from hyperlearning.reports import (
    Curve,
    Page,
    Picture,
    Section,
    Table,
    activation_figure,
    curves_figure,
    png_bytes,
)


def report(record: RunRecord) -> Page:
    """Makes the page from the record."""
    lines = {line["which"]: line for line in record.lines("activation")}
    learned = record.last("activation")
    drive = torch.tensor(learned["drive"])
    functions = {name: (line["activation"], line["derivative"]) for name, line in lines.items()}
    functions["tanh"] = (torch.tanh(drive).tolist(), (1 - torch.tanh(drive) ** 2).tolist())
    functions["ReLU"] = (torch.relu(drive).tolist(), (drive > 0).float().tolist())
    epochs = record.lines("epoch")
    curve = Curve([line["epoch"] for line in epochs], [line["hyper_loss"] for line in epochs])
    names = ("total_error", "memory_error", "forgetting")
    rows = tuple(
        (f"{which} function", *(str(estimate(line["scores"][name])) for name in names)) for which, line in lines.items()
    )
    picture = png_bytes(activation_figure(learned["drive"], functions))
    training = png_bytes(curves_figure({"hyper-loss": curve}, xlabel="epoch", ylabel="mean squared error", log_y=True))
    count = len(learned["scores"]["total_error"])
    return Page(
        title="Learned activation",
        lead="With one channel per synapse a Deep Artificial Neuron is an activation function. "
        "Hyper-training on continual regression gives it this shape.",
        facts={
            "total error, learned": f"{estimate(learned['scores']['total_error']).mean:.4f}",
            "total error, initial": f"{estimate(lines['initial']['scores']['total_error']).mean:.4f}",
        },
        sections=(
            Section(
                title="The function and its derivative",
                paragraphs=(
                    "Red: the function. Brown: its derivative, which backpropagation multiplies synaptic gradients with.",
                ),
                pictures=(
                    Picture(
                        title="Learned, initial and common activations",
                        caption="Drive on the horizontal axis, as in figure 6.12 of the dissertation.",
                        content=picture,
                        kind="png",
                        alt="Activation functions and their derivatives",
                    ),
                ),
            ),
            Section(
                title="How well it serves",
                tables=(
                    Table(
                        title=f"Deployed on {count} held-out functions",
                        header=("network", "total error", "memory error", "forgetting"),
                        rows=rows,
                        caption="Mean squared error with 95 % intervals over functions.",
                    ),
                ),
            ),
            Section(
                title="Hyper-training",
                pictures=(
                    Picture(
                        title="Hyper-loss",
                        caption="Mean over members and steps of each epoch.",
                        content=training,
                        kind="png",
                        alt="Hyper-loss by epoch",
                    ),
                ),
            ),
        ),
        command=record.manifest["command"],
        footer=footer_of(record),
    )
