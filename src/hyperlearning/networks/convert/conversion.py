"""Any PyTorch model with Deep Artificial Neurons in place of its activations.

The layer before an activation is widened to C outputs for each of its own: these are the vector synapses, and they are
plastic. In the activation's place stand neurons that share an innate phenotype.
"""

import copy
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal, NamedTuple

import torch
from torch import fx, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from hyperlearning.networks.convert.activation_sites import (
    CallFunction,
    Region,
    Site,
    Skipped,
    class_of_function,
    find_regions,
    find_sites,
    join,
    may_be_widened,
    shared_parameters,
    why_graph_is_not_the_forward,
)
from hyperlearning.networks.convert.dan_activation import (
    Channels,
    DANActivation,
    Expansion,
    make_phenotype,
    widen,
)
from hyperlearning.networks.dan.phenotypes import MLPPhenotype, PhenotypeFactory

ACTIVATION_CLASSES: tuple[type[nn.Module], ...] = (
    nn.ReLU,
    nn.ReLU6,
    nn.LeakyReLU,
    nn.ELU,
    nn.CELU,
    nn.SELU,
    nn.GELU,
    nn.SiLU,
    nn.Mish,
    nn.Tanh,
    nn.Sigmoid,
    nn.Softplus,
    nn.Hardtanh,
    nn.Hardswish,
)

_TRANSFORMER_LAYERS = (nn.TransformerEncoderLayer, nn.TransformerDecoderLayer)
_LEFT_ALONE: tuple[tuple[type[nn.Module], str], ...] = (
    (nn.RNNBase, "a recurrent layer applies its activations inside one operation"),
    (nn.RNNCellBase, "a recurrent cell applies its activations inside one operation"),
    (nn.MultiheadAttention, "attention has no activation between its layers"),
)


class Converted(NamedTuple):
    """An activation that was converted.

    Attributes:
        name: Where it is, or was.
        activation: Its class, or the function called.
        num_neurons: Deep Artificial Neurons in its place, for each place of an image or a sequence.
        layer: The layer that was widened into vector synapses; none if every neuron's one number is expanded.
    """

    name: str
    activation: str
    num_neurons: int
    layer: str | None


class ConvertedModule(nn.Module):
    """What `convert` makes: it is called as the original was.

    Attributes:
        module: The original's copy, with its parameters' names.
        phenotypes: The innate phenotypes: one, or one per activation.
        converted: The activations that were converted.
        skipped: What was left as it is, and why.
    """

    def __init__(
        self,
        module: nn.Module,
        phenotypes: Sequence[nn.Module],
        is_innate: Callable[[str], bool],
        converted: Sequence[Converted],
        skipped: Sequence[Skipped],
        num_channels: int,
    ) -> None:
        super().__init__()
        self.module = module
        self.phenotypes = nn.ModuleList(phenotypes)
        # Not `train()`, which would overrule parts that are in another mode.
        self.training = module.training
        self.converted = tuple(converted)
        self.skipped = tuple(skipped)
        self.num_channels = num_channels
        self._is_innate = is_innate
        self._has_attention = any(isinstance(part, nn.MultiheadAttention) for part in module.modules())

    def is_innate(self, name: str) -> bool:
        """Says whether a parameter of this name is a phenotype's, or among those that `convert` was told are innate."""
        return name.startswith("phenotypes.") or self._is_innate(name.removeprefix("module."))

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Calls the converted model with the original's arguments."""
        if not self._has_attention:
            return self.module(*args, **kwargs)
        # Attention by its formula: the fused kernels have no rule for a population and no second derivatives.
        with sdpa_kernel(SDPBackend.MATH):
            if torch.compiler.is_compiling():  # The switch below cannot be traced, and matters only without gradients.
                return self.module(*args, **kwargs)
            enabled = torch.backends.mha.get_fastpath_enabled()
            torch.backends.mha.set_fastpath_enabled(False)
            try:
                return self.module(*args, **kwargs)
            finally:
                torch.backends.mha.set_fastpath_enabled(enabled)

    def summary(self) -> str:
        """Describes what was converted, what was not and why, and how many numbers are plastic and innate."""
        rows = [
            f"Converted: activations {len(self.converted)}, channels {self.num_channels}, phenotypes {len(self.phenotypes)}"
        ]
        for place in self.converted:
            how = f"'{place.layer}' widened" if place.layer else "each neuron's number expanded"
            rows.append(f"  {place.name}: {place.activation} of {place.num_neurons} neurons, {how}")
        rows += [f"  left as it is: {place.name}, {place.reason}" for place in self.skipped]
        sizes = {name: parameter.numel() for name, parameter in self.named_parameters()}
        innate = sum(size for name, size in sizes.items() if self.is_innate(name))
        total = sum(sizes.values())
        rows.append(f"  total: {total - innate:,} plastic + {innate:,} innate = {total:,} parameters")
        return "\n".join(rows)


