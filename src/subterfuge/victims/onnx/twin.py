"""The twin of an ONNX model: its graph done again in torch, with gradients."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor
from torch.nn import functional

from subterfuge.errors import VictimError
from subterfuge.victim import Gives, Kind, Victim
from subterfuge.victims._answers import KINDS, checked, probabilities_of, scores_of, two_of
from subterfuge.victims.onnx.file import OnnxFile
from subterfuge.victims.onnx.graph import Graph, graph_of
from subterfuge.victims.onnx.interface import Interface
from subterfuge.victims.twins import NoTwin


@dataclass(frozen=True, eq=False)
class OnnxTwin:
    """A graph in torch. It computes where the waves are.

    Where the last step of the graph makes probabilities, the twin's scores are taken before it: their logarithms then
    keep a slope where the probabilities themselves have reached 0 or 1.
    """

    name: str
    labels: tuple[str, ...]
    sample_rate: int
    fingerprint: str
    graph: Graph
    interface: Interface
    output: str
    """What the model's numbers are, as the card says."""
    squashed: str | None = None
    """The last step, Softmax or Sigmoid, that was left out of the graph."""
    warnings: tuple[str, ...] = ()
    dtype: torch.dtype | None = None
    """The precision, where it is another than the model's."""
    gives: Gives = Gives.GRADIENTS
    twin: Victim | None = None
    _moved: dict[torch.device, Graph] = field(default_factory=dict, repr=False)

    @property
    def kind(self) -> Kind:
        """What `scores` are."""
        return KINDS[self.output]

    @property
    def answers_most_probable(self) -> bool:
        """Whether `decide` is the largest of `probabilities`, wherever it has any."""
        return True

    def decide(self, wave: Tensor) -> Tensor:
        """Give the index of the largest score, the first of equals, int64 (N,)."""
        with torch.no_grad():
            return self.scores(wave).argmax(-1)

    def scores(self, wave: Tensor) -> Tensor:
        """Give the model's scores (N, K), with gradients."""
        raw = self._ask(wave)
        if self.squashed is None:
            return scores_of(two_of(raw, self.output), self.output)
        if self.output == "tag probabilities":
            return raw
        if self.squashed == "Softmax":
            return raw.log_softmax(-1)
        return functional.logsigmoid(raw if raw.shape[-1] > 1 else torch.cat([-raw, raw], -1))

    def probabilities(self, wave: Tensor) -> Tensor | None:
        """Give probabilities (N, K), or None if the outputs are decision values."""
        if self.output == "decision values":
            return None
        if self.squashed is not None:
            scores = self.scores(wave)
            return scores.sigmoid() if self.output == "tag probabilities" else scores.exp()
        return probabilities_of(two_of(self._ask(wave), self.output), self.output)

    def numbers(self, wave: Tensor) -> Tensor:
        """Give what the whole graph gives, (N, K) or (N, 1)."""
        raw = self._ask(wave)
        return raw if self.squashed is None else raw.softmax(-1) if self.squashed == "Softmax" else raw.sigmoid()

    def in_float64(self) -> OnnxTwin:
        """Give the same twin computing in float64, for comparing its gradients with finite differences."""
        return replace(self, graph=self.graph.in_float64(), dtype=torch.float64, _moved={})

    def _ask(self, wave: Tensor) -> Tensor:
        if wave.device not in self._moved:
            self._moved[wave.device] = self.graph.to(wave.device)
        graph, dtype = self._moved[wave.device], self.dtype or self.interface.dtype

        def run(inputs: dict[str, Tensor]) -> Tensor:
            floats = {key: each.to(dtype) if each.is_floating_point() else each for key, each in inputs.items()}
            return graph.run(floats)[0]

        try:
            raw = self.interface.ask(wave, run, (self.name, self.sample_rate, len(self.labels)))
        except NoTwin as reason:
            raise VictimError(
                f"the victim {self.name} failed on {len(wave)} wave{'s' * (len(wave) != 1)} of {wave.shape[-1]} "
                f"samples: {reason}"
            ) from reason
        raw = raw.to(wave.device, torch.promote_types(raw.dtype, torch.float32))
        return checked(raw, len(wave), self.labels[1:] if self.interface.lone else self.labels, self.name)


