"""An ONNX model on a card: onnxruntime is the truth, the twin is the same in torch, and strange files are told."""

from __future__ import annotations

import importlib.metadata
import math
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import soundfile
import torch
from onnx import TensorProto, helper, numpy_helper
from tests.victims.onnx_models import CASES, RATE, Case, model_of, save, some, spectral_net, waveform_net
from tests.world import clip
from torch import Tensor

from subterfuge import Targeted, Threat, attack
from subterfuge.attacks import Quietest
from subterfuge.errors import CardError, MissingExtra, VictimError
from subterfuge.victim import Gives, Kind, Victim
from subterfuge.victims import check_victim, load_victim
from subterfuge.victims.check.gradient import slopes_at
from subterfuge.victims.onnx import OnnxVictim
from subterfuge.victims.onnx import graph as _onnx_graph
from subterfuge.victims.onnx.graph import OPERATORS, graph_of

QUICK = Quietest(starts=(math.inf,), even=0, climb=100, resort=1, race=(20, 20), keep=(1,))


@pytest.fixture
def card(card_of: Callable[..., Path], tmp_path: Path) -> Callable[..., Path]:
    """Save a model beside a card, and give the card; a value of None leaves a key out."""

    def write(model: Any, /, **values: Any) -> Path:
        if isinstance(model, bytes):
            (tmp_path / "model.onnx").write_bytes(model)
        elif model is not None:
            save(model, tmp_path / "model.onnx")
        common = {"schema": 1, "kind": "onnx", "sample_rate": RATE, "labels": ["a", "b", "c"], "model": "model.onnx"}
        return card_of(**(common | values))

    return write


def loaded(path: Path) -> OnnxVictim:
    victim = load_victim(path)
    assert isinstance(victim, OnnxVictim)
    return victim


def waves(n: int = 3, length: int = 4000) -> Tensor:
    levels = torch.tensor([0.1, 0.01, 0.4])[:n, None]
    return levels * torch.randn(n, length, generator=torch.Generator().manual_seed(3)).clamp(-2, 2)


def asked(model: Any, inputs: dict[str, Any]) -> list[Any]:
    """Ask onnxruntime itself."""
    raw = model if isinstance(model, bytes | str) else model.SerializeToString()
    answers: list[Any] = onnxruntime.InferenceSession(raw, providers=["CPUExecutionProvider"]).run(None, inputs)
    return answers


def near(victim: Victim, wave: Tensor) -> None:
    """Expect the twin's scores to be the model's."""
    assert victim.twin is not None
    torch.testing.assert_close(victim.twin.scores(wave), victim.scores(wave).float(), rtol=2e-5, atol=2e-5)
    torch.testing.assert_close(victim.twin.probabilities(wave), victim.probabilities(wave), rtol=2e-5, atol=2e-5)
    assert torch.equal(victim.twin.decide(wave), victim.decide(wave))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_each_operator_is_what_onnxruntime_says(case: Case) -> None:
    model = case.model()
    inputs = {f"x{place}": value for place, value in enumerate(case.inputs) if case.is_input(place)}
    graph = graph_of(model.graph, case.opset, [output.name for output in model.graph.output], {})
    made = graph.run({name: torch.from_numpy(value) for name, value in inputs.items()})
    for answer, expected in zip(made, asked(model, inputs), strict=True):
        assert answer.numpy().dtype == expected.dtype
        share = 2e-4 if case.op in ("DFT", "STFT") else 2e-5  # of lengths no power of two, onnxruntime's are that rough
        rounding = share * max(1.0, float(np.abs(expected, dtype=np.float64).max(initial=0)))
        np.testing.assert_allclose(answer.numpy(), expected, rtol=2e-5, atol=rounding)


def test_the_table_of_operators_is_whole() -> None:
    assert {case.op for case in CASES} == OPERATORS.keys()


@pytest.mark.parametrize("shape", [["n", "t"], ["n", 1, "t"], ["n", "t", 1], [1, "t"], [1, 1, "t"], ["t"]], ids=str)
def test_it_answers_what_onnxruntime_answers_in_every_layout(shape: list[Any], card) -> None:
    model = waveform_net(shape)
    victim = loaded(card(model))
    assert (victim.gives, victim.kind, victim.no_twin) == (Gives.SCORES, Kind.DECISION, None)
    assert victim.at_once == (32 if shape[0] == "n" else 1)
    for row, wave in enumerate(waves()):
        places = [1 if size in ("n", 1) else -1 for size in shape]
        (expected,) = asked(model, {"wave": wave.numpy().reshape(places)})
        np.testing.assert_allclose(victim.scores(waves())[row : row + 1], expected, rtol=1e-5, atol=1e-6)
    near(victim, waves())


@pytest.mark.parametrize("net", [waveform_net, spectral_net])
def test_the_twins_gradient_is_the_slope_of_its_scores(net: Callable[[], Any], card) -> None:
    victim = loaded(card(net()))
    assert victim.twin is not None
    found = slopes_at(victim.twin, waves(1), 0)
    assert found.exact
    assert found.error < 1e-5
    near(victim, waves())