def convert(
    module: nn.Module,
    *,
    num_channels: int = 8,
    phenotype: PhenotypeFactory = MLPPhenotype,
    activations: Sequence[type[nn.Module]] = ACTIVATION_CLASSES,
    sharing: Literal["network", "layer"] = "network",
    keep_function: bool = False,
    innate: Callable[[str], bool] | Sequence[str] = (),
    generator: torch.Generator | None = None,
) -> ConvertedModule:
    """Turns a model's activations into Deep Artificial Neurons, and the layers before them into vector synapses.

    An activation fed by `nn.Linear` or a convolution is replaced by neurons that run a shared phenotype on C channels each,
    and the layer is widened to put them out. Where the layer cannot be widened (something stands between, such as
    normalization, pooling or a residual sum; or others use its outputs or weights too) plastic synapses of fan-in one, two
    numbers a channel, expand what reaches the activation. Transformer layers have `linear1` widened and `activation` replaced.

    With `keep_function` the converted model computes at first what the original did: a neuron is
    `activation(sum_c channel[c] / sqrt(C)) + gain * phenotype(channels)` with an innate gain of 0, and plain SGD on the
    synapses moves it as it would have moved the original. Without, widened layers are drawn anew and the phenotype stands
    alone; all other layers keep their values.

    Args:
        module: Any module. It is not modified. Found are activations that it calls as modules or as functions (`F.relu`,
            `x.tanh()`), also when one module serves several calls.
        num_channels: Size of each vector synapse, C.
        phenotype: Makes a phenotype; the papers' `MLPPhenotype` if absent.
        activations: Classes of activations to convert. Functions and transformer layers' activations count by the same names.
        sharing: One phenotype for the "network", or one per "layer", that is per activation converted.
        keep_function: See above.
        innate: Which of the original's parameters are innate beside the phenotypes: a predicate on the original's names, or
            names and prefixes of them (such as `["features"]`). All others are plastic.
        generator: Source of all initial values; the global one if absent.

    Returns:
        The converted model.

    Raises:
        ValueError: If there is no activation to convert, a setting is out of range, or a name in `innate` is not the module's.

    Example:
        >>> mlp = nn.Sequential(nn.Linear(2, 16), nn.ReLU(), nn.Linear(16, 1))
        >>> convert(mlp, num_channels=4)(torch.zeros(5, 2)).shape
        torch.Size([5, 1])

    Source: "Continual Learning with Deep Artificial Neurons", section 3.1, for neurons and vector synapses.
    """
    _check(module, num_channels, sharing, innate)
    body = copy.deepcopy(module)
    converter = _Converter(body, num_channels, phenotype, tuple(activations), sharing, keep_function, generator)
    converter.convert_transformer_layers()
    converter.convert_regions()
    converter.list_what_is_left()
    if not converter.converted:
        names = ", ".join(activation.__name__ for activation in activations)
        found = "; ".join(f"{place.name}: {place.reason}" for place in converter.skipped) or "none at all"
        raise ValueError(
            f"Expected an activation ({names}) fed by a linear layer or a convolution, "
            f"or a transformer layer with one, but got a {type(module).__name__} with {found}."
        )
    return ConvertedModule(
        converter.body,
        converter.phenotypes,
        innate if callable(innate) else _Prefixes(tuple(innate)),
        converter.converted,
        converter.skipped,
        num_channels,
    )


