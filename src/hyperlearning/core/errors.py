"""What is raised where work cannot begin or go on, and the command shows without a traceback."""


class RunError(RuntimeError):
    """A run directory cannot be made, read or written, or does not offer what is asked of it."""


class FileError(RuntimeError):
    """A file of tensors is missing, truncated, altered, or of another configuration."""


class BudgetError(ValueError):
    """More bytes are asked for than were allowed."""


class NonFiniteLossError(RuntimeError):
    """A loss became NaN or infinite."""


class Interrupted(RuntimeError):
    """A run was asked to stop and has saved where it stands."""


class AbsentExtraError(ValueError):
    """What an optional part of the package needs is not installed."""


class QueryError(ValueError):
    """A query cannot be made: the pool is empty, or a system does not say what a strategy looks at."""


class AnswerError(ValueError):
    """An answer is on nothing that was asked for, says two things, or cannot be read."""


class NonFiniteWeightsError(RuntimeError):
    """A hypernetwork emits a NaN or an infinity."""