def test_it_passes_the_check(card) -> None:
    report = check_victim(loaded(card(spectral_net("Softmax"), output="probabilities")), [waves(1)[0].numpy()])
    assert {finding.level for finding in report.findings} == {"ok"}


@pytest.mark.parametrize(
    ("tail", "output", "kind"),
    [
        (None, "logits", Kind.DECISION),
        (None, "decision values", Kind.DECISION),
        ("Softmax", "probabilities", Kind.LOG_PROBABILITY),
        ("LogSoftmax", "log-probabilities", Kind.LOG_PROBABILITY),
        (None, "tag logits", Kind.TAGS),
        ("Sigmoid", "tag probabilities", Kind.TAGS),
    ],
)
def test_output_says_what_the_numbers_are(tail: str | None, output: str, kind: Kind, card) -> None:
    victim = loaded(card(waveform_net(tail=tail), output=output))
    (logits,) = map(torch.from_numpy, asked(waveform_net(), {"wave": waves().numpy()}))
    expected = logits.log_softmax(-1) if kind == Kind.LOG_PROBABILITY else logits
    assert victim.kind == kind
    assert victim.twin is not None
    for each in (victim, victim.twin):
        torch.testing.assert_close(each.scores(waves()).float(), expected, rtol=1e-5, atol=1e-4)
        assert torch.equal(each.decide(waves()), expected.argmax(-1))
        chances = each.probabilities(waves())
        if output == "decision values":
            assert chances is None
        else:
            right = logits.sigmoid() if kind == Kind.TAGS else logits.softmax(-1)
            torch.testing.assert_close(chances, right, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("tail", "output"), [("Sigmoid", "probabilities"), (None, "logits"), (None, "decision values")]
)
def test_one_number_for_two_labels_is_that_of_the_second(tail: str | None, output: str, card) -> None:
    victim = loaded(card(waveform_net(tail=tail, classes=1), output=output, labels=["no", "yes"]))
    (number,) = map(torch.from_numpy, asked(waveform_net(classes=1), {"wave": waves().numpy()}))
    assert victim.twin is not None
    assert torch.equal(victim.decide(waves()), (number[:, 0] > 0).long())
    torch.testing.assert_close(victim.twin.scores(waves()), victim.scores(waves()), rtol=1e-5, atol=1e-5)
    if output != "decision values":
        for each in (victim, victim.twin):
            torch.testing.assert_close(each.probabilities(waves())[:, 1:], number.sigmoid(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("output", "plain"), [("tag probabilities", "probabilities"), ("tag logits", "logits")])
def test_one_number_is_no_two_tags(output: str, plain: str, card) -> None:
    model = waveform_net(tail="Sigmoid" if plain == "probabilities" else None, classes=1)
    with pytest.raises(
        CardError, match=rf'"{output}", but the model gives one number.* use output = "{plain}" with two'
    ):
        load_victim(card(model, output=output, labels=["no", "yes"]))


@pytest.mark.parametrize(
    ("tail", "output", "classes", "likely"),
    [
        ("Softmax", "logits", 3, "probabilities"),
        ("Softmax", "decision values", 3, "probabilities"),
        ("Sigmoid", "logits", 3, "tag probabilities"),
        ("Sigmoid", "tag logits", 3, "tag probabilities"),
        ("Sigmoid", "logits", 1, "probabilities"),
    ],
)
def test_numbers_whose_last_step_makes_probabilities_are_doubted(
    tail: str, output: str, classes: int, likely: str, card
) -> None:
    labels = ["low", "mid", "high"] if classes == 3 else ["no", "yes"]
    (said,) = load_victim(card(waveform_net(tail=tail, classes=classes), output=output, labels=labels)).warnings
    assert said == (
        f"its numbers are taken for {output}, but the last step of the model is {tail}, which makes probabilities; is "
        f'it output = "{likely}"?'
    )


def test_numbers_as_the_graph_makes_them_are_not_doubted(card) -> None:
    for tail, output in ((None, "logits"), ("LogSoftmax", "logits"), ("Softmax", "probabilities")):
        assert load_victim(card(waveform_net(tail=tail), output=output)).warnings == ()


def test_probabilities_that_a_division_makes_are_doubted_by_their_sums(card) -> None:
    model = waveform_net(tail="Softmax")
    model.graph.output[0].name = "shares"
    model.graph.node.append(helper.make_node("Neg", ["scores"], ["turned"]))
    model.graph.node.append(helper.make_node("Neg", ["turned"], ["shares"]))
    (said,) = load_victim(card(model)).warnings
    assert 'lie between 0 and 1 and add up to 1: these look like probabilities; is it output = "probabilities"?' in said


def test_a_sound_shorter_than_any_that_it_took_is_told_with_the_way_out(card) -> None:
    victim = load_victim(card(waveform_net()))
    with pytest.raises(VictimError, match=r'died on 1 wave of 8 samples, and .* 1 s \(8000 samples\) .* "windowed"'):
        victim.decide(waves(1, 8))


def test_a_sure_models_twin_keeps_its_slope(card) -> None:
    """At 30 a sigmoid is 1 in float32 and flat: the slope is taken before it."""
    names = {"wave": ["n", "t"]}
    nodes = [
        helper.make_node("ReduceMax", ["wave"], ["top"], axes=[1]),
        helper.make_node("Mul", ["top", "weights"], ["logits"]),
        helper.make_node("Sigmoid", ["logits"], ["scores"]),
    ]
    weights = np.array([[100.0, -100.0, 1.0]], np.float32)
    victim = loaded(
        card(model_of(nodes, names, {"scores": ["n", 3]}, {"weights": weights}), output="tag probabilities")
    )
    assert victim.twin is not None
    wave = torch.full((1, 100), 0.1).index_fill_(1, torch.tensor([7]), 0.3).requires_grad_()
    scores = victim.twin.scores(wave)
    torch.testing.assert_close(scores, torch.tensor([[30.0, -30.0, 0.3]]))
    (slope,) = torch.autograd.grad(scores[0, 0] - scores[0, 1], wave)
    assert (float(slope[0, 7]), int((slope != 0).sum())) == (200.0, 1)


def test_an_attack_wins_on_the_file_as_onnxruntime_hears_it(card, tmp_path: Path) -> None:
    model = waveform_net(["n", "t"])
    victim = load_victim(card(model))
    clean = clip(tmp_path / "clean.wav")
    wave, _ = soundfile.read(clean, dtype="float32")
    goal = victim.labels[int(asked(model, {"wave": wave[None]})[0][0].argsort()[1])]  # the second of three
    outcome = attack(clean, victim, Threat(Targeted(goal)), by=QUICK, out=tmp_path / "changed.wav", control=0)
    changed, _ = soundfile.read(tmp_path / "changed.wav", dtype="float32")
    assert outcome.won
    assert victim.labels[int(asked(model, {"wave": changed[None]})[0].argmax())] == goal
    assert 10 * np.log10((wave**2).sum() / ((changed - wave) ** 2).sum()) > 15


def test_silence_has_a_slope(card) -> None:
    """The root of a power of 0 has an infinite one."""
    nodes = [
        helper.make_node("Reshape", ["wave", "rows"], ["shaped"]),
        helper.make_node("STFT", ["shaped", "step", "window"], ["spectrum"]),
        helper.make_node("ReduceSumSquare", ["spectrum"], ["power"], axes=[3], keepdims=0),
        helper.make_node("Sqrt", ["power"], ["size"]),
        helper.make_node("ReduceMean", ["size"], ["flat"], axes=[1], keepdims=0),
        helper.make_node("Slice", ["flat", "one", "four", "one"], ["scores"]),
    ]
    whole = {"rows": [0, -1, 1], "step": 32, "one": [1], "four": [4]}
    constants: dict[str, Any] = {name: np.array(value) for name, value in whole.items()} | {"window": some(64)}
    victim = loaded(card(model_of(nodes, {"wave": ["n", "t"]}, {"scores": ["n", 3]}, constants)))
    assert victim.twin is not None
    silence = torch.zeros(1, 800, requires_grad=True)
    (slope,) = torch.autograd.grad(victim.twin.scores(silence).sum(), silence)
    assert float(slope.abs().max()) == 0
    near(victim, waves(2, 800))


def test_a_branch_is_taken_as_the_sound_has_it(card) -> None:
    """Quiet sounds go one way, loud ones another; each branch reads what is around it."""

    def branch(name: str, op: str) -> Any:
        node = helper.make_node(op, ["level", "weights"], [name])
        return helper.make_graph([node], name, [], [onnx.ValueInfoProto(name=name)])

    nodes = [
        helper.make_node("ReduceMax", ["wave"], ["level"], axes=[1]),
        helper.make_node("ReduceMax", ["level"], ["top"], keepdims=0),
        helper.make_node("Greater", ["top", "limit"], ["loud"]),
        helper.make_node("If", ["loud"], ["scores"], then_branch=branch("x", "Mul"), else_branch=branch("y", "Sub")),
    ]
    constants = {"limit": np.array(0.2, np.float32), "weights": np.array([[1.0, 2.0, 3.0]], np.float32)}
    victim = loaded(card(model_of(nodes, {"wave": [1, "t"]}, {"scores": [1, 3]}, constants)))
    near(victim, waves())
    level = waves().amax(1, keepdim=True)
    expected = torch.where(level > 0.2, level * torch.tensor([1.0, 2.0, 3.0]), level - torch.tensor([1.0, 2.0, 3.0]))
    torch.testing.assert_close(victim.scores(waves()), expected)


def test_functions_of_the_model_are_taken_apart(card) -> None:
    function = helper.make_function(
        "mine", "Louder", ["x"], ["y"], [helper.make_node("Mul", ["x", "x"], ["y"])], [helper.make_opsetid("", 17)]
    )
    model = waveform_net(domains=("mine",))
    model.graph.node[-1].op_type, model.graph.node[-1].domain = "Louder", "mine"
    model.functions.append(function)
    victim = loaded(card(model))
    near(victim, waves())
    (logits,) = asked(waveform_net(), {"wave": waves().numpy()})
    np.testing.assert_allclose(victim.scores(waves()), logits**2, rtol=1e-4, atol=1e-5)


def test_a_network_that_torch_exported_has_a_twin(card, tmp_path: Path) -> None:
    class Net(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.filters = torch.nn.Conv1d(1, 8, 32, stride=16)
            self.memory = torch.nn.GRU(8, 6, batch_first=True, bidirectional=True)
            self.norm, self.last = torch.nn.LayerNorm(12), torch.nn.Linear(12, 3)

        def forward(self, wave: Tensor) -> Tensor:
            heard = torch.nn.functional.gelu(self.filters(wave[:, None])).transpose(1, 2)
            remembered: Tensor = self.norm(self.memory(heard)[0])
            return torch.as_tensor(self.last(remembered.mean(1)))

    torch.manual_seed(0)
    net = Net().eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            net,
            (waves(1),),
            tmp_path / "model.onnx",
            dynamo=False,
            input_names=["wave"],
            output_names=["scores"],
            dynamic_axes={"wave": {0: "n", 1: "t"}, "scores": {0: "n"}},
        )
    victim = loaded(card(None))
    near(victim, waves(3, 3000))
    torch.testing.assert_close(victim.scores(waves()), net(waves()), rtol=1e-4, atol=1e-5)


# ---- what a model says of itself


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("labels", '["x", "y", "z"]'),
        ("names", "{0: 'x', 1: 'y', 2: 'z'}"),
        ("classes", "x, y,z"),
        ("id2label", '{"2": "z", "0": "x", "1": "y"}'),
    ],
)
def test_the_models_own_labels_serve_where_the_card_names_none(key: str, said: str, card) -> None:
    assert load_victim(card(waveform_net(metadata={key: said}), labels=None)).labels == ("x", "y", "z")


