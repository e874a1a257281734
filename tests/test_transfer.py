"""Which recorded attacks carry over to other victims, and whether noise as loud does as much."""

from __future__ import annotations

import hashlib
import itertools
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray
from tests.world import RATE, card, run, tree

from subterfuge.driver._transfer_record import Row, chance_of
from subterfuge.driver.transfer import Transfer, find, transfer
from subterfuge.errors import ClipError, InputError
from subterfuge.outcome import outcome_path
from subterfuge.training.substitute import wilson
from subterfuge.victims import load_victim

HALVES = '''
import numpy as np


def scores(wave):
    """Which half of the sound is the louder one: random phases know nothing of that."""
    a, b = np.split(wave[: len(wave) // 2 * 2].astype(float), 2)
    return [10 * np.log((a**2).mean() + 1e-9), 10 * np.log((b**2).mean() + 1e-9)]


def dies(wave):
    if np.abs(wave).max() > 0.6:
        raise RuntimeError("gone")
    return [1.0, 0.0]
'''


@pytest.fixture(scope="module")
def cards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cards")
    for name in ("bands", "label", "uncertain"):
        card(folder, name)
    (folder / "halves.py").write_text(HALVES)
    common = 'schema = 1\nkind = "python"\nfunction = "halves.py:scores"\noutput = "logits"\n'
    (folder / "halves.toml").write_text(f'{common}sample_rate = 8000\nlabels = ["begins", "ends"]\n')
    (folder / "ends.toml").write_text(f'{common}sample_rate = 16000\nlabels = ["low", "high"]\n')
    (folder / "frail.toml").write_text((folder / "halves.toml").read_text().replace("py:scores", "py:dies"))
    tags = (folder / "bands.toml").read_text() + 'output = "tag logits"\n'
    (folder / "tags.toml").write_text(tags)
    return folder


def tones(low: float, high: float, *, late: float = 1.0) -> NDArray[Any]:
    """A tone in the low band and one in the high band, (T,); the second half of both by a factor."""
    t = np.arange(RATE) / RATE
    mixed = low * np.sin(2 * np.pi * 500 * t) + high * np.sin(2 * np.pi * 2600 * t)
    return np.asarray(mixed * np.where(t < 0.5, 1.0, late))


def recorded(
    folder: Path,
    after: NDArray[Any],
    *,
    before: NDArray[Any] | None = None,
    stem: str = "p",
    **more: Any,
) -> Path:
    """Write two sounds, and a record as if an attack on `bands` had made one of the other; give its file."""
    folder.mkdir(exist_ok=True)
    clip, file = folder / f"{stem}.wav", folder / f"{stem}-to-high.wav"
    soundfile.write(clip, tones(0.3, 0.1) if before is None else before, RATE, subtype="PCM_16")
    soundfile.write(file, after, RATE, subtype="PCM_16")
    hashes = [hashlib.sha256(place.read_bytes()).hexdigest() for place in (clip, file)]
    record = {
        "schema": 1,
        "won": True,
        "goal": "targeted",
        "target": "high",
        "predicted_before": "low",
        "file": str(file),
        "file_sha256": hashes[1],
        "clip": {"name": stem, "path": str(clip), "sha256": hashes[0]},
        "victim": {"name": "bands", "fingerprint": "another", "card": None},
    }
    outcome_path(file).write_text(json.dumps(record | more))
    return file


def carried(file: Path | list[Path], cards: Path, *names: str, **how: Any) -> Transfer:
    files = file if isinstance(file, list) else [file]
    victims = {name: load_victim(cards / f"{name}.toml") for name in names}
    return transfer([find(one) for one in files], victims, **({"draws": 0} | how))


