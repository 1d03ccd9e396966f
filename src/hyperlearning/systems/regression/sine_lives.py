"""OML's regression benchmark: held-out lives."""

from hyperlearning.core.seeding import generator
from hyperlearning.streams.sine_tasks import draw_sine_stream, draw_sine_tasks, sine_grid
from hyperlearning.systems.regression.lives import POINTS_PER_TASK, HeldOut
from hyperlearning.systems.regression.sine_settings import LifeSettings


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
    grid, values = sine_grid(functions, points_per_task=POINTS_PER_TASK, capacity=life.capacity)
    return HeldOut(stream, grid, values, life.num_tasks)