def test_another_rate_than_the_models_own_is_refused(card) -> None:
    assert load_victim(card(waveform_net(metadata={"sample_rate": "8000"}))).sample_rate == 8000
    with pytest.raises(CardError, match="sample_rate = 8000, but the model says of itself sample_rate = 16000"):
        load_victim(card(waveform_net(metadata={"sample_rate": "16000"})))


def test_the_fingerprint_covers_the_model_its_weights_and_the_card(card, tmp_path: Path) -> None:
    inside = load_victim(card(waveform_net())).fingerprint
    assert load_victim(card(waveform_net())).fingerprint == inside
    assert load_victim(card(waveform_net(), output="decision values")).fingerprint != inside
    assert load_victim(card(waveform_net(), labels=["b", "a", "c"])).fingerprint != inside
    outside = load_victim(card(external(tmp_path))).fingerprint
    weights = bytearray((tmp_path / "weights.bin").read_bytes())
    weights[1] ^= 1
    (tmp_path / "weights.bin").write_bytes(weights)
    assert len({inside, outside, load_victim(card(None)).fingerprint}) == 3


# ---- inputs and outputs


def scaled_net() -> Any:
    """Two inputs beside the wave, two outputs: scores times a gain, plus a state."""
    model = waveform_net()
    model.graph.node[-1].output[0] = "mine"
    extra = [
        helper.make_node("Mul", ["mine", "gain"], ["louder"]),
        helper.make_node("Add", ["louder", "state"], ["scores"]),
    ]
    count = helper.make_node("ArgMax", ["scores"], ["best"], axis=1)
    model.graph.node.extend([*extra, count])
    model.graph.input.extend(
        [
            helper.make_tensor_value_info("gain", TensorProto.FLOAT, []),
            helper.make_tensor_value_info("state", TensorProto.FLOAT, ["clips", 3]),
        ]
    )
    model.graph.output.append(helper.make_tensor_value_info("best", TensorProto.INT64, ["clips", 1]))
    return model


