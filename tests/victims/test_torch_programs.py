"""Saved programs on a card: TorchScript and torch.export answer as the module did, and nothing else in them is run."""

from __future__ import annotations

import io
import json
import pickle
import struct
import warnings
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from subterfuge.errors import CardError, VictimError
from subterfuge.victim import Gives, Victim
from subterfuge.victims import TorchVictim, check_victim, load_victim


class Net(nn.Module):
    """Some of everything: statistics, a window, branches of channels, a part without gradients."""

    def __init__(self) -> None:
        super().__init__()
        self.filters = nn.Conv1d(1, 8, 32, stride=16)
        self.norm = nn.BatchNorm1d(8)
        self.drop = nn.Dropout(0.3)
        self.last = nn.Sequential(nn.Linear(8, 4), nn.Tanh(), nn.Linear(4, 3))
        self.register_buffer("window", torch.hann_window(256), persistent=False)

    def level(self, wave: Tensor) -> Tensor:
        with torch.no_grad():
            return wave.std(-1, keepdim=True) + 1

    def forward(self, wave: Tensor) -> Tensor:
        level = self.level(wave)
        spectra = torch.stft(wave, 256, 64, window=self.window, return_complex=True).abs().mean((1, 2))[:, None]
        heard = torch.relu(self.norm(self.filters(wave[:, None] / level[..., None])))
        heard = nn.functional.interpolate(heard, scale_factor=0.5)
        one, other = heard.chunk(2, 1)
        ramp = torch.arange(other.shape[1], dtype=torch.float32)[:, None]
        heard = torch.cat([one, other * ramp], 1)
        return self.last(self.drop(heard.mean(-1))) + spectra * wave.shape[-1] / 10000.0


class Climbing(Net):
    """With gradients everywhere: a trace forgets where there were none."""

    def level(self, wave: Tensor) -> Tensor:
        return wave.std(-1, keepdim=True) + 1


class Small(nn.Module):
    """Of one wave (T,), of waves (N, T) or (N, 1, T)."""

    def __init__(self) -> None:
        super().__init__()
        self.last = nn.Linear(2, 3)

    def forward(self, wave: Tensor) -> Tensor:
        flat = wave.flatten(1) if wave.ndim == 3 else wave
        return self.last(torch.stack([flat.square().mean(-1), flat.diff(dim=-1).square().mean(-1)], -1))


class Fixed(nn.Module):
    """Takes waves of half a second at 8 kHz, and says nothing of how many where it is traced."""

    def __init__(self) -> None:
        super().__init__()
        self.last = nn.Linear(4000, 3)

    def forward(self, wave: Tensor) -> Tensor:
        return self.last(wave)


def seeded(make: Callable[[], nn.Module]) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return make().eval()


def waves(n: int = 3, length: int = 4000) -> Tensor:
    return 0.1 * torch.randn(n, length, generator=torch.Generator().manual_seed(3))


def exported(module: nn.Module, example: Tensor, shapes: Any = None) -> bytes:
    stream = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.export.export(module, (example,), dynamic_shapes=shapes)
        torch.export.save(program, stream)
    return stream.getvalue()


def scripted(module: nn.Module, example: Tensor | None = None) -> bytes:
    stream = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = torch.jit.script(module) if example is None else torch.jit.trace(module, example)
        torch.jit.save(made, stream)
    return stream.getvalue()


@pytest.fixture(scope="module")
def net_pt2() -> bytes:
    dim = torch.export.Dim
    return exported(seeded(Net), waves(2), ({0: dim("batch"), 1: dim("time", min=1000)},))


@pytest.fixture(scope="module")
def small_pt2() -> bytes:
    return exported(seeded(Small), waves(2), ({0: torch.export.Dim.AUTO, 1: torch.export.Dim.AUTO},))


@pytest.fixture(scope="module")
def small_pt() -> bytes:
    return scripted(seeded(Small))


@pytest.fixture
def card(card_of: Callable[..., Path], tmp_path: Path) -> Callable[..., Path]:
    def write(content: bytes, **values: Any) -> Path:
        (tmp_path / "model.pt").write_bytes(content)
        common = {"schema": 1, "kind": "torch", "sample_rate": 8000, "labels": ["a", "b", "c"], "program": "model.pt"}
        return card_of(**(common | values))

    return write