def test_a_win_is_asked_of_every_victim_with_what_each_says_before_and_after(tmp_path: Path, cards: Path) -> None:
    found = carried(recorded(tmp_path, tones(0.3, 0.45)), cards, "bands", "label")
    first, second = found.rows
    assert (first.victim, first.before, first.after, first.reached, first.changed) == (
        "bands",
        "low",
        "high",
        True,
        True,
    )
    assert first.before_probability is not None
    assert first.after_probability is not None
    assert first.before_probability < 0.5 < first.after_probability
    assert (second.victim, second.reached, second.after_probability) == ("label", True, None)
    assert [(one.carried, one.of, one.queries) for one in found.cards] == [(1, 1, 2), (1, 1, 2)]
    assert (found.cards[0].low, found.cards[0].high) == wilson(1, 1)


def test_a_win_that_another_victim_does_not_hear_did_not_carry_over(tmp_path: Path, cards: Path) -> None:
    file = recorded(tmp_path, tones(0.3, 0.12))
    (row,) = carried(file, cards, "bands").rows
    assert (row.reached, row.changed, row.counts) == (False, False, True)


def test_of_a_victim_without_the_label_only_a_changed_answer_counts(tmp_path: Path, cards: Path) -> None:
    late = recorded(tmp_path, tones(0.3, 0.1, late=3.0), before=tones(0.3, 0.1, late=0.5))
    (row,) = carried(late, cards, "halves").rows
    assert (row.target, row.goal, row.before, row.after, row.reached) == (None, "untargeted", "begins", "ends", True)
    same = recorded(tmp_path / "b", tones(0.3, 0.45, late=0.5), before=tones(0.3, 0.1, late=0.5))
    (row,) = carried(same, cards, "halves").rows
    assert (row.before, row.after, row.reached, row.counts) == ("begins", "begins", False, True)


def test_a_victim_of_another_rate_hears_it_at_its_own(tmp_path: Path, cards: Path) -> None:
    """At 16 kHz the second half is the louder one, which this victim calls high."""
    file = recorded(tmp_path, tones(0.3, 0.1, late=3.0), before=tones(0.3, 0.1, late=0.5))
    (row,) = carried(file, cards, "ends", draws=5).rows
    assert (row.before, row.after, row.target, row.reached, row.noise_draws) == ("low", "high", "high", True, 5)


def test_a_clip_that_meets_the_goal_as_it_comes_is_left_out(tmp_path: Path, cards: Path) -> None:
    file = recorded(tmp_path, tones(0.3, 0.45), before=tones(0.3, 0.1, late=3.0))
    found = carried(file, cards, "ends")
    assert found.rows[0].why_not == "the clip meets the goal already"
    (one,) = found.cards
    assert (one.carried, one.of, one.left_out, one.share, one.low, one.chance) == (0, 0, 1, None, None, None)


def test_of_a_clip_that_is_gone_the_file_alone_is_asked_about(tmp_path: Path, cards: Path) -> None:
    file = recorded(tmp_path, tones(0.3, 0.45))
    (tmp_path / "p.wav").unlink()
    found = carried(file, cards, "bands", "halves", draws=3)
    assert [(row.after, row.reached) for row in found.rows] == [("high", True), ("begins", None)]
    assert all(row.before is None and not row.counts and row.noise_draws == 0 for row in found.rows)
    assert any("the clip of this outcome is not at" in text and "file alone" in text for text in found.warnings)
    assert [one.queries for one in found.cards] == [1, 1]


def test_a_clip_that_is_another_now_counts_as_gone_and_a_file_that_is_another_is_refused(
    tmp_path: Path, cards: Path
) -> None:
    file = recorded(tmp_path, tones(0.3, 0.45))
    soundfile.write(tmp_path / "p.wav", tones(0.1, 0.1), RATE)
    assert "SHA-256" in str(find(file).why_not)
    soundfile.write(file, tones(0.1, 0.1), RATE)
    with pytest.raises(ClipError, match=r"the file .* is not the one of this outcome"):
        find(file)


def test_a_file_that_is_its_clip_tells_nothing(tmp_path: Path, cards: Path) -> None:
    (row,) = carried(recorded(tmp_path, tones(0.3, 0.1)), cards, "bands", draws=3).rows
    assert (row.why_not, row.noise_draws) == ("the file is the clip unchanged", 0)


