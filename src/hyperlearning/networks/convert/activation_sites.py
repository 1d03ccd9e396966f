"""Where a module's activations are, and which layer feeds each: found by tracing, never by running.

A forward that cannot be traced (it branches on values, say) is left as it is, and the parts that it calls are traced instead.
"""

import copy
import inspect
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import fx, nn

from hyperlearning.networks.convert.dan_activation import DANActivation

LAYERS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)

_CLASS_OF_FUNCTION: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "relu6": nn.ReLU6,
    "leaky_relu": nn.LeakyReLU,
    "elu": nn.ELU,
    "celu": nn.CELU,
    "selu": nn.SELU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "mish": nn.Mish,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
    "softplus": nn.Softplus,
    "hardtanh": nn.Hardtanh,
    "hardswish": nn.Hardswish,
}

_PASSING = (
    nn.Identity,
    nn.modules.dropout._DropoutNd,
    nn.modules.batchnorm._NormBase,
    nn.GroupNorm,
    nn.LayerNorm,
    nn.RMSNorm,
    nn.modules.pooling._MaxPoolNd,
    nn.modules.pooling._AvgPoolNd,
    nn.modules.pooling._AdaptiveAvgPoolNd,
    nn.modules.pooling._AdaptiveMaxPoolNd,
    *_CLASS_OF_FUNCTION.values(),
)
"""Modules that leave the neurons' axis where it is and as long as it is."""

_POOLS = {f"{kind}_pool{dim}d" for kind in ("max", "avg", "adaptive_avg", "adaptive_max") for dim in (1, 2, 3)}
_PASSING_FUNCTIONS = {"dropout", *_POOLS}
_ARITHMETIC = {"add", "iadd", "sub", "isub", "mul", "imul", "div", "truediv"}


class Skipped(NamedTuple):
    """Something that was left as it is.

    Attributes:
        name: Where it is.
        reason: Why.
    """

    name: str
    reason: str


class Site(NamedTuple):
    """An activation that can be converted.

    Attributes:
        name: Its name, or that of the function called.
        node: Its node in the region's graph.
        activation: A module that computes it.
        num_neurons: Outputs of the layer that feeds it.
        neuron_dim: Their axis, counted from the end.
        layer: The layer's name if it feeds this activation directly and nothing else.
        replaceable: Whether it is a module of one call, which can be replaced where it is.
    """

    name: str
    node: fx.Node
    activation: nn.Module
    num_neurons: int
    neuron_dim: int
    layer: str | None
    replaceable: bool


class Region(NamedTuple):
    """A part of a module whose forward can be traced.

    Attributes:
        name: The part's name in the whole, empty for the whole.
        graph: Its forward.
    """

    name: str
    graph: fx.Graph


class CallFunction(nn.Module):
    """A function of one tensor as a module, with its other arguments."""

    def __init__(self, function: Callable[..., Any], args: Sequence[Any] = (), kwargs: Mapping[str, Any] = {}) -> None:
        super().__init__()
        self.function = function
        self.args = tuple(args)
        self.kwargs = dict(kwargs)

    def forward(self, drive: torch.Tensor) -> torch.Tensor:
        """Calls the function."""
        return self.function(drive, *self.args, **self.kwargs)


def find_regions(module: nn.Module) -> tuple[list[Region], list[Skipped]]:
    """Finds the largest parts of a module that can be traced.

    Returns:
        The parts, and what could not be traced and why.
    """
    if _is_leaf(module):
        return [], []
    graph = _trace(module, ())
    if isinstance(graph, fx.Graph):
        return [Region("", graph)], []
    opaque: dict[str, str] = {}
    # Parts come after what they are part of, so this goes from the innermost outwards.
    for name, part in reversed(list(module.named_modules())):
        if not _is_leaf(part) and isinstance(reason := _trace(part, _below(name, opaque)), str):
            opaque[name] = reason
    skipped = [Skipped(name or "the module", f"its forward cannot be traced ({why})") for name, why in opaque.items()]
    return list(_visit(module, "", opaque)), skipped


def _visit(module: nn.Module, name: str, opaque: Mapping[str, str]) -> Iterator[Region]:
    part = module.get_submodule(name)
    if name in opaque or isinstance(part, nn.ModuleList | nn.ModuleDict):
        for child, _ in part.named_children():
            yield from _visit(module, join(name, child), opaque)
    elif not _is_leaf(part):
        graph = _trace(part, _below(name, opaque))
        assert isinstance(graph, fx.Graph)
        yield Region(name, graph)
        called = {join(name, str(node.target)) for node in graph.nodes if node.op == "call_module"}
        for inner in sorted(called & set(opaque)):
            yield from _visit(module, inner, opaque)


def join(name: str, child: str) -> str:
    """Joins two parts of a dotted name, of which the first may be empty."""
    return f"{name}.{child}" if name else child


def _below(name: str, names: Mapping[str, str]) -> tuple[str, ...]:
    prefix = join(name, "")
    return tuple(other.removeprefix(prefix) for other in names if other.startswith(prefix) and other != name)


def _is_leaf(module: nn.Module) -> bool:
    return isinstance(module, DANActivation) or fx.Tracer().is_leaf_module(module, "")


class _Tracer(fx.Tracer):
    def __init__(self, opaque: Sequence[str]) -> None:
        super().__init__()
        self._opaque = set(opaque)

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return module_qualified_name in self._opaque or _is_leaf(m)


def _trace(module: nn.Module, opaque: Sequence[str]) -> fx.Graph | str:
    """Traces a module's forward, or says why that cannot be done."""
    try:
        # A copy, because a forward may store what it is given.
        return _Tracer(opaque).trace(copy.deepcopy(module))
    except Exception as error:  # Whatever a forward raises when its inputs have no values.
        return f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else 'no message'}"