def test_other_inputs_are_constants_on_the_card(card) -> None:
    victim = loaded(card(scaled_net(), inputs={"gain": 2, "state": [[1.0, 0.0, -1.0]]}, probe_seconds=0.5))
    (plain,) = asked(waveform_net(), {"wave": waves(1).numpy()})
    np.testing.assert_allclose(victim.scores(waves(1)), 2 * plain + [[1, 0, -1]], rtol=1e-4, atol=1e-5)
    filled = loaded(card(scaled_net(), inputs={"gain": 0.5, "state": 1}, output_name="scores", input_name="wave"))
    (plain,) = asked(waveform_net(), {"wave": waves().numpy()})
    np.testing.assert_allclose(filled.scores(waves()), 0.5 * plain + 1, rtol=1e-4, atol=1e-5)
    near(filled, waves())


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({}, r"the model has the inputs wave \(clips, samples\), gain \(\), state \(clips, 3\); say by input_name"),
        ({"input_name": "wave"}, "gain, state beside 'wave'; give each a constant by inputs = { gain = NUMBER }"),
        ({"input_name": "wve", "inputs": {"gain": 1}}, 'input_name = "wve", which the model does not have'),
        ({"inputs": {"gian": 1}}, "inputs names 'gian', which the model does not have; did you mean gain"),
        ({"inputs": {"gain": "loud", "state": 0}}, "inputs gives gain = 'loud'; a number, or a list of numbers"),
        ({"inputs": {"gain": 1, "state": [1, 2]}}, r"inputs gives state as \(2,\) numbers, and the model takes"),
        ({"inputs": {"gain": 1, "state": 0, "wave": 0}}, "the model has the inputs .*; say by input_name which is the"),
        (
            {"inputs": {"gain": 1, "state": 0}, "output_name": "bst"},
            'output_name = "bst", which the model does not have',
        ),
        ({"inputs": {"gain": 1, "state": 0}, "output_name": "best"}, "answered int64 numbers as 'best'"),
    ],
)
def test_unclear_inputs_and_outputs_are_told(values: dict[str, Any], says: str, card) -> None:
    with pytest.raises(CardError, match=says):
        load_victim(card(scaled_net(), **values))