def test_noise_of_the_changes_spectrum_fools_one_who_hears_spectra_and_not_one_who_hears_when(
    tmp_path: Path, cards: Path
) -> None:
    spectrum = carried(recorded(tmp_path, tones(0.3, 0.6)), cards, "bands", draws=12)
    assert (spectrum.rows[0].noise_hits, spectrum.rows[0].noise_draws) == (12, 12)
    assert spectrum.cards[0].chance == pytest.approx(1.0)
    die = np.random.default_rng(0).normal(size=RATE) * 0.2
    change = np.where(np.arange(RATE) < RATE // 2, 0.0, die)
    quiet = tones(0.3, 0.1, late=0.5)
    when = carried(recorded(tmp_path / "b", quiet + change, before=quiet), cards, "halves", draws=19)
    assert when.rows[0].reached
    assert when.rows[0].noise_hits == 0
    assert when.cards[0].chance == pytest.approx(1 / 20)


def test_noise_is_drawn_from_the_seed_alone(tmp_path: Path, cards: Path) -> None:
    file = recorded(tmp_path, tones(0.3, 0.36))
    once = carried(file, cards, "bands", "label", draws=6)
    assert once == carried(file, cards, "bands", "label", draws=6)
    assert (
        once.rows[0].noise_hits == once.rows[1].noise_hits == carried(file, cards, "label", draws=6).rows[0].noise_hits
    )


@pytest.mark.parametrize("hits", [(0, 0, 0), (3, 0, 5), (5, 5, 5), (1, 2, 4)])
@pytest.mark.parametrize("wins", [*itertools.product([False, True], repeat=3)])
def test_the_chance_of_noise_is_that_of_all_ways_counted_one_by_one(
    hits: tuple[int, ...], wins: tuple[bool, ...]
) -> None:
    rows = [
        Row("o", "f", "c", "v", "targeted", "a", reached=won, noise_hits=hit, noise_draws=5)
        for hit, won in zip(hits, wins, strict=True)
    ]
    rates = [(hit + 1) / 6 for hit in hits]
    every = itertools.product([0, 1], repeat=3)
    total = sum(
        math.prod(p if one else 1 - p for p, one in zip(rates, way, strict=True))
        for way in every
        if sum(way) >= sum(wins)
    )
    assert chance_of(rows) == pytest.approx(total)


@pytest.mark.parametrize(
    ("goal", "name", "asked"),
    [
        ("confident=0.99999", "bands", "confident=0.99999"),
        ("confident=0.6", "uncertain", "targeted"),
        ("confident=0.6", "tags", "tag+=0.6"),
        ("maximise", "bands", "targeted"),
        ("tag+=0.5", "bands", "targeted"),
        ("tag-=0.5", "bands", "untargeted"),
        ("tag-=0.5", "tags", "tag-=0.5"),
        ("untargeted", "bands", "untargeted"),
    ],
)
def test_a_victim_is_asked_what_of_the_goal_it_can_be_asked(
    goal: str, name: str, asked: str, tmp_path: Path, cards: Path
) -> None:
    (row,) = carried(recorded(tmp_path, tones(0.3, 0.45), goal=goal), cards, name).rows
    assert row.goal == asked
    assert row.reached == (goal not in ("confident=0.99999", "tag-=0.5") or (goal, name) == ("tag-=0.5", "bands"))


def test_a_victim_that_dies_ends_its_own_rows_only(tmp_path: Path, cards: Path) -> None:
    files = [recorded(tmp_path, tones(0.3, 0.2)), recorded(tmp_path, tones(0.4, 0.5), stem="q")]
    found = carried([*reversed(files)], cards, "frail", "bands")
    assert [row.why_not for row in found.rows[:2]] == ["not asked: the victim died"] * 2
    assert "gone" in str(found.cards[0].died)
    assert (found.cards[1].of, found.cards[1].died) == (2, None)


def test_the_same_outcome_twice_and_a_lost_one_are_refused(tmp_path: Path, cards: Path) -> None:
    file = recorded(tmp_path, tones(0.3, 0.45))
    with pytest.raises(InputError, match=r"is the same outcome as .* so give it once"):
        carried([file, outcome_path(file)], cards, "bands")
    lost = recorded(tmp_path / "b", tones(0.3, 0.45), file=None)
    with pytest.raises(InputError, match="tells of a lost attack"):
        find(lost)


def test_the_command_tells_a_row_an_outcome_and_card_and_sums_up(tmp_path: Path, cards: Path) -> None:
    file = recorded(tmp_path, tones(0.3, 0.45))
    before = tree(tmp_path)
    said = run(
        "transfer", file, "--to", cards / "bands.toml", cards / "halves.toml", cards / "bands.toml", "--control", 4
    )
    assert said.code == 0
    assert "bands: 1 of 1 carried over [21 .. 100 %]; noise as loud: " in said.out
    assert "halves: 0 of 1 carried over" in said.out
    assert len([line for line in said.out.splitlines() if line.startswith("  p-to-high.wav")]) == 2
    found = json.loads(run("transfer", file, "--to", cards / "bands.toml", "--control", 4, "--json").out)
    assert (found["schema"], found["draws"], len(found["rows"]), found["rows"][0]["counts"]) == (1, 4, 1, True)
    assert tree(tmp_path) == before


def test_a_victim_that_dies_is_exit_code_4_and_the_others_are_told(tmp_path: Path, cards: Path) -> None:
    file = recorded(tmp_path, tones(0.4, 0.5))
    said = run("transfer", file, "--to", cards / "frail.toml", "--to", cards / "bands.toml", "--control", 0)
    assert said.code == 4
    assert "bands: 1 of 1 carried over" in said.out
    assert "frail: 0 of 0 carried over; 1 left out; it died: " in said.out


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("p-to-high.wav",), "there is no victim to ask"),
        (("bands.toml",), "there is no outcome"),
        (("p-to-high.wav", "--to", "none.toml"), "there is no card"),
        (("none.wav", "--to", "bands.toml"), "there is no outcome"),
        (("p-to-high.wav", "--to", "bands.toml", "--max-seconds", "0.1"), "0.1 s"),
    ],
)
def test_a_mistake_is_told_before_anything_is_asked(
    words: tuple[str, ...], told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded(tmp_path, tones(0.3, 0.45))
    card(tmp_path)
    monkeypatch.chdir(tmp_path)
    said = run("transfer", *words)
    assert (said.code, said.out) == (2, "")
    assert told in said.err


def test_a_sound_that_was_renamed_away_from_its_record_is_told_which_it_is(tmp_path: Path, cards: Path) -> None:
    file = recorded(tmp_path, tones(0.3, 0.45))
    renamed = file.rename(tmp_path / "mine.wav")
    with pytest.raises(InputError) as told:
        find(renamed)
    assert "by its content it is the sound of" in str(told.value)
    assert "its old name p-to-high.wav, or rename that record as well, to mine.wav.outcome.json" in str(told.value)
    outcome_path(file).rename(outcome_path(renamed))
    assert find(renamed).file == renamed
    with pytest.raises(InputError) as plain:
        find(tmp_path / "p.wav")
    assert "by its content" not in str(plain.value)


def test_where_the_sound_beside_a_record_is_another_the_one_that_was_asked_is_named(
    tmp_path: Path, cards: Path
) -> None:
    file = recorded(tmp_path / "a", tones(0.3, 0.45))
    moved = tmp_path / "b" / file.name
    moved.parent.mkdir()
    outcome_path(file).rename(outcome_path(moved))
    soundfile.write(moved, tones(0.1, 0.1), RATE)
    found = carried(moved, cards, "bands")
    assert found.rows[0].file == str(file)
    assert [text for text in found.warnings if f"{moved} is not the file of this outcome" in text and str(file) in text]
