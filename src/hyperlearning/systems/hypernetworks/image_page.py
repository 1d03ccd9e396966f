"""What the page about coded images shows."""

from collections.abc import Sequence

from hyperlearning.evaluation.intervals import Estimate, estimate, paired_difference
from hyperlearning.reports import Curve, Section, Table, curves_figure, picture
from hyperlearning.reports.contact_sheet import sheet_figure
from hyperlearning.systems.hypernetworks.image_coders import CODERS
from hyperlearning.systems.hypernetworks.image_lines import CoderLine, ShownLine
from hyperlearning.systems.packed_images import unpack_images


def decibels(value: Estimate) -> str:
    """A mean and its interval."""
    return f"{value.mean:.2f} ± {value.ci95:.2f}".replace("-", "−")


def sections_of(lines: Sequence[CoderLine], shown: Sequence[ShownLine], code_size: int) -> tuple[Section, ...]:
    """All sections of a page."""
    return (glance(lines, shown, code_size), finer(shown), training(lines))


def glance(lines: Sequence[CoderLine], shown: Sequence[ShownLine], code_size: int) -> Section:
    """Test images as each coder gives them back, and how near they are."""
    side = shown[0].side
    figure = sheet_figure({one.title: unpack_images(one.images) for one in shown if one.side == side})
    return Section(
        title="At a glance",
        pictures=(
            picture(
                "Images from their codes",
                f"Test images, each from {code_size} numbers; the first row is the truth.",
                figure,
            ),
        ),
        tables=(scores_table(lines),),
    )


def scores_table(lines: Sequence[CoderLine]) -> Table:
    """Peak signal to noise, the best first, and paired with principal components where they are there."""
    base = next((line for line in lines if line.coder == "principal"), None)
    rows = []
    for line in sorted(lines, key=lambda line: -estimate(line.psnrs).mean):
        gain = ""
        if base is not None and line is not base:
            gain = decibels(paired_difference(line.psnrs, base.psnrs))
        emitted = "" if line.num_emitted is None else f"{line.num_emitted:,}"
        own = decibels(estimate(line.psnrs))
        rows.append((line.title, own, gain, f"{line.num_numbers:,}", emitted, f"{line.seconds:,.0f}"))
    return Table(
        title="How near test images are",
        caption="Peak signal to noise in decibels, mean and 95 % interval over test images; the gain over principal components "
        "is paired, image by image. Numbers that are stored or trained; numbers emitted for an image; seconds of training.",
        header=("coder", "PSNR", "gain", "numbers", "emitted", "s"),
        rows=tuple(rows),
        highlight=tuple(place for place, row in enumerate(rows) if row[4]),
    )


def finer(shown: Sequence[ShownLine]) -> Section:
    """The same codes at more pixels, beside the images themselves, enlarged."""
    side = shown[0].side
    rows = {one.title: unpack_images(one.images) for one in shown if one.side != side}
    most = max(one.side for one in shown)
    return Section(
        title="At more pixels",
        pictures=(
            picture(
                f"At {most} x {most}",
                f"The codes of images of {side} x {side}, at {most // side} times as many points along an axis.",
                sheet_figure(rows),
            ),
        ),
    )


def training(lines: Sequence[CoderLine]) -> Section:
    """Tests in the course of training."""
    curves = {
        line.title: Curve([look.updates for look in line.looks], [look.psnr for look in line.looks])
        for line in lines
        if line.looks
    }
    figure = curves_figure(curves, xlabel="updates", ylabel="PSNR of test images, decibels")
    told = "; ".join(f"{CODERS[name].title}: {CODERS[name].note}" for name in CODERS)
    text = "Mean over test images; nothing is chosen by them."
    return Section(
        title="In the course of training", paragraphs=(f"{told}.",), pictures=(picture("Tests", text, figure),)
    )