@pytest.mark.parametrize("place", [1, 2])
def test_axes_of_length_1_around_the_classes_do_not_count(place: int, card) -> None:
    model = waveform_net()
    model.graph.node[-1].output[0] = "mine"
    model.graph.initializer.append(numpy_helper.from_array(np.array([place]), "place"))
    model.graph.node.append(helper.make_node("Unsqueeze", ["mine", "place"], ["scores"]))
    model.graph.output[0].CopyFrom(onnx.ValueInfoProto(name="scores"))
    victim = loaded(card(model))
    (expected,) = asked(waveform_net(), {"wave": waves().numpy()})
    np.testing.assert_allclose(victim.scores(waves()), expected, rtol=1e-5, atol=1e-6)
    near(victim, waves())


def level_model(shape: list[int], over: list[int]) -> Any:
    """Make a model of two labels: the mean along some axes, and its negative beside it, reshaped."""
    nodes = [
        helper.make_node("ReduceMean", ["wave"], ["mean"], axes=over, keepdims=1),
        helper.make_node("Neg", ["mean"], ["less"]),
        helper.make_node("Concat", ["mean", "less"], ["both"], axis=1),
        helper.make_node("Transpose", ["both"], ["turned"], perm=[1, 0] if shape[0] == 2 else [0, 1]),
        helper.make_node("Reshape", ["turned", "shape"], ["scores"]),
    ]
    out = onnx.ValueInfoProto(name="scores")
    model = model_of(nodes, {"wave": ["n", "t"]}, {"scores": ["a", "b"]}, {"shape": np.array(shape)}, opset=17)
    model.graph.output[0].CopyFrom(out)
    return model


def test_one_answer_for_a_whole_batch_is_refused_and_never_one_number_a_clip(card) -> None:
    victim = loaded(card(level_model([1, 2], [0, 1]), output="decision values", labels=["a", "b"]))
    assert victim.scores(waves(1)).shape == (1, 2)
    assert "could not be compared, for of two sounds at once the victim" in str(victim.no_twin)
    with pytest.raises(VictimError, match=r"answered 2 clips with numbers of shape \(1, 2\); \(2, 2\) was"):
        victim.scores(waves(2))


def test_classes_before_sounds_are_refused_before_as_many_sounds_as_classes_hide_it(card) -> None:
    with pytest.raises(CardError, match=r"answered 1 clip with numbers of shape \(2, 1\); \(1, 2\) was expected"):
        load_victim(card(level_model([2, -1], [1]), output="decision values", labels=["a", "b"]))


@pytest.mark.parametrize("classes", [1, 2])
@pytest.mark.parametrize("shape", [["clips", "samples"], ["samples"], [1, "samples"]])
def test_no_sounds_have_no_scores_and_two_are_answered_as_each_alone(classes: int, shape: list[Any], card) -> None:
    model = waveform_net(shape, classes=classes)
    victim = loaded(card(model, output="decision values", labels=["a", "b"]))
    alone = torch.cat([victim.scores(wave[None]) for wave in waves(2)])
    torch.testing.assert_close(victim.scores(waves(2)), alone, rtol=1e-5, atol=1e-6)
    if victim.interface.alone:
        assert victim.scores(waves(0)).shape == (0, 2)


def test_an_answer_for_each_frame_is_refused(card) -> None:
    model = model_of(
        [helper.make_node("Reshape", ["wave", "rows"], ["scores"])],
        {"wave": ["n", "t"]},
        {"scores": ["n", "frames", 3]},
        {"rows": np.array([0, -1, 3])},
    )
    with pytest.raises(CardError, match=r"answered 1 clip with numbers of shape \(1, 500, 3\); \(1, 3\) was expected"):
        load_victim(card(model, probe_seconds=1500 / RATE))


