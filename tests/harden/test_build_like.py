"""What is taught anew is like the victim: its network's shape, its filter, and noise that is drawn for each sound."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch
from tests.harden.kit import sounds
from tests.world import LABELS

from subterfuge.harden import build
from subterfuge.harden.build import Workshop, defended, undefended
from subterfuge.harden.defences import parse_defence
from subterfuge.training.cnn import MelNet
from subterfuge.training.cnn import build as network
from subterfuge.training.datasets import read_dataset
from subterfuge.training.train import train
from subterfuge.transforms import Denoise
from subterfuge.victims import TorchVictim, load_victim
from subterfuge.victims.ensemble import EnsembleVictim
from subterfuge.victims.sklearn import SklearnVictim


def test_a_network_that_is_taught_anew_has_the_victims_shape(tmp_path: Path) -> None:
    data = read_dataset(sounds(tmp_path / "sounds", recordings=2, excerpts=1))
    module = network(classes=3, sample_rate=8000, mels=32, widths=(4, 5, 6, 7))
    victim = TorchVictim.of(module, labels=LABELS, sample_rate=8000)
    made = load_victim(undefended(victim, Workshop(data, tuple(range(len(data))), tmp_path / "out", epochs=1)))
    assert isinstance(made, TorchVictim)
    assert isinstance(made.module, MelNet)
    assert (made.module.mels, made.module.widths, made.sample_rate) == (32, (4, 5, 6, 7), 8000)


def test_noise_of_training_is_drawn_for_each_sound_and_none_feels_its_batch() -> None:
    hear = partial(build._heard, "librosa-mean-25", "noise=20", 0.01, 0)
    waves = 0.1 * torch.sin(torch.arange(2 * 8000).reshape(2, 8000) / torch.tensor([[9.0], [10.0]]))
    together = hear(waves, 8000)
    torch.testing.assert_close(
        together, torch.cat([hear(waves[:1], 8000), hear(waves[1:], 8000)]), rtol=1e-5, atol=1e-5
    )
    drawn = [build._heard("librosa-mean-25", "", 0.01, seed, waves[:1], 8000) for seed in (0, 0, 1)]
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.allclose(drawn[0], drawn[2])


def test_an_ensemble_wears_the_filter_that_its_victim_has(tmp_path: Path) -> None:
    pytest.importorskip("noisereduce", reason="noisereduce is not installed")
    folder = sounds(tmp_path / "sounds", recordings=3, excerpts=1, rate=44100)
    trained = train(folder, "logistic", out=tmp_path / "model", through="denoise", jobs=1)
    victim = load_victim(trained.card)
    assert isinstance(victim, SklearnVictim)
    assert victim.before is not None
    data = read_dataset(folder)
    shop = Workshop(data, tuple(range(len(data))), tmp_path / "out")
    for wanted in ("ensemble", "ensemble+denoise"):
        made = load_victim(defended(victim, trained.card, parse_defence(wanted), replace(shop, out=tmp_path / wanted)))
        assert isinstance(made, EnsembleVictim)
        fronts = [member.before.name for member in made.members if isinstance(member, SklearnVictim) and member.before]
        assert fronts == ["noisereduce"] * 3, f"{wanted}: {Denoise.word} once for each member"