def twin_of_file(
    file: OnnxFile, interface: Interface, output: str, about: tuple[str, tuple[str, ...], int, str]
) -> OnnxTwin:
    """Make the twin of a model.

    Args:
        file: the model.
        interface: its input and output.
        output: what its numbers are, one of `subterfuge.victims._answers.KINDS`.
        about: the victim's name, labels, rate and fingerprint.

    Raises:
        NoTwin: a step has none; the message names it.
    """
    given = {
        name: each.of(1) for name, each in interface.extras.items() if each.shape is None or None not in each.shape
    }
    try:
        graph = graph_of(file.proto.graph, file.opset, [interface.output], given)
    except NoTwin:
        raise
    except Exception as reason:  # onnxruntime took the file, and numpy or torch does not
        raise NoTwin(f"its graph cannot be taken over: {type(reason).__name__}: {reason}") from reason
    name, labels, rate, fingerprint = about
    twin = OnnxTwin(f"{name} (twin)", labels, rate, fingerprint, graph, interface, output)
    return _unsquashed(twin)


def last_of(nodes: Iterable[tuple[str, Sequence[str], Sequence[str]]], name: str) -> int | None:
    """Give the place of the node that computes an output, steps aside that change its shape only.

    Args:
        nodes: operator, inputs and outputs of each.
        name: of the output.
    """
    makers = {made: (place, op, inputs) for place, (op, inputs, outputs) in enumerate(nodes) for made in outputs}
    while name in makers and makers[name][1] in ("Identity", "Squeeze", "Unsqueeze", "Flatten", "Reshape"):
        name = makers[name][2][0]
    return makers[name][0] if name in makers else None


def squash_doubt_of(file: OnnxFile, output_name: str, output: str, classes: int) -> str | None:
    """Say in a sentence that the last step of a model makes probabilities, where `output` says otherwise, or give None.

    Args:
        file: the model.
        output_name: of the output that counts.
        output: what its numbers are, one of `subterfuge.victims._answers.KINDS`.
        classes: how many numbers it gives.
    """
    nodes = file.proto.graph.node
    place = last_of(((node.op_type, node.input, node.output) for node in nodes), output_name)
    last = None if place is None else nodes[place].op_type
    if last not in ("Softmax", "Sigmoid") or output not in ("logits", "decision values", "tag logits"):
        return None
    likely = "tag probabilities" if last == "Sigmoid" and classes > 1 else "probabilities"
    return (
        f"its numbers are taken for {output}, but the last step of the model is {last}, which makes probabilities; is "
        f'it output = "{likely}"?'
    )


def _unsquashed(twin: OnnxTwin) -> OnnxTwin:
    """Leave out the last step of a graph where it is the softmax or sigmoid that makes the card's probabilities."""
    place = last_of(((node.op, node.inputs, node.outputs) for node in twin.graph.nodes), twin.graph.outputs[0])
    if place is None:
        return twin
    last = twin.graph.nodes[place]
    used = [each for node in twin.graph.nodes for each in node.inputs]
    if max(used.count(name) for name in last.outputs) > 1:
        return twin
    one_number = len(twin.labels) == 2 and twin.output == "probabilities"
    fits = (
        (last.op == "Softmax" and twin.output == "probabilities")
        or (last.op == "Sigmoid" and twin.output == "tag probabilities")
        or (last.op == "Sigmoid" and one_number)
    )
    if not fits:
        return twin
    nodes = list(twin.graph.nodes)
    nodes[place] = replace(last, op="Identity")
    return replace(twin, graph=replace(twin.graph, nodes=tuple(nodes)), squashed=last.op)