def why_graph_is_not_the_forward(module: nn.Module, graph: fx.Graph) -> str | None:
    """Says why a traced graph may not stand for the forward: it holds one branch of what can be several."""
    arguments = inspect.signature(module.forward).parameters.values()
    if any(argument.default is not inspect.Parameter.empty for argument in arguments):
        return "its forward has optional arguments, on which it may branch"
    other = copy.deepcopy(module).train(not module.training)
    opaque = tuple(str(node.target) for node in graph.nodes if node.op == "call_module")
    if str(_trace(other, opaque)) != str(graph):
        return "its forward differs between training and evaluation"
    return None


def find_sites(
    module: nn.Module, graph: fx.Graph, activations: tuple[type[nn.Module], ...], shared: Collection[int]
) -> Iterator[Site | Skipped]:
    """Finds a traced module's activations.

    Args:
        module: The module that was traced.
        graph: Its graph.
        activations: Classes of activations to look for; functions of the same names count too.
        shared: What `shared_parameters` finds in the whole that the module is a part of.
    """
    modules = dict(module.named_modules())
    calls = [node.target for node in graph.nodes if node.op == "call_module"]
    for node in graph.nodes:
        activation = _activation(node, modules, activations)
        if activation is None:
            continue
        once = node.op == "call_module" and calls.count(node.target) == 1
        name = str(node.target) if once else _name(node)
        drive = node.args[0] if node.args else node.kwargs.get("input")
        source = _source(drive, modules) if isinstance(drive, fx.Node) else "it is not fed by a tensor"
        if isinstance(source, str):
            yield Skipped(name, source)
        elif _works_in_place(node, activation) and len(drive.users) > 1:
            yield Skipped(name, "it works in place on numbers that are used elsewhere")
        else:
            direct = (
                source.layer is drive and may_be_widened(modules[str(drive.target)], shared) and _is_alone(drive, calls)
            )
            layer = str(drive.target) if direct else None
            yield Site(name, node, activation, source.num_neurons, source.neuron_dim, layer, once)


def _works_in_place(node: fx.Node, activation: nn.Module) -> bool:
    by_name = node.op != "call_module" and str(getattr(node.target, "__name__", node.target)).endswith("_")
    return bool(by_name or getattr(activation, "inplace", False) or node.kwargs.get("inplace"))


class _Source(NamedTuple):
    num_neurons: int
    neuron_dim: int
    layer: fx.Node | None


def _source(node: fx.Node, modules: Mapping[str, nn.Module]) -> _Source | str:
    """Finds the layer that feeds a node, going back over what leaves its neurons in place, or says what is there instead."""
    module = modules[str(node.target)] if node.op == "call_module" else None
    if isinstance(module, nn.Linear):
        return _Source(module.out_features, -1, node)
    if isinstance(module, nn.modules.conv._ConvNd):
        return _Source(module.out_channels, -len(module.kernel_size) - 1, node)
    function = "" if module or node.op == "output" else _function(node)
    if isinstance(module, _PASSING) or function in _PASSING_FUNCTIONS or class_of_function(function):
        return _source(node.all_input_nodes[0], modules)
    if function in _ARITHMETIC:
        # Whatever is broadcast, an axis of more than one neuron keeps its length and its distance from the end.
        for operand in node.all_input_nodes:
            source = _source(operand, modules)
            if isinstance(source, _Source) and source.num_neurons > 1:
                return source._replace(layer=None)
    what = "the input" if node.op == "placeholder" else type(module).__name__ if module else f"`{function}`"
    return f"it is fed by {what}, not by a linear layer or a convolution"


def shared_parameters(module: nn.Module) -> set[int]:
    """Identifies the parameters that have more than one name in a module."""
    names = Counter(id(parameter) for _, parameter in module.named_parameters(remove_duplicate=False))
    return {parameter for parameter, count in names.items() if count > 1}


def may_be_widened(layer: nn.Module, shared: Collection[int]) -> bool:
    """Whether a layer is a plain one whose weights and outputs nothing else uses."""
    return (
        type(layer) in LAYERS
        and set(layer._parameters) == {"weight", "bias"}
        and isinstance(layer._parameters["weight"], nn.Parameter)
        and not any(id(parameter) in shared for parameter in layer.parameters())
        and not (layer._forward_hooks or layer._forward_pre_hooks)
    )


def _is_alone(node: fx.Node, calls: Sequence[Any]) -> bool:
    """Whether a layer is called once, and one node takes what it puts out."""
    return len(node.users) == 1 and calls.count(node.target) == 1


def _activation(
    node: fx.Node, modules: Mapping[str, nn.Module], activations: tuple[type[nn.Module], ...]
) -> nn.Module | None:
    """A module that computes what an activation's node does; none for other nodes."""
    if node.op == "call_module":
        module = modules[str(node.target)]
        return module if type(module) in activations else None
    if node.op not in ("call_function", "call_method") or class_of_function(_function(node)) not in activations:
        return None
    kwargs = {name: value for name, value in node.kwargs.items() if name != "input"}
    function = getattr(torch.Tensor, str(node.target)) if node.op == "call_method" else node.target
    assert callable(function)
    return CallFunction(function, node.args[1:], kwargs)


def class_of_function(name: str) -> type[nn.Module] | None:
    """The class of the activation that a function of this name computes."""
    return _CLASS_OF_FUNCTION.get(name.strip("_"))


def _function(node: fx.Node) -> str:
    return str(getattr(node.target, "__name__", node.target)).strip("_")


def _name(node: fx.Node) -> str:
    return (
        f"{node.target} (call '{node.name}')"
        if node.op == "call_module"
        else f"`{_function(node)}` (call '{node.name}')"
    )
