"""Small ONNX models, made of operators, and a table of every operator that has a twin."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

RATE = 8000
OPSETS = {6: 3, 9: 4, 10: 5, 11: 6, 14: 7, 17: 8, 18: 8, 20: 9, 21: 10, 22: 10, 23: 11, 24: 11}
"""The IR version with which each version of the operators goes."""


def model_of(
    nodes: list[Any],
    inputs: dict[str, Any],
    outputs: dict[str, Any],
    constants: dict[str, NDArray[Any]] | None = None,
    *,
    opset: int = 17,
    metadata: dict[str, str] | None = None,
    domains: tuple[str, ...] = (),
) -> Any:
    """Make a model; inputs and outputs are shapes, or pairs of an element type and a shape."""

    def told(name: str, about: Any) -> Any:
        kind, shape = about if isinstance(about, tuple) else (TensorProto.FLOAT, about)
        return helper.make_tensor_value_info(name, kind, shape)

    graph = helper.make_graph(
        nodes,
        "graph",
        [told(name, about) for name, about in inputs.items()],
        [told(name, about) for name, about in outputs.items()],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in (constants or {}).items()],
    )
    opsets = [helper.make_opsetid("", opset), *(helper.make_opsetid(domain, 1) for domain in domains)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=OPSETS[opset])
    if metadata:
        helper.set_model_props(model, metadata)
    return model


def save(model: Any, path: Path) -> Path:
    path.write_bytes(model.SerializeToString())
    return path


def waveform_net(shape: list[Any] | None = None, tail: str | None = None, classes: int = 3, **about: Any) -> Any:
    """Make a small network of waves: filters, two layers, an average over time, three classes or fewer."""
    dice = np.random.default_rng(1)
    shape = ["clips", "samples"] if shape is None else shape
    constants = {
        "filters": dice.normal(size=(8, 1, 32)) * np.hanning(32),
        "offsets": 0.1 * dice.normal(size=8),
        "mixers": 0.4 * dice.normal(size=(8, 8, 3)),
        "scale": dice.uniform(0.5, 1.5, 8),
        "shift": 0.1 * dice.normal(size=8),
        "means": 0.1 * dice.normal(size=8),
        "variances": dice.uniform(0.5, 1.5, 8),
        "last": 3 * dice.normal(size=(classes, 8)),
        "bias": 0.1 * dice.normal(size=classes),
    }
    to_rows = np.array([1, 1, -1] if len(shape) == 1 else [0, 1, -1])
    nodes = [
        helper.make_node("Reshape", ["wave", "rows"], ["shaped"]),
        helper.make_node("Conv", ["shaped", "filters", "offsets"], ["heard"], strides=[8], kernel_shape=[32]),
        helper.make_node("Tanh", ["heard"], ["bent"]),
        helper.make_node("BatchNormalization", ["bent", "scale", "shift", "means", "variances"], ["normed"]),
        helper.make_node("Conv", ["normed", "mixers"], ["mixed"], pads=[1, 1], dilations=[1], kernel_shape=[3]),
        helper.make_node("Softplus", ["mixed"], ["warm"]),
        helper.make_node("GlobalAveragePool", ["warm"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("Gemm", ["flat", "last", "bias"], ["logits"], transB=1),
        helper.make_node(tail or "Identity", ["logits"], ["scores"], name="tail"),
    ]
    floats = {name: value.astype(np.float32) for name, value in constants.items()} | {"rows": to_rows}
    out = [1, classes] if len(shape) == 1 or shape[0] == 1 else ["clips", classes]
    return model_of(nodes, {"wave": shape}, {"scores": out}, floats, **about)


def spectral_net(tail: str | None = None) -> Any:
    """Make a network of operators only: STFT, mel bands, their logarithms, a convolution, three classes."""
    dice = np.random.default_rng(2)
    whole = {
        "rows": [0, -1, 1],
        "step": 64,
        "length": 256,
        "bands": 24,
        "rate": RATE,
        "last_axis": [-1],
    }
    constants: dict[str, NDArray[Any]] = {name: np.array(value, np.int64) for name, value in whole.items()}
    floats = {
        "low": 60.0,
        "high": 3900.0,
        "two": 2.0,
        "floor": 1e-5,
        "filters": 0.2 * dice.normal(size=(8, 24, 5)),
        "last": dice.normal(size=(8, 3)),
        "bias": [0.2, 0.1, -0.1],
    }
    constants |= {name: np.array(value, np.float32) for name, value in floats.items()}
    make = helper.make_node
    nodes = [
        make("Reshape", ["wave", "rows"], ["shaped"]),
        make("HannWindow", ["length"], ["window"]),
        make("STFT", ["shaped", "step", "window", "length"], ["spectrum"]),
        make("Pow", ["spectrum", "two"], ["squares"]),
        make("ReduceSum", ["squares", "last_axis"], ["power"], keepdims=0),
        make("MelWeightMatrix", ["bands", "length", "rate", "low", "high"], ["mel"]),
        make("MatMul", ["power", "mel"], ["heard"]),
        make("Add", ["heard", "floor"], ["safe"]),
        make("Log", ["safe"], ["loud"]),
        make("Transpose", ["loud"], ["turned"], perm=[0, 2, 1]),
        make("Conv", ["turned", "filters"], ["seen"], kernel_shape=[5], auto_pad="SAME_UPPER"),
        make("Elu", ["seen"], ["bent"]),
        make("ReduceMean", ["bent"], ["pooled"], axes=[2], keepdims=0),
        make("MatMul", ["pooled", "last"], ["mixed"]),
        make("Add", ["mixed", "bias"], ["logits"]),
        make(tail or "Identity", ["logits"], ["scores"]),
    ]
    return model_of(nodes, {"wave": ["clips", "samples"]}, {"scores": ["clips", 3]}, constants)


class Case(NamedTuple):
    """One operator: its inputs in turn, arrays of which floats come from outside, and its attributes."""

    op: str
    inputs: tuple[Any, ...]
    attributes: dict[str, Any]
    opset: int
    outputs: int

    @property
    def id(self) -> str:
        told = ",".join(f"{key}={value}" for key, value in self.attributes.items() if np.ndim(value) < 2)
        return f"{self.op}-{self.opset}({told:.40})"

    def model(self) -> Any:
        """Give the model of this operator, whose float inputs are the graph's and the others constants."""
        given, constants, names = {}, {}, []
        for place, value in enumerate(self.inputs):
            names.append("" if value is None else f"x{place}")
            if value is None:
                continue
            if self.is_input(place):
                given[f"x{place}"] = (helper.np_dtype_to_tensor_dtype(value.dtype), list(value.shape))
            else:
                constants[f"x{place}"] = value
        outputs = [f"y{place}" for place in range(self.outputs)]
        node = helper.make_node(self.op, names, outputs, name="it", **self.attributes)
        about = {name: onnx.ValueInfoProto(name=name) for name in outputs}
        graph = helper.make_graph(
            [node],
            "graph",
            [helper.make_tensor_value_info(name, *info) for name, info in given.items()],
            list(about.values()),
            [numpy_helper.from_array(value, name) for name, value in constants.items()],
        )
        return helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", self.opset)], ir_version=OPSETS[self.opset]
        )

    def is_input(self, place: int) -> bool:
        value = self.inputs[place]
        return value is not None and value.dtype.kind in "fb" and (place == 0 or value.ndim > 1)