def test_a_fixed_length_is_told_in_samples_and_seconds(card, tmp_path: Path) -> None:
    victim = loaded(card(waveform_net(["n", 4000])))
    assert victim.probe_seconds == 0.5
    assert victim.length is not None
    assert (victim.length.takes(4000), victim.length.takes(8000)) == (True, False)
    near(victim, waves())
    for each in (victim, victim.twin):
        assert each is not None
        with pytest.raises(VictimError, match=r"takes sounds of 4000 samples \(0.5 s\) and no other, .* 8000 \(1 s\)"):
            each.scores(waves(1, 8000))
    (tmp_path / "any.toml").write_text(
        f'schema = 1\nkind = "windowed"\nsample_rate = {RATE}\nvictim = "card.toml"\nwindow_seconds = 0.5\n'
    )
    assert load_victim(tmp_path / "any.toml").scores(waves(2, 9000)).shape == (2, 3)
    with pytest.raises(CardError, match=r"probe_seconds = 1, but the model takes 4000 samples .* 0.5 s"):
        load_victim(card(waveform_net(["n", 4000]), probe_seconds=1.0))


@pytest.mark.parametrize(
    ("shape", "values", "says"),
    [
        (["n", 64, "t"], {}, r"has the shape \(n, 64, t\), and input = \"N1T\" wants one channel; the model takes 64"),
        (["n", 1, 64, "t"], {}, r"has the shape \(n, 1, 64, t\), where a wave was expected.*spectrogram"),
        ([8, "t"], {}, "takes 8 sounds at once"),
        (["n", "t"], {"input": "N1T"}, r'input = "N1T", but the model\'s input .wave. has the shape \(n, t\)'),
        (["n", "t"], {"input": "TN"}, 'input = "TN"; '),
        (["n", "t"], {"output": "logit"}, 'output = "logit"; did you mean'),
        (
            ["n", "t"],
            {"output": "probabilities"},
            'output = "probabilities", but the probabilities of a second of noise',
        ),
        (["n", "t"], {"labels": ["a", "b"]}, r"numbers of shape \(1, 3\); \(1, 2\) was expected"),
        (["n", "t"], {"labels": None}, "lacks the key 'labels'"),
        (["n", "t"], {"probe_seconds": 0.001}, "asked 0.001 s of noise, the victim .* died on 1 wave of 8 samples"),
        (["n", "t"], {"probe_seconds": 99.0}, "probe_seconds = 99"),
        (["n", "t"], {"model": "other.onnx"}, 'model = "other.onnx", but there is no file'),
    ],
)
def test_a_model_that_does_not_fit_its_card_is_told(shape: list[Any], values: dict[str, Any], says: str, card) -> None:
    with pytest.raises(CardError, match=says):
        load_victim(card(waveform_net(shape), **values))


def test_a_model_of_whole_numbers_is_refused(card) -> None:
    model = waveform_net()
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.INT16
    model.graph.node.insert(0, helper.make_node("Cast", ["wave"], ["floats"], to=TensorProto.FLOAT))
    model.graph.node[1].input[0] = "floats"
    with pytest.raises(CardError, match=r"takes tensor\(int16\), where a tensor of floats was expected"):
        load_victim(card(model))


# ---- files that are not what they should be


def external(folder: Path, location: str = "weights.bin") -> bytes:
    """Give a model whose weights are in a file beside it, as bytes; the file is written as weights.bin."""
    model = waveform_net()
    helper_tensor = next(each for each in model.graph.initializer if each.name == "mixers")
    raw = numpy_helper.to_array(helper_tensor).tobytes()
    (folder / "weights.bin").write_bytes(raw)
    helper_tensor.ClearField("raw_data")
    helper_tensor.data_location = TensorProto.EXTERNAL
    for key, value in {"location": location, "offset": "0", "length": str(len(raw))}.items():
        helper_tensor.external_data.add(key=key, value=value)
    return bytes(model.SerializeToString())


def test_weights_in_a_file_beside_the_model_are_read(card, tmp_path: Path) -> None:
    victim = loaded(card(external(tmp_path)))
    near(victim, waves())
    (expected,) = asked(waveform_net(), {"wave": waves().numpy()})
    np.testing.assert_allclose(victim.scores(waves()), expected, rtol=1e-5, atol=1e-6)


def test_weights_that_are_missing_or_cut_short_are_named(card, tmp_path: Path) -> None:
    path = card(external(tmp_path))
    (tmp_path / "weights.bin").write_bytes(b"0" * 100)
    with pytest.raises(
        CardError, match=r"its weights 'mixers' are in the file \"weights.bin\", which ends at byte 100"
    ):
        load_victim(path)
    (tmp_path / "weights.bin").unlink()
    with pytest.raises(CardError, match=r"\"weights.bin\", which is not there; put it beside the model"):
        load_victim(path)


def test_weights_from_nowhere_in_particular_are_refused(card, tmp_path: Path) -> None:
    raw = external(tmp_path).replace(b"\x06offset\x12\x010", b"\x06offset\x12\x01x")
    with pytest.raises(CardError, match="from and to bytes that are no whole numbers from 0 on"):
        load_victim(card(raw))


