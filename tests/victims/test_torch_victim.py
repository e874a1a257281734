"""A torch module on a card: found, run, loaded whole, and answering what the module answers."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file, save_model
from torch import Tensor, nn

from subterfuge.errors import CardError, InputError, VictimError
from subterfuge.victim import Gives, Kind, Victim
from subterfuge.victims import TorchVictim, load_victim
from subterfuge.victims._answers import doubt_of

CODE = """
import torch

class Net(torch.nn.Module):
    def __init__(self, classes, width, tail):
        super().__init__()
        self.filters = torch.nn.Conv1d(1, width, 32, stride=16)
        self.drop = torch.nn.Dropout(0.5)
        self.last = torch.nn.Linear(width, classes)
        self.tail = tail

    def forward(self, wave):
        assert wave.dtype == torch.float32
        heard = torch.relu(self.filters(wave if wave.ndim == 3 else wave[:, None])).mean(-1)
        out = self.last(self.drop(heard))
        return self.tail(out)

def build(classes=3, width=8):
    return Net(classes, width, torch.nn.Identity())

def softmaxed():
    return Net(3, 8, torch.nn.Softmax(-1))

def log_softmaxed():
    return Net(3, 8, torch.nn.LogSoftmax(-1))

def sigmoid():
    return Net(3, 8, torch.nn.Sigmoid())

def flat():
    return Net(3, 8, torch.nn.Flatten(0))

def nans():
    return Net(3, 8, torch.nn.Threshold(1e9, float("nan")))

def no_module():
    return 3

class Cut(torch.nn.Module):
    def forward(self, wave):
        return torch.stack([wave.std(-1), wave.amax(-1), wave.amin(-1)], -1).detach()

class Pair(torch.nn.Module):
    def forward(self, wave):
        return wave[:, :3], 1

class OneLength(torch.nn.Linear):
    def __init__(self):
        super().__init__(2000, 3)

