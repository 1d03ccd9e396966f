"""What continual lives from several seeds show together."""

from collections import Counter
from collections.abc import Sequence

from hyperlearning.engine.run_record import RunRecord
from hyperlearning.reports import Section
from hyperlearning.systems.hypernetworks.continual_lines import InferenceLine, MethodLine, TasksLine
from hyperlearning.systems.hypernetworks.continual_page import by_method, every_method, glance, inference_section


def over_runs(records: Sequence[RunRecord]) -> Sequence[Section]:
    """Scenarios, bytes and inference over the seeds of one preset; nothing of one run alone."""
    ((preset, count),) = Counter(record.config["preset"] for record in records).most_common(1)
    if count < 2:
        return ()
    own = [record for record in records if record.config["preset"] == preset]
    runs = [by_method(record.lines(MethodLine)) for record in own]
    inferred = [record.lines(InferenceLine) for record in own]
    return (
        glance(runs, own[0].last(TasksLine)),
        every_method(runs),
        *([inference_section(inferred)] if all(inferred) else []),
    )