@pytest.mark.parametrize(
    "location", ["../weights.bin", "sub/../../weights.bin", "/etc/passwd", "..\\weights.bin", "", "link.bin"]
)
def test_a_model_that_reads_elsewhere_is_refused(location: str, card, tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    raw = external(tmp_path, location)
    (tmp_path / "inner" / "model.onnx").write_bytes(raw)
    (tmp_path / "inner" / "link.bin").symlink_to(tmp_path / "weights.bin")
    with pytest.raises(CardError, match="which is not in the model's folder; a model may read nothing else"):
        load_victim(card(None, model="inner/model.onnx"))


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        (b"", "is no ONNX file, it is empty"),
        (b"RIFF\x00\x00\x00\x00WAVEfmt ", "is no ONNX file"),
        (b"PK\x03\x04 a zip", "is no ONNX file but a zip archive, such as torch.save writes"),
        (b"\x18\x00\x00\x00ORTM\x00\x00", "is no ONNX file but one of onnxruntime's own format"),
        (waveform_net().SerializeToString()[:2000], "is no ONNX file, or a part of one only"),
    ],
)
def test_what_is_no_onnx_file_is_told(raw: bytes, says: str, card) -> None:
    with pytest.raises(CardError, match=f'model = "model.onnx" {says}'):
        load_victim(card(raw))


def test_an_operator_that_onnxruntime_lacks_is_named(card) -> None:
    model = waveform_net(domains=("com.example",))
    model.graph.node[-1].op_type, model.graph.node[-1].domain = "Magic", "com.example"
    with pytest.raises(CardError, match=r"the node 'tail', a com.example.Magic, which onnxruntime does not have; libr"):
        load_victim(card(model))
    model = waveform_net(tail="Sofmax")
    with pytest.raises(CardError, match="the node 'tail', a Sofmax, which onnxruntime does not have"):
        load_victim(card(model))


def test_a_graph_that_onnxruntime_refuses_is_told(card) -> None:
    model = waveform_net()
    model.graph.node[1].input[1] = "nowhere"
    with pytest.raises(CardError, match=r'model = "model.onnx" was not taken by onnxruntime: .*nowhere'):
        load_victim(card(model))


def test_without_onnxruntime_the_extra_is_named(card, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MissingExtra, match=r"pip install 'sonic-subterfuge\[onnx\]'"):
        load_victim(card(waveform_net()))


# ---- models without a twin


def without(card: Callable[..., Path], model: Any, says: str) -> None:
    """Expect scores as onnxruntime gives them, and no twin, for a reason that is said."""
    victim = loaded(card(model))
    assert (victim.twin, victim.gives) == (None, Gives.SCORES)
    assert victim.no_twin is not None
    assert says in victim.no_twin
    (expected,) = asked(model, {"wave": waves().numpy()})
    np.testing.assert_allclose(victim.scores(waves()), expected, rtol=1e-5, atol=1e-6)


def test_a_quantised_model_has_scores_only(card) -> None:
    model = waveform_net()
    scale = {"scale_of": np.array(0.01, np.float32), "zero": np.array(128, np.uint8)}
    model.graph.initializer.extend([numpy_helper.from_array(value, name) for name, value in scale.items()])
    model.graph.node.insert(0, helper.make_node("QuantizeLinear", ["wave", "scale_of", "zero"], ["q"], name="quantise"))
    model.graph.node.insert(1, helper.make_node("DequantizeLinear", ["q", "scale_of", "zero"], ["dq"], name="back"))
    model.graph.node[2].input[0] = "dq"
    without(card, model, "it is quantised: the operator QuantizeLinear of node 'quantise'")


def test_an_operator_without_a_twin_is_named(card) -> None:
    model = waveform_net()
    model.graph.node[-1].output[0] = "mine"
    model.graph.node.append(helper.make_node("Shrink", ["mine"], ["scores"], name="shrunk", lambd=0.1))
    without(card, model, "the operator Shrink of node 'shrunk' has none")


def test_a_step_that_torch_does_otherwise_is_named(card) -> None:
    model = model_of(
        [
            helper.make_node("Reshape", ["wave", "rows"], ["frames"]),
            helper.make_node("GRU", ["frames", "w", "r"], ["", "last"], name="memory", hidden_size=3),
            helper.make_node("Squeeze", ["last", "first"], ["scores"]),
        ],
        {"wave": ["n", "t"]},
        {"scores": ["n", 3]},
        {"w": some(1, 9, 4), "r": some(1, 9, 3), "rows": np.array([1, -1, 4]), "first": np.array([0])},
    )
    victim = loaded(card(_transposed(model)))
    assert victim.no_twin == "the operator GRU of node 'memory' has linear_before_reset = 0, where 1 has a twin"


def _transposed(model: Any) -> Any:
    """Feed a recurrent net (T, N, 4) of waves (N, T)."""
    constants = {"rows": np.array([0, -1, 4])}
    model.graph.initializer.pop([each.name for each in model.graph.initializer].index("rows"))
    model.graph.initializer.extend([numpy_helper.from_array(value, name) for name, value in constants.items()])
    model.graph.node.insert(1, helper.make_node("Transpose", ["frames"], ["turned"], perm=[1, 0, 2]))
    model.graph.node[2].input[0] = "turned"
    return model