class _Prefixes(NamedTuple):
    """Says of a name whether it is one of these, or below one of them."""

    prefixes: tuple[str, ...]

    def __call__(self, name: str) -> bool:
        return any(name == prefix or name.startswith(f"{prefix}.") for prefix in self.prefixes)


class _Converter:
    """A conversion under way. `body` is ours to change."""

    def __init__(
        self,
        body: nn.Module,
        num_channels: int,
        make_phenotype: PhenotypeFactory,
        activations: tuple[type[nn.Module], ...],
        sharing: Literal["network", "layer"],
        keep_function: bool,
        generator: torch.Generator | None,
    ) -> None:
        self.body = body
        self.num_channels = num_channels
        self.make_phenotype = make_phenotype
        self.activations = activations
        self.sharing: Literal["network", "layer"] = sharing
        self.keep_function = keep_function
        self.generator = generator
        self.shared = shared_parameters(body)
        self.like = next(body.parameters(), torch.empty(0))
        self.phenotypes: list[nn.Module] = []
        self.converted: list[Converted] = []
        self.skipped: list[Skipped] = []

    def convert_transformer_layers(self) -> None:
        """Converts the activation that transformer layers hold as an attribute."""
        for name, layer in list(self.body.named_modules()):
            if isinstance(layer, nn.TransformerEncoder):
                # Its nested tensors are made for the fused layers that are no longer there.
                layer.use_nested_tensor = False
            if not isinstance(layer, _TRANSFORMER_LAYERS):
                continue
            called = getattr(layer.activation, "__name__", type(layer.activation).__name__)
            known = type(layer.activation) in self.activations or class_of_function(called) in self.activations
            if not known:
                self.skipped.append(Skipped(join(name, "activation"), f"{called} is not among `activations`"))
                continue
            activation = layer.activation if isinstance(layer.activation, nn.Module) else CallFunction(layer.activation)
            direct = may_be_widened(layer.linear1, self.shared)
            linear = layer.linear1 if direct else None
            layer_name = join(name, "linear1") if direct else None
            size = layer.linear1.out_features
            layer.activation = self._neurons(activation, size, -1, linear)
            self.converted.append(Converted(join(name, "activation"), called, size, layer_name))
            if isinstance(layer, nn.TransformerEncoderLayer):
                layer.activation_relu_or_gelu = 0  # Fast path in evaluation: it would not call the activation.

    def convert_regions(self) -> None:
        """Converts the activations that traced forwards call."""
        regions, opaque = find_regions(self.body)
        self.skipped += opaque
        for region in regions:
            part = self.body.get_submodule(region.name)
            found = list(find_sites(part, region.graph, self.activations, self.shared))
            sites = [site for site in found if isinstance(site, Site)]
            self.skipped += [
                Skipped(join(region.name, place.name), place.reason) for place in found if isinstance(place, Skipped)
            ]
            calls = [site for site in sites if not site.replaceable]
            reason = why_graph_is_not_the_forward(part, region.graph) if calls else None
            if reason:
                self.skipped += [
                    Skipped(join(region.name, site.name), f"only a traced graph could call neurons there, and {reason}")
                    for site in calls
                ]
                sites = [site for site in sites if site.replaceable]
            self._convert_sites(region, part, sites, as_graph=bool(calls) and not reason)

    def _convert_sites(self, region: Region, part: nn.Module, sites: Sequence[Site], *, as_graph: bool) -> None:
        for site in sites:
            layer = part.get_submodule(site.layer) if site.layer else None
            neurons = self._neurons(site.activation, site.num_neurons, site.neuron_dim, layer)
            name = str(site.node.target) if site.replaceable else _fresh_name(part, f"dan_{site.node.name}")
            part.set_submodule(name, neurons)
            if not site.replaceable:
                _call_instead(region.graph, site.node, name)
            layer_name = join(region.name, site.layer) if site.layer else None
            what = site.activation.function if isinstance(site.activation, CallFunction) else type(site.activation)
            self.converted.append(
                Converted(
                    join(region.name, site.name), str(getattr(what, "__name__", what)), site.num_neurons, layer_name
                )
            )
        if as_graph:
            traced = fx.GraphModule(part, region.graph).train(part.training)
            if region.name:
                self.body.set_submodule(region.name, traced)
            else:
                self.body = traced

    def _neurons(self, activation: nn.Module, size: int, neuron_dim: int, layer: nn.Module | None) -> DANActivation:
        """Makes what stands in an activation's place, and widens the layer before it if there is one to widen."""
        if layer is None:
            channels: nn.Module = Expansion(
                size,
                self.num_channels,
                neuron_dim=neuron_dim,
                keep_function=self.keep_function,
                like=self.like,
                generator=self.generator,
            )
        else:
            assert isinstance(layer, nn.Linear | nn.Conv1d | nn.Conv2d | nn.Conv3d)
            widen(layer, self.num_channels, keep_function=self.keep_function, generator=self.generator)
            channels = Channels(self.num_channels, neuron_dim=neuron_dim)
        if self.sharing == "layer" or not self.phenotypes:
            made = make_phenotype(
                self.make_phenotype, self.num_channels, keep_function=self.keep_function, generator=self.generator
            )
            self.phenotypes.append(made.to(self.like))
        return DANActivation(channels, self.phenotypes[-1], activation if self.keep_function else None).train(
            activation.training
        )

    def list_what_is_left(self) -> None:
        """Lists activations that no traced forward calls, and modules that are left alone whatever they hold."""
        listed = {place.name for place in self.skipped}
        for name, part in _outside_neurons(self.body, ""):
            if type(part) in self.activations and name not in listed:
                self.skipped.append(Skipped(name, "no forward that could be traced calls it"))
            self.skipped += [Skipped(name, reason) for kind, reason in _LEFT_ALONE if isinstance(part, kind)]


