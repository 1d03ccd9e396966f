"""What the DAN network is compared with."""

from hyperlearning.evaluation.continual import total_error
from hyperlearning.systems.regression.lives import hold_out
from hyperlearning.systems.regression.methods import baseline_methods
from hyperlearning.systems.regression.settings import StreamSettings


def test_the_budgets_differ_by_less_than_two_percent():
    methods = baseline_methods(5920, seed=0)
    assert len({method.name for method in methods}) == len(methods)
    assert all(abs(method.facts["num_plastic"] - 5920) < 0.02 * 5920 for method in methods)


def test_radial_basis_functions_keep_what_they_learned():
    held_out = hold_out(StreamSettings(), 8, seed=0)
    methods = {method.name: method for method in baseline_methods(1000, seed=0)}
    local, plain = (total_error(methods[name].live(held_out).errors).mean() for name in ("rbf", "mlp"))
    assert local < 0.01 < plain
