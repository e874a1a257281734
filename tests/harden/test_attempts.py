"""One case under one victim: who sees what, and how loud a change from elsewhere has to be."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from tests.harden.kit import TINY, cases
from tests.world import card

from subterfuge.audio import Clip
from subterfuge.campaign.cases import Case
from subterfuge.harden.attempts import LOUDER_DB, LOUDEST_DB, face
from subterfuge.victim import Gives
from subterfuge.victims import load_victim


def test_every_search_is_tried_and_the_black_box_without_gradients(tmp_path: Path) -> None:
    victim = load_victim(card(tmp_path / "cards"))
    (case,) = cases(tmp_path, 1)
    found = face(victim, case, TINY, doubted=True, folder=tmp_path / "out")
    assert (found.answer, found.right) == ("low", True)
    assert list(found.attempts) == ["targeted", "untargeted", "masked", "black box"]
    black = found.attempts.pop("black box")
    assert (black.gradients, black.queries <= TINY.queries, black.queries > 0) == (0, True, True)
    for name, one in found.attempts.items():
        assert (one.won, one.gradients > 0) == (True, True), name
        assert one.file is not None
        wave = torch.from_numpy(Clip.read(one.file).mono(8000))[None]
        answer = victim.labels[int(victim.decide(wave)[0])]
        assert answer == one.answer != "low"
        change = wave - torch.from_numpy(Clip.read(case.path).mono(8000))[None]
        assert one.snr_db == pytest.approx(20 * math.log10(float((wave - change).norm() / change.norm())), abs=0.01)
    assert found.attempts["targeted"].answer == case.target


def test_a_wrong_clip_is_searched_for_its_target_alone(tmp_path: Path) -> None:
    (case,) = cases(tmp_path, 1)
    wrong = Case(0, case.path, "high", "middle")
    found = face(load_victim(card(tmp_path / "cards")), wrong, TINY, folder=tmp_path / "out")
    assert (found.right, list(found.attempts)) == (False, ["targeted"])
    met = face(load_victim(card(tmp_path / "cards")), Case(0, case.path, "high", "low"), TINY, folder=tmp_path / "out")
    assert met.attempts["targeted"].already


@pytest.mark.parametrize(("name", "gives"), [("scores", Gives.SCORES), ("label", Gives.LABELS)])
def test_a_victim_without_gradients_is_asked_within_the_budget(tmp_path: Path, name: str, gives: Gives) -> None:
    victim = load_victim(card(tmp_path / "cards", name))
    assert victim.gives is gives
    found = face(victim, cases(tmp_path, 1)[0], TINY, searches=("targeted",), folder=tmp_path / "out")
    assert 0 < found.attempts["targeted"].queries <= TINY.queries
    assert found.attempts["targeted"].gradients == 0


@pytest.mark.parametrize("level", [1e-3, 10 ** (-60.5 / 20)])  # one step apart
def test_the_attack_that_does_not_adapt_is_the_first_louder_version_that_wins(tmp_path: Path, level: float) -> None:
    victim = load_victim(card(tmp_path / "cards"))
    (case,) = cases(tmp_path, 1)
    clean, rate = soundfile.read(case.path)
    t = np.arange(len(clean)) / rate
    tone = np.sin(2 * np.pi * 1500 * t)
    soft = tmp_path / "elsewhere.wav"
    soundfile.write(soft, clean + level * tone, rate, subtype="FLOAT")
    found = face(victim, case, TINY, searches=(), folder=tmp_path / "out", elsewhere=str(soft))
    wave = torch.from_numpy(Clip.read(case.path).mono(8000))[None]
    change = torch.from_numpy(Clip.read(soft).mono(8000))[None] - wave
    natural_db = 20 * math.log10(float(wave.norm() / change.norm()))
    steps = [natural_db - LOUDER_DB * place for place in range(int((natural_db - LOUDEST_DB) / LOUDER_DB) + 1)]
    said = [
        victim.labels[int(victim.decide((wave + change * 10 ** ((natural_db - snr) / 20)).clamp(-1, 1))[0])]
        for snr in steps
    ]
    assert said[0] == "low"
    assert found.found_elsewhere_db == pytest.approx(steps[said.index("middle")], abs=1e-3)
    assert found.attempts == {}


@pytest.mark.parametrize("change", ["nothing", "of another length", "useless"])
def test_a_change_from_elsewhere_that_cannot_win_has_no_snr(tmp_path: Path, change: str) -> None:
    (case,) = cases(tmp_path, 1)
    clean, rate = soundfile.read(case.path)
    path = tmp_path / "elsewhere.wav"
    if change == "useless":
        clean = clean + 1e-3 * np.sin(2 * np.pi * 500 * np.arange(len(clean)) / rate)
    soundfile.write(path, clean[:-8] if change == "of another length" else clean, rate, subtype="PCM_16")
    victim = load_victim(card(tmp_path / "cards"))
    found = face(victim, case, TINY, searches=(), folder=tmp_path / "out", elsewhere=str(path))
    assert found.found_elsewhere_db is None