def _outside_neurons(module: nn.Module, name: str) -> Iterator[tuple[str, nn.Module]]:
    yield name, module
    for child_name, child in module.named_children():
        if not isinstance(child, DANActivation):
            yield from _outside_neurons(child, join(name, child_name))


def _fresh_name(module: nn.Module, name: str) -> str:
    while hasattr(module, name):
        name += "_"
    return name


def _call_instead(graph: fx.Graph, node: fx.Node, name: str) -> None:
    drive = node.args[0] if node.args else node.kwargs["input"]
    with graph.inserting_after(node):
        call = graph.create_node("call_module", name, (drive,))
    node.replace_all_uses_with(call)
    graph.erase_node(node)


def _check(module: nn.Module, num_channels: int, sharing: str, innate: Callable[[str], bool] | Sequence[str]) -> None:
    if num_channels < 1:
        raise ValueError(f"Expected `num_channels` to be positive, but got {num_channels}.")
    if sharing not in ("network", "layer"):
        raise ValueError(f"Expected `sharing` to be 'network' or 'layer', but got '{sharing}'.")
    if callable(innate):
        return
    if isinstance(innate, str):
        raise ValueError(f"Expected `innate` to be a predicate or a list of names, but got the string '{innate}'.")
    names = [name for name, _ in module.named_parameters()]
    for prefix in innate:
        if not any(map(_Prefixes((prefix,)), names)):
            raise ValueError(f"Expected `innate` to name parameters of the module, but got '{prefix}'.")