number = 7
"""


@pytest.fixture
def card(card_of: Callable[..., Path], tmp_path: Path) -> Callable[..., Path]:
    def write(**values: Any) -> Path:
        (tmp_path / "mynet.py").write_text(CODE)
        common = {"schema": 1, "kind": "torch", "sample_rate": 8000, "labels": ["a", "b", "c"]}
        return card_of(**(common | {"module": "mynet.py:build"} | values))

    return write


def waves(n: int = 4, length: int = 4000) -> Tensor:
    return 0.1 * torch.randn(n, length, generator=torch.Generator().manual_seed(3))


def module_of(victim: Victim) -> nn.Module:
    assert isinstance(victim, TorchVictim)
    return victim.module


def test_it_answers_what_the_module_answers(card) -> None:
    victim = load_victim(card())
    out = module_of(victim)(waves())
    assert (victim.gives, victim.twin, victim.kind) == (Gives.GRADIENTS, None, Kind.DECISION)
    assert not module_of(victim).training
    assert not any(each.requires_grad for each in module_of(victim).parameters())
    assert torch.equal(victim.scores(waves()), out)
    assert torch.equal(victim.probabilities(waves()), out.softmax(-1))
    assert torch.equal(victim.decide(waves()), out.argmax(-1))
    assert torch.equal(victim.scores(waves().double()), out)
    wave = waves().requires_grad_()
    (slope,) = torch.autograd.grad(victim.scores(wave)[:, 0].sum(), wave)
    (true,) = torch.autograd.grad(module_of(victim)(wave)[:, 0].sum(), wave)
    assert torch.equal(slope, true)


@pytest.mark.parametrize(
    ("factory", "output", "kind"),
    [
        ("build", "logits", Kind.DECISION),
        ("build", "decision values", Kind.DECISION),
        ("softmaxed", "probabilities", Kind.LOG_PROBABILITY),
        ("log_softmaxed", "log-probabilities", Kind.LOG_PROBABILITY),
    ],
)
def test_output_says_what_the_numbers_are(factory: str, output: str, kind: Kind, card) -> None:
    victim = load_victim(card(module=f"mynet.py:{factory}", output=output))
    out = module_of(victim)(waves())
    assert victim.kind == kind
    chances = victim.probabilities(waves())
    expected = {
        "logits": out.softmax(-1),
        "decision values": None,
        "probabilities": out,
        "log-probabilities": out.exp(),
    }[output]
    assert (chances is None) == (expected is None)
    if expected is not None:
        torch.testing.assert_close(chances, expected)
    scores = out.log() if output == "probabilities" else out
    torch.testing.assert_close(victim.scores(waves()), scores)


@pytest.mark.parametrize(
    ("factory", "output", "likely"),
    [
        ("softmaxed", "logits", "probabilities"),
        ("softmaxed", "decision values", "probabilities"),
        ("sigmoid", "logits", "tag probabilities"),
        ("sigmoid", "tag logits", "tag probabilities"),
    ],
)
def test_numbers_that_look_like_probabilities_are_doubted(factory: str, output: str, likely: str, card) -> None:
    (said,) = load_victim(card(module=f"mynet.py:{factory}", output=output)).warnings
    assert said.startswith(f"its numbers are taken for {output}, but all lie between 0 and 1")
    assert said.endswith(f'is it output = "{likely}"?')


def test_numbers_are_doubted_only_where_those_of_every_sound_look_so() -> None:
    fair, asked = torch.tensor([[0.2, 0.3, 0.5]]), []

    def ask(wave: Tensor) -> Tensor:
        asked.append(float(wave.abs().max()))
        return fair if len(asked) < 3 else torch.tensor([[0.2, 0.3, 1.5]])

    assert doubt_of(fair, "logits", ask, 8000, 0.1) is None
    assert len(asked) == 3
    assert max(asked) <= 1
    for far in ([[-0.1, 0.6, 0.5]], [[0.1, 0.4, 1.5]]):
        assert doubt_of(torch.tensor(far), "logits", ask, 8000, 0.1) is None
    for output in ("probabilities", "log-probabilities", "tag probabilities"):
        assert doubt_of(fair, output, ask, 8000, 0.1) is None
    assert len(asked) == 3


def test_a_module_may_want_a_channel_axis(card, tmp_path: Path) -> None:
    victim = load_victim(card(input="N1T"))
    torch.testing.assert_close(victim.scores(waves()), module_of(victim)(waves()[:, None]))


def test_weights_and_arguments_are_the_cards(card, tmp_path: Path) -> None:
    victim = load_victim(card(arguments={"width": 5}))
    state = {key: torch.randn(value.shape) for key, value in module_of(victim).state_dict().items()}
    save_file(state, tmp_path / "w.safetensors")
    loaded = load_victim(card(arguments={"width": 5}, weights="w.safetensors"))
    for key, value in module_of(loaded).state_dict().items():
        assert torch.equal(value, state[key])
    assert loaded.fingerprint != victim.fingerprint


def test_shared_weights_are_loaded(card_of, tmp_path: Path) -> None:
    (tmp_path / "tied.py").write_text(
        "import torch\n"
        "class Tied(torch.nn.Module):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.a = torch.nn.Linear(1, 3)\n"
        "        self.b = self.a\n"
        "    def forward(self, wave):\n"
        "        return self.b(wave.std(-1, keepdim=True))\n"
    )
    fields = {"schema": 1, "kind": "torch", "sample_rate": 8000, "labels": ["a", "b", "c"], "module": "tied.py:Tied"}
    fresh = module_of(load_victim(card_of(**fields)))
    with torch.no_grad():
        fresh.a.weight.fill_(2.5)
    save_model(fresh, str(tmp_path / "w.safetensors"))
    assert float(module_of(load_victim(card_of(**fields, weights="w.safetensors"))).b.weight[0]) == 2.5


def test_a_module_without_weights_is_the_same_each_time_and_leaves_the_global_dice_alone(card) -> None:
    before = torch.random.get_rng_state()
    one = load_victim(card())
    assert torch.equal(torch.random.get_rng_state(), before)
    torch.rand(3)
    other = load_victim(card())
    assert one.fingerprint == other.fingerprint
    assert torch.equal(one.scores(waves()), other.scores(waves()))


def test_the_fingerprint_changes_with_everything_that_an_answer_depends_on(card, tmp_path: Path) -> None:
    prints = [
        load_victim(card(**values)).fingerprint
        for values in (
            {},
            {"arguments": {"width": 7}},
            {"labels": ["a", "b", "d"]},
            {"sample_rate": 16000},
            {"input": "N1T"},
            {"output": "decision values"},
        )
    ]
    path = card()
    (tmp_path / "mynet.py").write_text(CODE.replace("torch.relu(", "torch.tanh("))
    prints.append(load_victim(path).fingerprint)
    assert len(set(prints)) == len(prints)
    assert load_victim(card(name="other")).fingerprint == prints[0]


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "no such file": ({"module": "net.py:build"}, r'module = "net.py:build", but there is no file .*net\.py'),
    "no colon": ({"module": "mynet.py"}, '"file.py:function" or "package.module:function" was expected'),
    "no such function": ({"module": "mynet.py:bild"}, "mynet.py has no function bild; did you mean build"),
    "no function": ({"module": "mynet.py:number"}, "mynet.py has a int, not a function, number"),
    "no such module": ({"module": "nopackage.net:build"}, "no module nopackage, neither beside the card nor installed"),
    "no torch module": ({"module": "mynet.py:no_module"}, r"gave a int; a torch.nn.Module was expected"),
    "wrong arguments": ({"arguments": {"size": 3}}, r"died with arguments = {'size': 3}: TypeError: .*'size'"),
    "arguments that are no table": ({"arguments": [1]}, r"arguments = \[1\], where a table was expected"),
    "wrong label count": ({"labels": ["a", "b"]}, r"shape \(1, 3\); \(1, 2\) was expected"),
    "no labels": ({"labels": None}, "lacks the key 'labels', a list of texts"),
    "wrong shape": ({"module": "mynet.py:flat"}, r"shape \(3,\); \(1, 3\) was expected"),
    "NaN": ({"module": "mynet.py:nans"}, r"NaN or infinite numbers \(3 of 3\)"),
    "a pair": ({"module": "mynet.py:Pair"}, r"answered a tuple; a tensor \(N, 3\) was expected"),
    "one length": ({"module": "mynet.py:OneLength"}, "asked 1 s of noise, .* died .* needs probe_seconds"),
    "an unknown output": ({"output": "logit"}, 'output = "logit"; did you mean logits'),
    "an unknown input": ({"input": "TN"}, 'input = "TN"; .*[kK]nown: NT, N1T'),
    "a long probe": ({"probe_seconds": 100}, "probe_seconds = 100; a length above 0 and up to 60"),
    "logits called probabilities": ({"output": "probabilities"}, r'add up to .*; is it "logits"'),
    "missing weights": ({"weights": "none.safetensors"}, "there is no file .*none.safetensors"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_card_is_refused_with_the_way_out(case: str, card) -> None:
    changes, told = WRONG[case]
    with pytest.raises(CardError, match=told):
        load_victim(card(**changes))


def test_a_module_of_one_length_is_probed_with_it(card) -> None:
    victim = load_victim(card(module="mynet.py:OneLength", probe_seconds=0.25))
    assert victim.scores(waves(2, 2000)).shape == (2, 3)
    with pytest.raises(VictimError, match=r"the victim card died on 2 waves of 2001 samples: RuntimeError"):
        victim.decide(waves(2, 2001))
    short = r'died on 1 wave of 1999 samples, and it was tried with 0.25 s \(2000 samples\) only; .* kind "windowed"'
    with pytest.raises(VictimError, match=short):
        victim.decide(waves(1, 1999))


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("def build(:\n", "died as it was loaded: SyntaxError"),
        ("import nothing_of_this_name\n", "died as it was loaded: ModuleNotFoundError.*nothing_of_this_name"),
        ("x = 1\n1 / 0\n", r"died as it was loaded: ZeroDivisionError: division by zero \(broken.py, line 2"),
        ("import sys\nsys.exit(3)\n", r"died as it was loaded: SystemExit: 3 \(broken.py, line 2"),
    ],
)
def test_code_that_dies_is_told_with_its_place(code: str, told: str, card, tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text(code)
    with pytest.raises(CardError, match=told):
        load_victim(card(module="broken.py:build"))


def test_weights_of_other_keys_or_shapes_are_told(card, tmp_path: Path) -> None:
    state = dict(module_of(load_victim(card())).state_dict())
    del state["last.bias"]
    save_file(state | {"more": torch.zeros(1)}, tmp_path / "w.safetensors")
    with pytest.raises(CardError, match=r"1 missing \(last.bias\), 1 unexpected \(more\)"):
        load_victim(card(weights="w.safetensors"))
    save_file(module_of(load_victim(card())).state_dict(), tmp_path / "w.safetensors")
    with pytest.raises(CardError, match=r"do not fit the module: size mismatch for filters.weight"):
        load_victim(card(arguments={"width": 5}, weights="w.safetensors"))


def test_weights_in_other_forms_are_refused_unread(card, tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> Any:
            return Path.touch, (tmp_path / "exploded",)

    torch.save({"a": Bomb()}, tmp_path / "w.pt")
    with pytest.raises(CardError, match=r"no safetensors file, .*safetensors.torch.save_model"):
        load_victim(card(weights="w.pt"))
    assert not (tmp_path / "exploded").exists()
    (tmp_path / "w.safetensors").write_bytes((20).to_bytes(8, "little") + b"{" + b"x" * 40)
    with pytest.raises(CardError, match="is damaged"):
        load_victim(card(weights="w.safetensors"))


def test_two_cards_may_each_have_a_file_of_the_same_name(tmp_path: Path) -> None:
    heard = []
    path_before, modules_before = list(sys.path), set(sys.modules)
    for scale in (2, 3):
        folder = tmp_path / str(scale)
        folder.mkdir()
        (folder / "helper.py").write_text(f"SCALE = {scale}\n")
        (folder / "mynet.py").write_text(
            "import torch\nfrom helper import SCALE\n"
            "class Net(torch.nn.Module):\n"
            "    def forward(self, wave):\n"
            "        return SCALE * torch.stack([wave.std(-1), wave.amax(-1)], -1)\n"
        )
        text = 'schema = 1\nkind = "torch"\nsample_rate = 8000\nlabels = ["a", "b"]\nmodule = "PLACE:Net"\n'
        for place in ("mynet.py", "mynet"):
            (folder / "card.toml").write_text(text.replace("PLACE", place))
            heard.append(load_victim(folder / "card.toml").scores(waves()))
    assert torch.equal(heard[0], heard[1])
    torch.testing.assert_close(heard[2] / heard[0], torch.full_like(heard[0], 1.5))
    assert torch.equal(heard[2], heard[3])
    assert sys.path == path_before
    assert not {"helper", "mynet"} & (set(sys.modules) - modules_before)


def test_a_change_of_a_neighbour_that_the_code_imports_changes_the_fingerprint(card_of, tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text("import torch\nimport helper\nbuild = lambda: torch.nn.Linear(8000, 2)\n")
    card = {"schema": 1, "kind": "torch", "sample_rate": 8000, "labels": ["a", "b"], "module": "net.py:build"}
    prints = []
    for text in ("X = 1\n", "X = 2\n"):
        (tmp_path / "helper.py").write_text(text)
        prints.append(load_victim(card_of(**card)).fingerprint)
    assert prints[0] != prints[1]


def test_an_installed_factory_is_found(card_of) -> None:
    arguments = {"in_features": 8000, "out_features": 3}
    fields = {"schema": 1, "kind": "torch", "sample_rate": 8000, "labels": ["a", "b", "c"], "arguments": arguments}
    victim = load_victim(card_of(**fields, module="torch.nn:Linear"))
    assert victim.scores(waves(2, 8000)).shape == (2, 3)


def test_a_module_cut_off_from_its_input_gives_scores_only(card) -> None:
    victim = load_victim(card(module="mynet.py:Cut"))
    assert victim.gives == Gives.SCORES
    assert "no gradients" in victim.warnings[0]


def test_a_module_in_hand_is_copied(card) -> None:
    module = nn.Sequential(nn.Linear(8000, 3), nn.Dropout(0.9)).train()
    victim = TorchVictim.of(module, labels=["a", "b", "c"], sample_rate=8000, name="mine")
    assert module.training
    assert all(each.requires_grad for each in module.parameters())
    assert torch.equal(victim.scores(waves(2, 8000)), module[0](waves(2, 8000)).detach())
    assert victim.name == "mine"
    other = TorchVictim.of(nn.Linear(8000, 3), labels=["a", "b", "c"], sample_rate=8000)
    assert other.fingerprint != victim.fingerprint


def test_a_wrong_module_in_hand_is_refused() -> None:
    for changes, told in (
        ({"labels": ["a", "b"]}, r"\(1, 2\) was expected"),
        ({"labels": ["a", "a", "b"]}, "stands twice"),
        ({"output": "x"}, 'output = "x"'),
        ({"device": "cuda:77"}, "cannot be used"),
    ):
        fields = {"labels": ["a", "b", "c"], "sample_rate": 8000} | changes
        with pytest.raises(InputError, match=told):
            TorchVictim.of(nn.Linear(8000, 3), **fields)
