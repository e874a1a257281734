"""What every kind of victim keeps: one example a registered kind, each passing the check."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from numpy.typing import NDArray
from tests.victims.http_faults import Server

from subterfuge.training.demo_data import embedded_card
from subterfuge.victim import Gives, Kind, Victim
from subterfuge.victims import LOADERS, check_victim, load_victim


def sklearn_card(folder: Path) -> Path:
    return embedded_card()


def torch_card(folder: Path) -> Path:
    (folder / "net.py").write_text(
        "import torch\n"
        "class Net(torch.nn.Module):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.filters = torch.nn.Conv1d(1, 8, 32, stride=16)\n"
        "        self.last = torch.nn.Linear(8, 3)\n"
        "    def forward(self, wave):\n"
        "        return self.last(torch.tanh(4 * self.filters(wave)).square().mean(-1))\n"
    )
    return write(folder, "torch", 'module = "net.py:Net"\ninput = "N1T"\n')


def python_card(folder: Path) -> Path:
    (folder / "classify.py").write_text(
        "import numpy as np\n"
        "def scores(wave, sample_rate):\n"
        "    loud = np.abs(wave)\n"
        "    e = np.exp([loud.std(), loud.max(), 0.1 * (np.diff(np.sign(wave)) != 0).mean()])\n"
        "    return e / e.sum()\n"
    )
    return write(folder, "python", 'function = "classify.py:scores"\noutput = "probabilities"\n')


def musicnn_card(folder: Path) -> Path:
    from tests.victims.musicnn_toys import toy_card

    return toy_card(folder)


def silero_card(folder: Path) -> Path:
    if find_spec("silero_vad") is None:
        pytest.skip("it is not installed: pip install --no-deps silero-vad==6.2.3")
    (folder / "card.toml").write_text('schema = 1\nkind = "silero-vad"\nsample_rate = 16000\n')
    return folder / "card.toml"


def resemblyzer_card(folder: Path) -> Path:
    if find_spec("resemblyzer") is None:
        pytest.skip("it is not installed: pip install --no-deps resemblyzer==0.1.4")
    soundfile.write(folder / "a.wav", 0.1 * torch.sin(torch.arange(8000) ** 2 / 1e5).numpy(), 16000)
    (folder / "card.toml").write_text('schema = 1\nkind = "resemblyzer"\nsample_rate = 16000\nenrolled = ["a.wav"]\n')
    return folder / "card.toml"


def command_card(folder: Path) -> Path:
    (folder / "classify.py").write_text(
        "import array, json, math, sys, wave\n"
        "with wave.open(sys.argv[1]) as file:\n"
        "    sound = array.array('h', file.readframes(file.getnframes()))\n"
        "power = sum(one * one for one in sound) / len(sound)\n"
        "e = [math.exp(math.sqrt(power) / 1e4), math.exp(max(sound) / 4e4), 1.0]\n"
        "print(json.dumps([{'label': label, 'score': one / sum(e)} for label, one in zip('abc', e)]))\n"
    )
    command = json.dumps([sys.executable, "-I", "-S", "classify.py", "{wav}"])
    return write(folder, "command", f'command = {command}\noutput = "probabilities"\n')


@cache
def http_server() -> Server:
    """Start a server of loudness, once: its port is on the card, and so in the fingerprint."""

    def answer(wave: NDArray[np.float32]) -> dict[str, list[float]]:
        e = np.exp(np.array([wave.std(), np.abs(wave).max(), 0.1 * (np.diff(np.sign(wave)) != 0).mean()]))
        return {"probabilities": (e / e.sum()).tolist()}

    return Server(answer)


def http_card(folder: Path) -> Path:
    return write(folder, "http", f'url = "{http_server().url}"\n')


def write(folder: Path, kind: str, rest: str) -> Path:
    common = f'schema = 1\nkind = "{kind}"\nsample_rate = 8000\nlabels = ["a", "b", "c"]\n'
    (folder / "card.toml").write_text(common + rest)
    return folder / "card.toml"


def wrapper_card(folder: Path, kind: str, rest: str) -> Path:
    """Write a card that names the torch card beside it."""
    torch_card(folder)
    path = folder / f"{kind}.toml"
    path.write_text(f'schema = 1\nkind = "{kind}"\nsample_rate = 8000\n{rest}')
    return path


def through_card(folder: Path) -> Path:
    return wrapper_card(folder, "through", 'victim = "card.toml"\nthrough = "mp3=32,lowpass=3000,noise=30"\n')


def windowed_card(folder: Path) -> Path:
    return wrapper_card(folder, "windowed", 'victim = "card.toml"\nwindow_seconds = 0.2\nhop_seconds = 0.15\n')


def smoothed_card(folder: Path) -> Path:
    return wrapper_card(folder, "smoothed", 'victim = "card.toml"\nsd = 0.01\n')


def ensemble_card(folder: Path) -> Path:
    through_card(folder)
    return wrapper_card(folder, "ensemble", 'members = ["card.toml", "through.toml"]\n')


def detector_card(folder: Path) -> Path:
    smoothed_card(folder)
    return wrapper_card(folder, "detector", 'victim = "smoothed.toml"\nsurvives = "requantise=8,lowpass=3000"\n')


def transformers_card(folder: Path) -> Path:
    from tests.victims.hf_models import save_model, write_card

    save_model(folder / "model", "wav2vec2")
    return write_card(folder)


def onnx_card(folder: Path) -> Path:
    from tests.victims.onnx_models import save, waveform_net

    save(waveform_net(), folder / "net.onnx")
    return write(folder, "onnx", 'model = "net.onnx"\n')


EXAMPLES: dict[str, Callable[[Path], Path]] = {
    "sklearn": sklearn_card,
    "torch": torch_card,
    "python": python_card,
    "musicnn": musicnn_card,
    "transformers": transformers_card,
    "silero-vad": silero_card,
    "resemblyzer": resemblyzer_card,
    "command": command_card,
    "onnx": onnx_card,
    "http": http_card,
    "through": through_card,
    "windowed": windowed_card,
    "smoothed": smoothed_card,
    "ensemble": ensemble_card,
    "detector": detector_card,
}


def test_every_registered_kind_has_an_example() -> None:
    assert EXAMPLES.keys() == LOADERS.keys()


@pytest.fixture(scope="module", params=LOADERS)
def victim(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Victim:
    return load_victim(EXAMPLES[request.param](tmp_path_factory.mktemp(request.param)))


def sounds(victim: Victim) -> torch.Tensor:
    dice = torch.Generator().manual_seed(1)
    return torch.tensor([[0.1], [0.01], [0.2]]) * torch.randn(3, victim.sample_rate // 2, generator=dice)


def test_it_passes_the_check(victim: Victim) -> None:
    report = check_victim(victim, [sounds(victim)[0].numpy()])
    assert not report.failures, report.failures
    assert isinstance(victim, Victim)


def test_a_clip_does_not_feel_its_batch(victim: Victim) -> None:
    waves = sounds(victim)
    alone = torch.cat([victim.decide(wave[None]) for wave in waves])
    assert torch.equal(victim.decide(waves), alone)
    scores = torch.cat([victim.scores(wave[None]) for wave in waves])
    torch.testing.assert_close(victim.scores(waves), scores, rtol=1e-5, atol=1e-6)


def test_answers_have_the_shapes_of_the_protocol(victim: Victim) -> None:
    waves, k = sounds(victim), len(victim.labels)
    assert (victim.decide(waves).dtype, victim.decide(waves).shape) == (torch.int64, (3,))
    assert victim.scores(waves).shape == ((3, k, k) if victim.kind == Kind.DUELS else (3, k))
    chances = victim.probabilities(waves)
    if chances is None:  # numbers that no one called probabilities
        assert victim.kind == Kind.DECISION
        return
    if victim.kind == Kind.TAGS:  # each by itself
        torch.testing.assert_close(chances, victim.scores(waves).sigmoid(), rtol=1e-5, atol=1e-6)
        return
    torch.testing.assert_close(chances.sum(1).double(), torch.ones(3, dtype=torch.float64), rtol=0, atol=1e-6)


def test_what_it_searches_on_has_gradients_and_the_same_labels(victim: Victim) -> None:
    searched = victim if victim.gives == Gives.GRADIENTS else victim.twin
    if searched is None:
        assert victim.gives < Gives.GRADIENTS
        return
    assert (searched.labels, searched.sample_rate, searched.gives) == (victim.labels, victim.sample_rate, 2)
    wave = sounds(victim).requires_grad_()
    (slope,) = torch.autograd.grad(searched.scores(wave)[:, 0].square().sum(), wave)
    assert slope.shape == wave.shape
    assert bool(torch.isfinite(slope).all())
    assert bool((slope.abs().amax(1) > 0).all())


def test_it_takes_float64_waves_and_gives_the_same_label(victim: Victim) -> None:
    waves = sounds(victim)
    assert torch.equal(victim.decide(waves.double()), victim.decide(waves))


def test_loaded_again_it_has_the_same_fingerprint(victim: Victim, tmp_path: Path) -> None:
    kind = next(kind for kind, loader in LOADERS.items() if loader.module == type(victim).__module__)
    assert load_victim(EXAMPLES[kind](tmp_path)).fingerprint == victim.fingerprint