def test_answers_cut_off_from_the_sound_have_no_twin(card) -> None:
    model = waveform_net()
    model.graph.node.insert(0, helper.make_node("Greater", ["wave", "level"], ["louder"]))
    model.graph.node.insert(1, helper.make_node("Cast", ["louder"], ["bits"], to=TensorProto.FLOAT))
    model.graph.node[2].input[0] = "bits"
    model.graph.initializer.append(numpy_helper.from_array(np.array(0.01, np.float32), "level"))
    without(card, model, "its answers are cut off from its input, by steps that round or compare")
    model.graph.node[0].CopyFrom(helper.make_node("Mul", ["wave", "hundred"], ["louder"]))
    model.graph.node[1].CopyFrom(helper.make_node("Round", ["louder"], ["bits"]))
    model.graph.initializer.append(numpy_helper.from_array(np.array(100, np.float32), "hundred"))
    without(card, model, "its gradient is zero at noise of every level")


def test_operators_older_than_broadcasting_have_no_twin(card) -> None:
    node = helper.make_node("ReduceMean", ["frames"], ["scores"], axes=[2], keepdims=0)
    shaped = helper.make_node("Reshape", ["wave", "rows"], ["frames"])
    model = model_of(
        [shaped, node], {"wave": ["n", 3000]}, {"scores": ["n", 3]}, {"rows": np.array([0, 3, -1])}, opset=6
    )
    victim = loaded(card(model))
    assert victim.no_twin == "its operators are of version 6, and those from 7 on have one"


def test_a_step_that_dies_in_torch_alone_is_named(card, monkeypatch: pytest.MonkeyPatch) -> None:
    def dies(node: Any, x: Tensor) -> Tensor:
        if x.shape[-1] > 1000:
            raise RuntimeError("out of breath\nand more")
        return x.tanh()

    monkeypatch.setitem(_onnx_graph.OPERATORS, "Tanh", dies)
    model = waveform_net()
    model.graph.node[2].name = "bend"
    without(card, model, "the operator Tanh of node 'bend' died: out of breath")
    victim = loaded(card(model, probe_seconds=0.5))
    assert victim.twin is not None
    with pytest.raises(VictimError, match="on 1 wave of 9000 samples: the operator Tanh of node 'bend' died"):
        victim.twin.scores(waves(1, 9000))


def test_a_twin_that_differs_is_told_with_its_gap(card, monkeypatch: pytest.MonkeyPatch) -> None:
    model, true = waveform_net(), OPERATORS["Tanh"]
    monkeypatch.setitem(_onnx_graph.OPERATORS, "Tanh", lambda node, x: 1.2 * true(node, x))
    without(card, model, "its graph in torch differs from onnxruntime by 0.")
    monkeypatch.setitem(_onnx_graph.OPERATORS, "Tanh", lambda node, x: 1.002 * true(node, x))
    victim = loaded(card(model))
    assert victim.twin is not None
    (note,) = victim.twin.warnings
    assert "the twin differs from onnxruntime by 0.00" in note


def test_a_twin_is_held_against_the_spread_of_its_answers_however_far_these_lie_from_0(
    card, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, true = waveform_net(), OPERATORS["Tanh"]
    model.graph.node[-1].output[0] = "near"
    model.graph.initializer.append(numpy_helper.from_array(np.array(1000, np.float32), "far"))
    model.graph.node.append(helper.make_node("Add", ["near", "far"], ["scores"]))
    assert loaded(card(model)).twin is not None
    monkeypatch.setitem(_onnx_graph.OPERATORS, "Tanh", lambda node, x: 1.02 * true(node, x))
    victim = loaded(card(model))
    told = [victim.no_twin] if victim.twin is None else list(victim.twin.warnings)
    assert any("differs from onnxruntime by 0.0" in str(note) for note in told), "it is not let by in silence"


# ---- a model that no one here trained


def test_silero_vad_hears_the_same_through_its_twin(card) -> None:
    try:
        place = Path(str(importlib.metadata.distribution("silero-vad").locate_file("silero_vad/data")))
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("silero-vad is not installed: pip install --no-deps silero-vad")
    raw = (place / "silero_vad_16k_op15.onnx").read_bytes()
    values = {"output": "probabilities", "sample_rate": 16000, "labels": ["other", "speech"], "probe_seconds": 0.032}
    victim = loaded(card(raw, **values, inputs={"sr": 16000, "state": 0}))
    assert victim.twin is not None
    wave = waves(3, 512)
    state = np.zeros((2, 3, 128), np.float32)
    said = asked(raw, {"input": wave.numpy(), "state": state, "sr": np.array(16000)})[0]
    torch.testing.assert_close(victim.probabilities(wave)[:, 1:], torch.from_numpy(said))
    torch.testing.assert_close(victim.twin.scores(wave), victim.scores(wave), rtol=1e-4, atol=1e-4)
    assert slopes_at(victim.twin, wave[:1], 0).error < 1e-4


def test_weights_that_are_no_numbers_are_asked_after_and_not_the_length(card) -> None:
    model = waveform_net()
    for each in model.graph.initializer:
        if each.name == "last":
            broken = np.full_like(numpy_helper.to_array(each), np.nan)
            each.CopyFrom(numpy_helper.from_array(broken, "last"))
    with pytest.raises(CardError, match=r"NaN or infinite numbers.*are its weights whole\?$") as said:
        load_victim(card(model))
    assert "length" not in str(said.value)
