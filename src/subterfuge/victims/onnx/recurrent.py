"""ONNX operators in torch that remember: LSTM, GRU, RNN."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from subterfuge.victims.onnx.node import Node, Operator

GATES = {"LSTM": (0, 2, 3, 1), "GRU": (1, 0, 2), "RNN": (0,)}
"""Torch's order of the gates, as places in ONNX's: i o f c there, i f c o here; z r h there, r z h here."""
BENDS = {"LSTM": ["Sigmoid", "Tanh", "Tanh"], "GRU": ["Sigmoid", "Tanh"], "RNN": ["Tanh"]}


def _remembering(
    node: Node,
    x: Tensor,
    weight: Tensor,
    again: Tensor,
    bias: Tensor | None = None,
    lengths: Tensor | None = None,
    state: Tensor | None = None,
    cell: Tensor | None = None,
    peepholes: Tensor | None = None,
) -> tuple[Tensor, ...]:
    """Run a recurrent layer by torch's own kernel.

    Shapes: x (T, N, I); weight (D, G H, I), again (D, G H, H), bias (D, 2 G H), state (D, N, H), D directions, G
    gates; with ``layout = 1`` x is (N, T, I) and state (N, D, H). Gives (T, D, N, H) and the last states.
    """
    if node.get("layout", 0):
        x, state, cell = x.transpose(0, 1), _turned(state), _turned(cell)
    _refuse_odd(node, x, weight, lengths, peepholes)
    directions, hidden = weight.shape[0], again.shape[-1]
    if bias is None:
        bias = weight.new_zeros(directions, 2 * weight.shape[1])
    zeros = x.new_zeros(directions, x.shape[1], hidden)
    state, cell = zeros if state is None else state, zeros if cell is None else cell
    parameters = []
    for place in range(directions):
        for part in (weight[place], again[place], *bias[place].chunk(2)):
            pieces = part.chunk(len(GATES[node.op]))
            parameters.append(torch.cat([pieces[gate] for gate in GATES[node.op]]))
    backward = node.get("direction", "forward") == "reverse"
    heard = x.flip(0) if backward else x
    rest: tuple[Any, ...] = (parameters, True, 1, 0.0, True, directions == 2, False)
    if node.op == "LSTM":
        y, *last = torch.lstm(heard, (state, cell), *rest)
    else:
        bend = (node.get("activations") or ["Tanh"])[0]
        kernel = torch.gru if node.op == "GRU" else torch.rnn_relu if bend == "Relu" else torch.rnn_tanh
        y, *last = kernel(heard, state, *rest)
    y = (y.flip(0) if backward else y).reshape(*y.shape[:2], directions, hidden)
    if node.get("layout", 0):
        return y.transpose(0, 1), *(each.transpose(0, 1) for each in last)
    return y.transpose(1, 2), *last


def _turned(state: Tensor | None) -> Tensor | None:
    return None if state is None else state.transpose(0, 1)


def _refuse_odd(node: Node, x: Tensor, weight: Tensor, lengths: Tensor | None, peepholes: Tensor | None) -> None:
    """Refuse what torch's kernels do not do."""
    wanted, given = BENDS[node.op] * weight.shape[0], node.get("activations")
    odd = given and given != wanted and not (node.op == "RNN" and set(given) == {"Relu"})
    if odd:
        raise node.refuse(f"has the activations {', '.join(given)}, where {', '.join(wanted)} have a twin")
    if node.op == "GRU" and not node.get("linear_before_reset", 0):
        raise node.refuse("has linear_before_reset = 0, where 1 has a twin")
    if node.get("clip") is not None or node.get("input_forget", 0) or peepholes is not None:
        raise node.refuse("clips, couples its gates or has peepholes, which has no twin")
    if lengths is not None and bool((lengths != x.shape[0]).any()):
        raise node.refuse("is told how long each sound is, which has no twin")


RECURRENT: dict[str, Operator] = dict.fromkeys(("LSTM", "GRU", "RNN"), _remembering)
"""Operators by name."""
