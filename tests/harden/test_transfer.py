"""The transfer matrix: what is found on one victim, asked of every other, beside noise that is as loud."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tests.harden.kit import cases
from tests.world import CODE, card

from subterfuge.audio import Clip
from subterfuge.errors import InputError
from subterfuge.harden.table import matrix_rows
from subterfuge.harden.transfer import Share, found_on, matrix
from subterfuge.oracle import dice
from subterfuge.victims import load_victim


def swapped(folder: Path) -> Path:
    """Write the card of a victim that answers as the bands do, and gives its labels in another order."""
    path = card(folder, "bands").with_name("swapped.toml")
    (folder / "swapped.py").write_text(
        CODE + "\n\nclass Turned(Bands):\n    def forward(self, wave):\n        return super().forward(wave).flip(-1)\n"
        "\n\ndef turned():\n    return Turned()\n"
    )
    path.write_text(
        'schema = 1\nsample_rate = 8000\nlabels = ["high", "middle", "low"]\nkind = "torch"\n'
        'module = "swapped.py:turned"\n'
    )
    return path


def test_identical_victims_share_every_change_and_noise_of_its_level_does_nothing(tmp_path: Path) -> None:
    cards = [card(tmp_path / "cards"), swapped(tmp_path / "cards")]
    told: list[tuple[int, int]] = []
    some = cases(tmp_path, 3)
    found = matrix(cards, some, snr_db=18.0, progress=lambda *at: told.append(at))
    everything, nothing = Share(3, 3), Share(0, 3)
    for table in (found.targeted, found.turned):
        assert table == ((everything, everything), (everything, everything))
    quiet = matrix(cards[:1], some, snr_db=40.0)
    for table in (quiet.targeted, quiet.turned, quiet.noise_targeted, quiet.noise_turned):
        assert table == ((nothing,),)
    assert told == [(place, 6) for place in range(1, 7)]
    rows = matrix_rows(found)
    assert [row[0] for row in rows] == ["bands", "swapped", "noise like bands", "noise like swapped"]
    assert rows[0][1] == "100 % / 100 %"
    assert json.loads(json.dumps(found.json()))["targeted"][0][1] == {"hits": 3, "of": 3}


def test_the_change_is_as_loud_as_allowed_and_no_louder(tmp_path: Path) -> None:
    victim = load_victim(card(tmp_path / "cards"))
    (case,) = cases(tmp_path, 1)
    clean = torch.from_numpy(Clip.read(case.path).mono(8000))[None]
    change = found_on(victim, clean, case.target, 25.0, dice("a seed", 1))
    snr_db = float(20 * (clean.norm() / change.norm()).log10())
    assert 25.0 - 1e-3 <= snr_db < 26.0


def test_a_victim_without_gradients_has_its_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("subterfuge.harden.transfer.QUERIES", 100)
    found = matrix([card(tmp_path / "cards", "scores"), card(tmp_path / "cards")], cases(tmp_path, 1), snr_db=10.0)
    assert found.names == ("scores", "bands")
    assert found.targeted[0][0] == found.targeted[0][1] == Share(1, 1)


def test_victims_of_other_labels_are_refused(tmp_path: Path) -> None:
    other = card(tmp_path / "other")
    other.write_text(other.read_text().replace('"high"', '"shrill"'))
    with pytest.raises(InputError, match=r"shrill.*can be carried over between victims of the same labels"):
        matrix([card(tmp_path / "cards"), other], cases(tmp_path, 1))


def test_clips_that_cannot_be_read_are_named_and_left_out_and_never_end_it(tmp_path: Path) -> None:
    some = cases(tmp_path, 2)
    some[0].path.write_bytes(b"RIFF no sound")
    found = matrix([card(tmp_path / "cards")], some, snr_db=10.0)
    assert found.targeted == ((Share(1, 1),),)
    assert len(found.skipped) == 1
    assert "0.wav" in found.skipped[0]
    with pytest.raises(InputError, match="none of the 1 clips can be read"):
        matrix([card(tmp_path / "cards")], [some[0], replace(some[0], number=1, target="high")])


def test_a_share_of_nothing_is_no_share() -> None:
    assert (Share(0, 0).part, Share(1, 4).part) == (None, 0.25)
