"""OML's regression benchmark: held-out lives.

Shape suffixes: F lives (functions), T tasks, P points of the evaluation grid.
"""

from hyperlearning.core.seeding import generator
from hyperlearning.streams.sine_tasks import (
    draw_sine_stream,
    draw_sine_tasks,
    sine_grid,
)
from hyperlearning.systems.regression.lives import HeldOut
from hyperlearning.systems.regression.sine_settings import LifeSettings

_POINTS_PER_TASK = 50


def hold_out_lives(life: LifeSettings, num_lives: int, *, seed: int, purpose: str = "held-out") -> HeldOut:
    """Draws lives never trained on; they depend on the seed and the purpose alone, so all methods meet the same ones."""
    source = generator(seed, f"{purpose} sine lives")
    functions = draw_sine_tasks(num_lives, life.num_tasks, source)
    stream = draw_sine_stream(
        functions,
        source,
        updates_per_task=life.updates_per_task,
        batch_size=life.batch_size,
        capacity=life.capacity,
    )
    return HeldOut(stream, *sine_grid(functions, points_per_task=_POINTS_PER_TASK, capacity=life.capacity))