def parts(program: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(program)) as archive:
        return {info.filename: archive.read(info) for info in archive.infolist()}


def changed(program: bytes, ending: str, change: Callable[[bytes], bytes]) -> bytes:
    """Give the archive with one part changed."""
    found = parts(program)
    (name,) = [name for name in found if name.endswith(ending)]
    return packed(found | {name: change(found[name])})


def packed(found: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in found.items():
            archive.writestr(name, content)
    return stream.getvalue()


def told(program: bytes, change: Callable[[Any], Any], ending: str = "models/model.json") -> bytes:
    """Give the archive with one of its JSON parts changed."""

    def edit(raw: bytes) -> bytes:
        table = json.loads(raw)
        change(table)
        return json.dumps(table).encode()

    return changed(program, ending, edit)


def slope(ask: Callable[[Tensor], Tensor], wave: Tensor) -> Tensor:
    point = wave.clone().requires_grad_()
    return torch.autograd.grad(ask(point)[:, 0].square().sum(), point)[0]


@pytest.fixture
def marker(tmp_path: Path) -> Iterator[Path]:
    """A file that hostile content would make; it must never be there."""
    path = tmp_path / "exploded"
    yield path
    assert not path.exists()


class Bomb:
    """Unpickled, it makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        import os

        return os.system, (f"touch {self.path}",)


# --- what they answer


def test_an_exported_program_answers_and_climbs_as_the_module_and_as_torchs_own_loader(net_pt2: bytes, card) -> None:
    victim = load_victim(card(net_pt2))
    theirs = torch.export.load(io.BytesIO(net_pt2)).module()
    assert (victim.gives, victim.twin, victim.warnings) == (Gives.GRADIENTS, None, ())
    assert victim.at_once == 32
    for length in (4000, 5001):
        ours = victim.scores(waves(3, length))
        assert torch.equal(ours, theirs(waves(3, length)))
        torch.testing.assert_close(ours, seeded(Net)(waves(3, length)), rtol=1e-5, atol=1e-6)
    assert torch.equal(slope(victim.scores, waves()), slope(theirs, waves()))
    assert isinstance(victim, TorchVictim)
    assert not any(each.requires_grad for each in victim.module.state_dict(keep_vars=True).values())


@pytest.mark.parametrize("example", [None, waves(2)])
def test_a_torchscript_program_answers_and_climbs_as_the_module(example: Tensor | None, card) -> None:
    module = seeded(Small if example is None else Climbing)
    victim = load_victim(card(scripted(module, example)))
    assert (victim.gives, victim.at_once, victim.warnings) == (Gives.GRADIENTS, 32, ())
    torch.testing.assert_close(victim.scores(waves()), module(waves()), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(slope(victim.scores, waves()), slope(module, waves()), rtol=1e-4, atol=1e-9)


def test_both_pass_the_check_with_a_gradient_in_float64(net_pt2: bytes, small_pt: bytes, card) -> None:
    for program in (net_pt2, small_pt):
        report = check_victim(load_victim(card(program)), [waves(1)[0].numpy()])
        assert not report.failures
        assert any("finite differences in float64" in str(found) for found in report.findings)


def test_a_module_of_one_wave_is_asked_row_by_row(small_pt: bytes, card, tmp_path: Path) -> None:
    both = seeded(Small)
    one = exported(both, waves(1)[0], ({0: torch.export.Dim.AUTO},))
    for program in (one, small_pt):
        victim = load_victim(card(program, input="T"))
        assert victim.at_once == 1
        torch.testing.assert_close(victim.scores(waves()), both(waves()))
        assert bool((slope(victim.scores, waves()).abs().amax(1) > 0).all())
    (tmp_path / "one.py").write_text(
        "import torch\n"
        "class One(torch.nn.Module):\n"
        "    def forward(self, wave):\n"
        "        assert wave.ndim == 1\n"
        "        return torch.stack([wave.std(), wave.amax(), wave.amin()])\n"
    )
    asked = load_victim(card(b"", program=None, module="one.py:One", input="T"))
    assert torch.equal(asked.decide(waves()), torch.ones(3, dtype=torch.int64))


def test_a_program_may_want_a_channel_axis(card) -> None:
    both = seeded(Small)
    shapes = ({0: torch.export.Dim.AUTO, 2: torch.export.Dim.AUTO},)
    victim = load_victim(card(exported(both, waves(2)[:, None], shapes), input="N1T"))
    torch.testing.assert_close(victim.scores(waves()), both(waves()))


def test_a_fixed_batch_of_one_and_a_fixed_length_are_met_and_told(card) -> None:
    module = seeded(Fixed)
    victim = load_victim(card(exported(module, waves(1))))
    assert victim.at_once == 1
    assert victim.probe_seconds == 0.5
    torch.testing.assert_close(victim.scores(waves()), module(waves()))
    assert "exactly 4000 samples (0.5 s)" in victim.warnings[0]
    assert "asked one by one" in victim.warnings[1]
    with pytest.raises(
        VictimError, match=r'takes waves of exactly 4000 samples .* 3999 came; a card of kind "windowed"'
    ):
        victim.decide(waves(1, 3999))
    with pytest.raises(CardError, match=r"probe_seconds = 1 is 8000 samples .* waves of exactly 4000"):
        load_victim(card(exported(module, waves(1)), probe_seconds=1))


def test_a_trace_that_holds_one_wave_only_is_asked_one_by_one(card) -> None:
    class Squeezed(Small):
        def forward(self, wave: Tensor) -> Tensor:
            return super().forward(wave.reshape(-1)[None])

    victim = load_victim(card(scripted(seeded(Squeezed), waves(1))))
    assert victim.at_once == 1
    assert "asked one by one" in victim.warnings[0]
    torch.testing.assert_close(victim.scores(waves()), seeded(Small)(waves()))


def test_sizes_with_ranges_and_steps_are_read(small_pt2: bytes, card) -> None:
    def limit(table: Any) -> None:
        batch, time = table["graph_module"]["graph"]["tensor_values"]["wave"]["sizes"]
        name = time["as_expr"]["expr_str"].split("'")[1]
        time["as_expr"]["expr_str"] = f"Mul(Integer(160), {time['as_expr']['expr_str']})"
        table["range_constraints"][name] = {"min_val": 60, "max_val": 100}
        batch_name = batch["as_expr"]["expr_str"].split("'")[1]
        table["range_constraints"][batch_name] = {"min_val": 1, "max_val": 2}

    victim = load_victim(card(told(small_pt2, limit)))
    assert (victim.at_once, victim.probe_seconds) == (2, 1.2)
    assert victim.scores(waves(5, 9760)).shape == (5, 3)
    with pytest.raises(VictimError, match=r"at least 9600 and at most 16000, a multiple of 160 samples .* 9761 came"):
        victim.decide(waves(1, 9761))


def test_a_program_cut_off_from_gradients_gives_scores_only(card) -> None:
    class Cut(Small):
        def forward(self, wave: Tensor) -> Tensor:
            return super().forward(wave.detach())

    victim = load_victim(card(exported(seeded(Cut), waves(2), ({0: torch.export.Dim.AUTO, 1: torch.export.Dim.AUTO},))))
    assert victim.gives == Gives.SCORES
    assert "no gradients" in victim.warnings[0]


def test_the_fingerprint_is_of_the_file(small_pt: bytes, small_pt2: bytes, card) -> None:
    prints = [
        load_victim(card(program, **values)).fingerprint
        for program, values in (
            (small_pt, {}),
            (small_pt2, {}),
            (small_pt, {"output": "decision values"}),
            (small_pt, {"input": "T"}),
        )
    ]
    assert len(set(prints)) == 4
    assert load_victim(card(small_pt, name="other")).fingerprint == prints[0]


def test_older_exported_files_with_pickled_weights_are_read_by_the_reader_of_tensors(small_pt2, card, marker) -> None:
    found = {name.partition("/")[2]: content for name, content in parts(small_pt2).items()}
    weights = {name: value.detach() for name, value in seeded(Small).state_dict().items()}
    for flat in (False, True):
        names = ("serialized_exported_program.json", "serialized_state_dict.pt", "serialized_constants.pt")
        folder = ("models/model.json", "data/weights/model.pt", "data/constants/model.pt")
        graph, state, constants = names if flat else [f"m/{name}" for name in folder]
        base = {graph: found["models/model.json"], constants: b"", "version" if flat else "m/archive_format": b"pt2"}
        victim = load_victim(card(packed(base | {state: saved(weights)})))
        assert torch.equal(victim.scores(waves()), seeded(Small)(waves()))
        with pytest.raises(CardError, match="a pickle with more than weights in it, which is never read"):
            load_victim(card(packed(base | {state: saved(weights | {"more": Bomb(marker)})})))


def saved(thing: Any) -> bytes:
    stream = io.BytesIO()
    torch.save(thing, stream)
    return stream.getvalue()


class Odd(nn.Module):
    """Several outputs of one operator, lists of weights, a branch that depends on the sound, a matrix of constants."""

    def __init__(self) -> None:
        super().__init__()
        self.cells, self.last = nn.LSTM(10, 4, batch_first=True), nn.Linear(4, 3)

    def forward(self, wave: Tensor) -> Tensor:
        out, (state, _) = self.cells(wave.unflatten(1, (-1, 10)))
        largest, _ = out.max(1)
        loud = torch.cond(wave.square().mean() > 0.1, lambda x: x.sin(), lambda x: x.cos(), (largest,))
        return self.last(loud + state[0]) * torch.tensor([1.0, float("inf"), -2.0]).clamp(max=3)


def test_operators_of_several_outputs_and_branches_are_called_as_torchs_own_loader_calls_them(card) -> None:
    program = exported(seeded(Odd), 0.1 * waves(1, 400))
    victim = load_victim(card(program))
    theirs = torch.export.load(io.BytesIO(program)).module()
    for wave in (0.1 * waves(1, 400), 10 * waves(1, 400)):
        assert torch.equal(victim.scores(wave), theirs(wave))
        torch.testing.assert_close(slope(victim.scores, wave), slope(theirs, wave))


class Leaning(nn.Module):
    """Its numbers lie far from 0, and each wave feels the others."""

    def forward(self, wave: Tensor) -> Tensor:
        level = wave.square().mean(-1, keepdim=True)
        return 1000 + 10 * torch.cat([level, -level, level.sum() + 0 * level], -1)


def test_a_program_whose_waves_feel_one_another_is_asked_one_by_one_however_far_from_0_it_answers(card) -> None:
    victim = load_victim(card(scripted(Leaning())))
    assert "asked one by one" in " ".join(victim.warnings)
    assert torch.equal(victim.scores(waves()), torch.cat([victim.scores(wave[None]) for wave in waves()]))


# --- what is refused


WRONG_CARDS: dict[str, tuple[dict[str, Any], str]] = {
    "neither": ({"program": None}, "neither module nor program; exactly one was expected"),
    "both": ({"module": "x.py:f"}, "both module and program; exactly one was expected"),
    "weights too": ({"weights": "w.safetensors"}, "weights belong to a module, and the card names a program"),
    "no file": ({"program": "none.pt2"}, r'program = "none.pt2", but there is no file'),
    "a folder": ({"program": "."}, "that is a folder"),
    "labels": ({"labels": ["a", "b"]}, r"\(1, 2\) was expected"),
    "axes": ({"input": "N1T"}, r'takes tensors of 2 axes .* input = "N1T"; input = "NT" is for such'),
}


@pytest.mark.parametrize("case", WRONG_CARDS)
def test_a_wrong_card_is_refused_with_the_way_out(case: str, small_pt2: bytes, card) -> None:
    changes, says = WRONG_CARDS[case]
    with pytest.raises(CardError, match=says):
        load_victim(card(small_pt2, **changes))


def test_a_module_exported_in_training_mode_or_for_several_waves_is_refused(card) -> None:
    class Dropping(Small):
        def forward(self, wave: Tensor) -> Tensor:
            return super().forward(nn.functional.dropout(wave, 0.5, self.training))

    with pytest.raises(
        CardError, match=r"exported in training mode \(torch.ops.aten.dropout.default\); call model.eval"
    ):
        load_victim(card(exported(seeded(Dropping).train(), waves(1))))
    with pytest.raises(CardError, match=r"takes exactly 2 waves at once, and it must take one; export it with"):
        load_victim(card(exported(seeded(Fixed), waves(2))))


def test_other_files_are_told_from_programs(card, marker: Path, tmp_path: Path) -> None:
    from safetensors.torch import save

    bomb = {"a": Bomb(marker)}
    cases = {
        saved(bomb): "is what torch.save writes: a pickle, which runs code of its own and is never read",
        saved(seeded(Small).state_dict()): "is what torch.save writes",
        pickle.dumps(bomb): "is a pickle, which runs code",
        save({"a": torch.zeros(3)}): "is a safetensors file",
        b"": "is empty",
        b"RIFF1234WAVE": "is no zip; a TorchScript archive",
        packed({"a/b.txt": b"x"}): "is some other zip",
        packed({"m/archive_format": b"pt2", "m/models/a.json": b"", "m/data/aotinductor/m/x.so": b""}): "machine code",
    }
    for program, says in cases.items():
        with pytest.raises(CardError, match=f'program = "model.pt" .*{says}'):
            load_victim(card(program))


@pytest.mark.parametrize("part", ["data.pkl", "constants.pkl"])
@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_a_torchscript_with_a_pickle_of_python_is_refused_unread(part, protocol, small_pt, card, marker) -> None:
    hostile = changed(small_pt, f"/{part}", lambda _: pickle.dumps(Bomb(marker), protocol))
    with pytest.raises(CardError, match=r"(names (posix|os|nt)\.system in its|the instruction) .*"):
        load_victim(card(hostile))


def test_what_no_answer_needs_of_an_archive_is_not_read(small_pt: bytes, small_pt2: bytes, card, marker: Path) -> None:
    bomb = pickle.dumps({"a": Bomb(marker)})
    script = packed(parts(small_pt) | {f"{root(small_pt)}/traced_inputs.pkl": bomb, f"{root(small_pt)}/extra/x": bomb})
    script = changed(script, "torch_programs.py.debug_pkl", lambda _: bomb)
    program = changed(small_pt2, "sample_inputs/model.pt", lambda _: saved((Bomb(marker),)))
    for hostile in (script, program):
        assert load_victim(card(hostile)).scores(waves()).shape == (3, 3)


def root(program: bytes) -> str:
    return next(iter(parts(program))).partition("/")[0]


def with_code(program: bytes, line: str) -> bytes:
    """Put a line before the last of the code of a TorchScript's forward."""

    def edit(raw: bytes) -> bytes:
        lines = raw.decode().splitlines()
        place = max(k for k, one in enumerate(lines) if one.strip().startswith("return"))
        return "\n".join([*lines[:place], f"    {line}", *lines[place:]]).encode() + b"\n"

    return changed(program, "torch_programs.py", edit)


@pytest.mark.parametrize(
    "line",
    [
        'torch.save(wave, "PLACE")',
        'ops.aten.save(wave, "PLACE")',
        'ops.aten .\\\n save(wave, "PLACE")',
        'torch.add_(torch.from_file("PLACE", True, 100), 1)',
        't = torch\n    t.save(wave, "PLACE")',
        'getattr(torch, "sa\\x76e")(wave, "PLACE")',
        'getattr(torch, "sa" "ve")(wave, "PLACE")',
        "o = ops\n    o.aten.add(wave, 1)",
        "ops.c10d.barrier(wave)",
        "x = torch.classes.quantized.Thing()",
        "y = 1  # \u00e9",
    ],
)
def test_torchscript_that_reaches_files_is_refused_before_it_is_loaded(line: str, small_pt, card, marker) -> None:
    with pytest.raises(CardError, match="has code"):
        load_victim(card(with_code(small_pt, line.replace("PLACE", str(marker)))))


def test_what_torch_advises_about_old_operators_of_a_program_is_not_printed(card) -> None:
    class Old(nn.Module):
        def forward(self, wave: Tensor) -> Tensor:
            window = torch.hann_window(256)
            return torch.stft(wave, 256, 64, window=window, return_complex=False).square().sum(-1).mean(2)[:, :3]

    content = scripted(Old(), waves(1))
    always = torch.is_warn_always_enabled()
    torch.set_warn_always(True)  # else once in the life of the process
    try:
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            load_victim(card(content)).scores(waves())
    finally:
        torch.set_warn_always(always)
    assert told == []


def test_torchscript_that_needs_an_unknown_operator_is_told(small_pt: bytes, card) -> None:
    with pytest.raises(CardError, match=r"cannot be loaded by torch .*no_such_operator"):
        load_victim(card(with_code(small_pt, "x = torch.no_such_operator(wave)")))


def test_tensors_beyond_their_storage_are_refused(small_pt: bytes, small_pt2: bytes, card) -> None:
    with pytest.raises(CardError, match="the storage 0 is smaller than what it should hold"):
        load_victim(card(changed(small_pt, "/data/0", lambda raw: raw[:-4])))

    def wider(raw: bytes) -> bytes:  # the size of the weights, (3, 2) of 6 numbers, becomes (250, 2)
        assert raw.count(b"K\x03K\x02\x86") + raw.count(b"(K\x03K\x02t") == 1
        return raw.replace(b"K\x03K\x02\x86", b"K\xfaK\x02\x86").replace(b"(K\x03K\x02t", b"(K\xfaK\x02t")

    with pytest.raises(CardError, match="a tensor reaches beyond its storage"):
        load_victim(card(changed(small_pt, "/data.pkl", wider)))

    def larger(table: Any) -> None:
        table["config"]["last.weight"]["tensor_meta"]["sizes"][0]["as_int"] = 1000

    with pytest.raises(CardError, match="a tensor reaches beyond its storage"):
        load_victim(card(told(small_pt2, larger, "weights/model_weights_config.json")))


def _pickled(table: Any) -> None:
    table["config"]["last.weight"]["use_pickle"] = True


def _opaque(table: Any) -> None:
    table["config"] = {"x": {"path_name": "opaque_obj_0", "is_param": False, "use_pickle": True, "tensor_meta": None}}


def test_pickles_of_an_exported_program_are_refused_unread(small_pt2: bytes, card, marker: Path) -> None:
    bomb = changed(small_pt2, "weights/weight_0", lambda _: saved(Bomb(marker)))
    with pytest.raises(CardError, match=r"holds last.weight as a pickle, which runs code of its own and is never read"):
        load_victim(card(told(bomb, _pickled, "model_weights_config.json")))
    opaque = packed(parts(small_pt2) | {f"{root(small_pt2)}/data/constants/opaque_obj_0": pickle.dumps(Bomb(marker))})
    with pytest.raises(CardError, match="holds x as a pickle"):
        load_victim(card(told(opaque, _opaque, "model_constants_config.json")))


def test_python_in_the_texts_of_an_exported_program_is_not_run(small_pt2: bytes, card, marker: Path) -> None:
    python = f"__import__('os').system('touch {marker}')"

    def sow(table: Any) -> None:
        table["guards_code"] = [python]
        graph = table["graph_module"]["graph"]
        graph["tensor_values"]["wave"]["sizes"][1]["as_expr"]["expr_str"] = python
        graph["nodes"][0]["name"] = python
        graph["nodes"][0]["metadata"] = {"nn_module_stack": python, "from_node": python, "stack_trace": python}
        graph["sym_int_values"] = {"x": {"as_expr": {"expr_str": python, "hint": None}}}
        table["graph_module"]["module_call_graph"] = [{"fqn": python, "signature": None}]
        first = graph["outputs"][0]["as_tensor"]["name"]
        text = json.dumps(graph).replace(json.dumps(first), json.dumps(python))
        table["graph_module"]["graph"] = json.loads(text)

    victim = load_victim(card(told(small_pt2, sow)))
    assert torch.equal(victim.scores(waves()), seeded(Small)(waves()))


@pytest.mark.parametrize(
    "target",
    [
        "torch.ops.aten.save.default",
        "torch.ops.aten.from_file.default",
        "torch.os.system",
        "torch.hub.load",
        "torch.ops.aten.__class__.mro",
        "_operator.attrgetter",
        "math.__loader__.load_module",
        "torch.ops.inductor.resize_storage_bytes_.default",
        "#namespace:name",
    ],
)
def test_an_operator_that_reaches_out_is_refused(target: str, small_pt2: bytes, card, marker: Path) -> None:
    def sow(table: Any) -> None:
        node = table["graph_module"]["graph"]["nodes"][0]
        node["target"] = target
        node["inputs"] = [{"name": "", "arg": {"as_string": f"touch {marker}"}, "kind": 1}]

    with pytest.raises(CardError, match=r"calls .* (and only operators of torch.ops.aten|which reaches files)"):
        load_victim(card(told(small_pt2, sow)))


def test_a_file_cut_short_or_bent_is_told(small_pt: bytes, small_pt2: bytes, card) -> None:
    for program in (small_pt, small_pt2):
        for part in (40, len(program) // 2, len(program) - 10):
            with pytest.raises(CardError, match=r'program = "model.pt" is (damaged|no zip)'):
                load_victim(card(program[:part]))
    for bent in (b"", b"{", b"[]", b'{"schema_version": {"major": 8}}', b"[" * 100_000):
        with pytest.raises(CardError, match="is damaged, or of a form that is not known"):
            load_victim(card(changed(small_pt2, "models/model.json", lambda _, bent=bent: bent)))
    for part in ("/data.pkl", "/constants.pkl"):
        with pytest.raises(CardError, match=r"is damaged: its .*pkl cannot be read"):
            load_victim(card(changed(small_pt, part, lambda raw: raw[:3])))
    with pytest.raises(CardError, match=r"has version 9 of torch.export's format, and 8 is read"):
        load_victim(card(told(small_pt2, lambda table: table["schema_version"].update(major=9))))


def test_a_zip_bomb_is_refused_unpacked(small_pt: bytes, card) -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts(small_pt).items():
            archive.writestr(name, content)
        archive.writestr(f"{root(small_pt)}/data/9", bytes(65 * 2**20))
    assert len(stream.getvalue()) < 2**17
    with pytest.raises(CardError, match="unpacks to more than 64 MiB"):
        load_victim(card(stream.getvalue()))
    lied = bytearray(packed({f"{root(small_pt)}/data/7": b"x" * 64} | parts(small_pt)))
    entry = lied.rindex(b"PK\x01\x02", 0, lied.index(b"PK\x01\x02") + 4)
    lied[entry + 24 : entry + 28] = struct.pack("<I", 2**31 - 1)
    with pytest.raises(CardError, match="unpacks to more"):
        load_victim(card(bytes(lied)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        twice = io.BytesIO(small_pt)
        with zipfile.ZipFile(twice, "a") as archive:
            archive.writestr(f"{root(small_pt)}/data.pkl", b"x")
    with pytest.raises(CardError, match="a part stands in it twice"):
        load_victim(card(twice.getvalue()))


def test_a_program_needs_a_device_that_is_there(small_pt: bytes, card) -> None:
    from subterfuge.errors import InputError

    with pytest.raises(InputError, match="cannot be used on this machine"):
        load_victim(card(small_pt), device="cuda:77")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
def test_programs_answer_on_a_gpu_as_on_the_cpu(net_pt2: bytes, small_pt: bytes, card) -> None:
    for program in (net_pt2, small_pt):
        here: Victim = load_victim(card(program))
        there: Victim = load_victim(card(program), device="cuda")
        torch.testing.assert_close(there.scores(waves()), here.scores(waves()), rtol=1e-3, atol=1e-4)
        torch.testing.assert_close(slope(there.scores, waves()), slope(here.scores, waves()), rtol=1e-2, atol=1e-4)