def case(op: str, *inputs: Any, opset: int = 17, outputs: int = 1, **attributes: Any) -> Case:
    return Case(op, tuple(map(array_of, inputs)), attributes, opset, outputs)


def array_of(value: Any) -> NDArray[Any] | None:
    if value is None or isinstance(value, np.ndarray):
        return value
    array = np.array(value)
    return array.astype(np.float32) if array.dtype.kind == "f" else array


def some(*shape: int, seed: int = 0, low: float = -2.0, high: float = 2.0) -> NDArray[np.float32]:
    return np.random.default_rng([seed, *shape]).uniform(low, high, shape).astype(np.float32)


X, Y, BIG = some(2, 3, 4), some(2, 3, 4, seed=1), some(2, 4, 12)
POSITIVE, UNIT = some(2, 3, 4, low=0.1, high=3.0), some(2, 3, 4, low=-0.95, high=0.95)
PICTURE, WHOLE = some(2, 4, 9, 8), np.array([[1, 0, 2], [2, 1, 0]])
TRUTHS, SIGNAL = X > 0, some(2, 160, 1)

CASES: list[Case] = [
    *(
        case(op, X)
        for op in ("Abs", "Neg", "Exp", "Sin", "Cos", "Tanh", "Sigmoid", "Relu", "Erf", "Sign", "Sinh", "Cosh")
    ),
    *(
        case(op, X)
        for op in ("Ceil", "Floor", "Round", "Softplus", "Softsign", "HardSwish", "Identity", "Atan", "Asinh")
    ),
    *(case(op, POSITIVE) for op in ("Sqrt", "Log", "Reciprocal")),
    *(case(op, UNIT) for op in ("Tan", "Asin", "Acos", "Atanh")),
    case("Acosh", POSITIVE + 1),
    case("Mish", X, opset=18),
    case("Swish", X, opset=24, alpha=1.5),
    case("IsNaN", np.array([1.0, np.nan], np.float32)),
    case("LeakyRelu", X),
    case("LeakyRelu", X, alpha=0.3),
    case("Elu", X, alpha=0.7),
    case("Selu", X),
    case("Celu", X, alpha=1.5),
    case("ThresholdedRelu", X, alpha=0.5),
    case("HardSigmoid", X),
    case("HardSigmoid", X, alpha=0.4, beta=0.3),
    case("Gelu", X, opset=20),
    case("Gelu", X, opset=20, approximate="tanh"),
    case("PRelu", X, some(3, 1, low=0.1)),
    case("Clip", X, -0.5, 0.7),
    case("Clip", X, None, 0.7),
    case("Clip", X),
    case("Clip", X, opset=10, min=-0.5, max=0.7),
    case("Softmax", X),
    case("Softmax", X, axis=1),
    case("Softmax", X, opset=11, axis=1),
    case("Softmax", X, opset=9),
    case("LogSoftmax", X, axis=-2),
    case("LogSoftmax", X, opset=11, axis=2),
    *(case(op, X, Y) for op in ("Add", "Sub", "Mul", "Div", "Max", "Min", "Mean", "Sum", "Equal", "Less", "Greater")),
    *(case(op, X, Y) for op in ("LessOrEqual", "GreaterOrEqual")),
    *(case(op, TRUTHS, Y > 0) for op in ("And", "Or", "Xor")),
    case("Not", TRUTHS),
    case("Add", X, some(3, 1)),
    case("Max", X, Y, POSITIVE),
    case("Mean", X, some(3, 1), Y),
    case("Div", np.array([7, -7, 6]), np.array([2, 2, -4])),
    case("Mod", np.array([7, -7, 6]), np.array([3, 3, -4])),
    case("Mod", X, POSITIVE, fmod=1),
    case("Pow", POSITIVE, Y),
    case("Pow", X, 2.0),
    case("Pow", X, np.array(3)),
    case("Pow", np.array([0.0, 0.25, 4.0], np.float32), 0.5),
    case("Sqrt", np.array([0.0, 0.25, 4.0], np.float32)),
    case("MatMul", X, some(2, 4, 5)),
    case("MatMul", X, some(4, 5)),
    case("MatMul", X, some(4)),
    case("Gemm", some(3, 4), some(4, 5)),
    case("Gemm", some(4, 3), some(5, 4), some(5), transA=1, transB=1, alpha=0.5, beta=2.0),
    case("Einsum", X, some(2, 4, 5), equation="bij,bjk->bik"),
    *(case(f"Reduce{how}", POSITIVE, axes=[1]) for how in ("Mean", "Max", "Min", "Prod", "L1", "L2", "SumSquare")),
    *(
        case(f"Reduce{how}", POSITIVE, axes=[-1, 0], keepdims=0)
        for how in ("LogSum", "LogSumExp", "Mean", "L2", "Prod")
    ),
    case("ReduceMean", X),
    case("ReduceMean", X, [1, 2], opset=18, keepdims=0),
    case("ReduceMax", X, [-1], opset=18),
    case("ReduceSum", X, [1]),
    case("ReduceSum", X, opset=11, axes=[2]),
    case("ReduceSum", X, noop_with_empty_axes=1),
    case("ReduceSum", X, keepdims=0),
    case("ArgMax", X, axis=1),
    case("ArgMax", X, axis=-1, keepdims=0),
    case("ArgMin", X),
    case("CumSum", X, 1),
    case("CumSum", X, -1, exclusive=1, reverse=1),
    case("TopK", X, [2], outputs=2),
    case("TopK", X, [2], outputs=2, axis=1, largest=0),
    case("BatchNormalization", X, *(some(3, seed=place, low=0.5) for place in range(4)), epsilon=1e-3),
    case("InstanceNormalization", BIG, some(4), some(4, seed=1)),
    case("LayerNormalization", X, some(4), some(4, seed=1)),
    case("LayerNormalization", X, some(3, 4), axis=1, epsilon=1e-3),
    case("GroupNormalization", BIG, some(2), some(2, seed=1), opset=18, num_groups=2),
    case("GroupNormalization", BIG, some(4), some(4, seed=1), opset=21, num_groups=2),
    case("RMSNormalization", X, some(4), opset=23),
    case("LpNormalization", X),
    case("LpNormalization", X, axis=1, p=1),
    case("MeanVarianceNormalization", PICTURE),
    case("Conv", BIG, some(6, 4, 3), some(6), kernel_shape=[3]),
    case("Conv", BIG, some(6, 2, 3), group=2, strides=[2], pads=[2, 1], dilations=[2]),
    case("Conv", BIG, some(6, 4, 4), auto_pad="SAME_UPPER", strides=[2]),
    case("Conv", BIG, some(6, 4, 4), auto_pad="SAME_LOWER", strides=[2]),
    case("Conv", BIG, some(6, 4, 4), auto_pad="VALID"),
    case("Conv", PICTURE, some(6, 4, 3, 2), some(6), pads=[1, 0, 0, 1], strides=[2, 1]),
    case("Conv", PICTURE, some(4, 1, 3, 3), group=4, pads=[1, 1, 1, 1]),
    case("ConvTranspose", BIG, some(4, 3, 3), some(3), strides=[2], pads=[1, 0], output_padding=[1]),
    case("ConvTranspose", BIG, some(4, 3, 4), strides=[2], auto_pad="SAME_UPPER"),
    case("ConvTranspose", BIG, some(4, 3, 4), strides=[2], output_shape=[25]),
    case("ConvTranspose", PICTURE, some(4, 3, 3, 2), group=2, dilations=[2, 1], strides=[1, 2]),
    case("MaxPool", BIG, kernel_shape=[3]),
    case("MaxPool", BIG, kernel_shape=[3], strides=[2], pads=[1, 0], ceil_mode=1),
    case("MaxPool", PICTURE, kernel_shape=[3, 2], strides=[2, 2], dilations=[2, 1]),
    case("MaxPool", PICTURE, kernel_shape=[3, 2], strides=[2, 2], auto_pad="SAME_LOWER"),
    case("AveragePool", BIG, kernel_shape=[3], strides=[2]),
    case("AveragePool", BIG, kernel_shape=[3], strides=[2], pads=[1, 1]),
    case("AveragePool", BIG, kernel_shape=[3], strides=[2], pads=[1, 1], count_include_pad=1),
    case("AveragePool", some(2, 4, 11), kernel_shape=[4], strides=[3], ceil_mode=1, opset=22),
    case(
        "AveragePool",
        some(2, 4, 11),
        kernel_shape=[4],
        strides=[3],
        pads=[1, 1],
        ceil_mode=1,
        count_include_pad=1,
        opset=22,
    ),
    case("AveragePool", PICTURE, kernel_shape=[2, 3], auto_pad="SAME_UPPER"),
    case("GlobalAveragePool", PICTURE),
    case("GlobalMaxPool", PICTURE),
    *(
        case(
            "LSTM",
            some(5, 2, 3),
            some(d, 16, 3),
            some(d, 16, 4),
            some(d, 32),
            opset=14,
            outputs=3,
            hidden_size=4,
            direction=how,
        )
        for how, d in (("forward", 1), ("reverse", 1), ("bidirectional", 2))
    ),
    case(
        "LSTM",
        some(5, 2, 3),
        some(1, 16, 3),
        some(1, 16, 4),
        None,
        None,
        some(1, 2, 4),
        some(1, 2, 4, seed=1),
        hidden_size=4,
    ),
    case(
        "GRU",
        some(5, 2, 3),
        some(2, 12, 3),
        some(2, 12, 4),
        some(2, 24),
        outputs=2,
        hidden_size=4,
        direction="bidirectional",
        linear_before_reset=1,
    ),
    case("RNN", some(5, 2, 3), some(1, 4, 3), some(1, 4, 4), outputs=2, hidden_size=4),
    case("RNN", some(5, 2, 3), some(1, 4, 3), some(1, 4, 4), outputs=2, hidden_size=4, activations=["Relu"]),
    case("Reshape", X, [0, -1]),
    case("Reshape", X, [6, 4]),
    case("Transpose", X),
    case("Transpose", X, perm=[1, 0, 2]),
    case("Flatten", X),
    case("Flatten", X, axis=-1),
    case("Flatten", X, axis=0),
    case("Squeeze", SIGNAL),
    case("Squeeze", SIGNAL, [-1]),
    case("Squeeze", SIGNAL, opset=11, axes=[2]),
    case("Unsqueeze", X, [0, -1]),
    case("Unsqueeze", X, opset=11, axes=[1, 2]),
    case("Concat", X, Y, axis=1),
    case("Split", X, [1, 3], axis=-1, outputs=2),
    case("Split", X, axis=2, outputs=2),
    case("Split", X, opset=18, axis=1, outputs=2, num_outputs=2),
    case("Split", X, opset=11, axis=2, split=[1, 3], outputs=2),
    case("Slice", X, [0, 1], [2, 3]),
    case("Slice", X, [-1], [-1000], [2], [-2]),
    case("Slice", X, [1], [2**62], [-1]),
    case("Slice", X, [0], [4], [2], [3]),
    case("Slice", X, opset=9, starts=[1], ends=[-1], axes=[2]),
    case("Slice", X, [3], [1], [2]),
    case("Gather", X, WHOLE, axis=1),
    case("Gather", X, np.array(-1), axis=2),
    case("Gather", X, [1]),
    case("GatherElements", X, np.array([[[0], [1], [-1]]]), axis=2),
    case("Expand", some(3, 1), [2, 3, 4]),
    case("Expand", X, [1]),
    case("Tile", X, [1, 2, 2]),
    case("Shape", X),
    case("Shape", X, start=1, end=-1),
    case("Size", X),
    case("Cast", X, to=TensorProto.INT64),
    case("Cast", X, to=TensorProto.BOOL),
    case("Cast", X, to=TensorProto.FLOAT16),
    case("CastLike", X, np.array([1, 2])),
    case("Constant", value_floats=[1.0, 2.0]),
    case("Constant", value_int=3),
    case("Constant", value=numpy_helper.from_array(X)),
    case("ConstantOfShape", [2, 3]),
    case("ConstantOfShape", [2], value=numpy_helper.from_array(np.array([7]))),
    case("Range", 1.0, 4.0, 0.7),
    case("Range", np.array(5), np.array(0), np.array(-2)),
    case("Pad", X, [0, 1, 2, 0, 0, 1], 0.5),
    case("Pad", X, [0, 0, 2, 0, 0, 3], mode="reflect"),
    case("Pad", X, [0, 0, 2, 0, 1, 3], mode="edge"),
    case("Pad", X, [0, 0, -1, 0, 0, 2]),
    case("Pad", X, [2, 1], None, [-1], opset=18, mode="reflect"),
    case("Pad", X, [1, 2], None, [2], opset=21, mode="wrap"),
    case("Pad", X, opset=10, pads=[0, 0, 1, 0, 0, 1], value=2.0),
    case("Where", TRUTHS, X, Y),
    case("Trilu", X, 1, upper=0),
    case("Trilu", X),
    case("Dropout", X),
    case("STFT", SIGNAL, np.array(16), some(32), np.array(32)),
    case("STFT", SIGNAL, np.array(20), some(40)),
    case("STFT", SIGNAL, np.array(20), None, np.array(24), onesided=0),
    case("STFT", some(2, 160, 2), np.array(16), some(32), np.array(32), onesided=0),
    case("DFT", SIGNAL, onesided=1),
    case("DFT", SIGNAL, np.array(200)),
    case("DFT", some(2, 12, 2), inverse=1),
    case("DFT", some(2, 12, 8, 2), None, np.array(1), opset=20),
    case("DFT", some(2, 12, 8, 1), np.array(6), opset=20, onesided=1),
    *(case(f"{name}Window", np.array(10), periodic=how) for name in ("Hann", "Hamming", "Blackman") for how in (0, 1)),
    case("MelWeightMatrix", np.array(12), np.array(256), np.array(8000), 50.0, 3800.0),
    case("MelWeightMatrix", np.array(64), np.array(128), np.array(16000), 0.0, 8000.0),
]
"""Every operator that has a twin, in the versions in which it differs."""
