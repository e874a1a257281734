"""The sound of which a victim is surest: playable, written, and believed by the true victim."""

from __future__ import annotations

import contextlib
import io
import json
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from numpy.typing import NDArray
from tests.world import LABELS, RATE, Said, card, clip, tree

from subterfuge import Budget, Gives, LeastSNR, Victim, load_victim
from subterfuge.attacks import PGD, Noise
from subterfuge.cli import guarded
from subterfuge.cli.synthesise import synthesise as command
from subterfuge.driver.colours import coloured
from subterfuge.driver.synthesis import climber, places, synthesise
from subterfuge.errors import AttackError, ClipError, OutputError, ThreatError, VictimError
from subterfuge.oracle import Oracle
from subterfuge.outcome import outcome_path
from subterfuge.threat.level import Level, parse_band
from subterfuge.training.demo_data import embedded_card

SHORT = PGD(steps=20, starts=1, stride=0.05)
QUICK = ("-o", "steps=10", "--seconds", "0.3")
LEVEL = Level(sample_rate=RATE, rms_dbfs=-30.0, low_hz=200.0, high_hz=3000.0)


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """A dozen beginnings are enough for small worlds."""
    monkeypatch.setattr("subterfuge.driver._synthesis_begin.BEGINNINGS", 12)


@pytest.fixture
def bands(tmp_path: Path) -> Victim:
    return load_victim(card(tmp_path / "cards"))


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current folder."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "here"


def told(*words: object) -> Said:
    """Run the command with its streams caught."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code: Any = guarded(lambda: command.main([str(word) for word in words], standalone_mode=False))
        except SystemExit as end:
            code = end.code or 0
    return Said(code, out.getvalue(), err.getvalue())


def power(wave: NDArray[Any], low: float, high: float) -> float:
    spectrum = np.abs(np.fft.rfft(wave)) ** 2
    hz = np.fft.rfftfreq(len(wave), 1 / RATE)
    return float(spectrum[(hz >= low) & (hz < high)].sum())


def chances(wave: NDArray[Any]) -> NDArray[np.float64]:
    """The victim's probabilities, by numpy alone."""
    powers = np.array([power(wave, a, b) for a, b in ((100, 1000), (1000, 2000), (2000, 3400))])
    fourth: NDArray[np.float64] = (powers / powers.max()) ** 4
    return fourth / fourth.sum()


# what is made


@pytest.mark.parametrize("start", ["noise", "silence"])
@pytest.mark.parametrize("label", LABELS)
def test_the_file_is_believed_and_can_be_played(label: str, start: str, tmp_path: Path, bands: Victim) -> None:
    made = synthesise(bands, label, start=start, seconds=0.5, level=LEVEL, by=SHORT, out=tmp_path / "o.wav")
    assert made.won
    about = soundfile.info(tmp_path / "o.wav")
    assert (about.samplerate, about.channels, about.subtype, about.frames) == (RATE, 1, "PCM_16", RATE // 2)
    wave, _ = soundfile.read(tmp_path / "o.wav")
    assert made.predicted == label == LABELS[int(chances(wave).argmax())]
    assert made.probability == pytest.approx(chances(wave)[LABELS.index(label)], rel=1e-4)
    assert (made.probability or 0) > 0.99
    assert 10 * math.log10(np.mean(wave**2)) <= -30 + 0.01
    assert np.abs(wave).max() <= 0.9
    assert power(wave, 150, 3050) > 0.999 * power(wave, 0, 4001)  # the rest is rounding


def test_the_record_beside_the_sound_is_the_outcome(tmp_path: Path, bands: Victim) -> None:
    made = synthesise(bands, "high", seconds=0.3, level=LEVEL, by=SHORT, out=tmp_path / "o.wav", command="as I said")
    record = json.loads(outcome_path(tmp_path / "o.wav").read_text())
    assert record == made.as_json()
    assert (record["goal"], record["attack"], record["command"]) == ("maximise", "pgd", "as I said")
    wave, _ = soundfile.read(tmp_path / "o.wav")
    found = record["findings"]
    assert found["level_dbfs"] == pytest.approx(10 * math.log10(np.mean(wave**2)), abs=1e-6)
    assert found["peak"] == pytest.approx(np.abs(wave).max(), abs=1e-9)
    assert (found["from"], found["raced"], len(found["tries"])) == ("noise", 12, 3)
    assert max(one["probability"] for one in found["tries"]) == record["probability"]


def test_one_seed_gives_one_file_to_the_last_bit_and_another_seed_another(tmp_path: Path, bands: Victim) -> None:
    files = []
    for place, seed in enumerate((3, 3, 4)):
        out = tmp_path / f"{place}.wav"
        synthesise(bands, "high", seconds=0.2, by=SHORT, seed=seed, out=out)
        files.append(out.read_bytes())
    assert files[0] == files[1]
    assert files[0] != files[2]


def test_more_steps_make_the_victim_surer(tmp_path: Path, bands: Victim) -> None:
    sure = [
        synthesise(
            bands, "middle", seconds=0.2, by=PGD(steps=steps, starts=1, stride=0.05), out=tmp_path / "o.wav", force=True
        ).margin
        for steps in (1, 30)
    ]
    assert (sure[1] or 0) > (sure[0] or 0) + 1


def test_the_embedded_victim_believes_a_sound_made_of_noise(tmp_path: Path) -> None:
    victim = load_victim(embedded_card())
    by = climber(victim, "pgd", {"steps": "12"})
    made = synthesise(victim, "org", seconds=0.6, by=by, out=tmp_path / "o.wav")
    assert made.won
    wave, _ = soundfile.read(tmp_path / "o.wav", dtype="float32")
    assert victim.labels[int(victim.decide(torch.from_numpy(wave)[None])[0])] == "org"
    assert made.twin_gap is not None
    assert made.twin_gap < 1e-3


# black boxes and budgets


@pytest.mark.parametrize("name", ["evolution", "nes"])
def test_a_black_box_is_pleased_too_and_pays_by_the_query(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("subterfuge.driver._synthesis_begin.BEGINNINGS", 100)
    victim = load_victim(card(tmp_path / "cards", "scores"))
    out = tmp_path / "o.wav"
    made = synthesise(victim, "high", seconds=0.2, by=name, budget=Budget(queries=300), out=out)
    assert made.won
    assert made.queries <= 300
    assert made.findings["raced"] == 60
    assert made.gradients == 0
    assert LABELS[int(chances(soundfile.read(out)[0]).argmax())] == "high"


@pytest.mark.parametrize("queries", [1, 4, 7])
def test_no_budget_is_too_small_to_be_kept(queries: int, tmp_path: Path) -> None:
    victim = load_victim(card(tmp_path / "cards", "scores"))
    made = synthesise(
        victim, "low", seconds=0.2, by="evolution", budget=Budget(queries=queries), out=tmp_path / "o.wav"
    )
    assert made.queries <= queries


def test_gradients_are_shared_by_all_tries(tmp_path: Path, bands: Victim) -> None:
    made = synthesise(bands, "high", seconds=0.2, by=SHORT, budget=Budget(gradients=30), out=tmp_path / "o.wav")
    assert made.gradients == 30
    assert len(made.findings["tries"]) == 2


def test_a_victim_of_labels_alone_cannot_be_climbed(tmp_path: Path) -> None:
    victim = load_victim(card(tmp_path / "cards", "label"))
    with pytest.raises(AttackError, match="labels only"):
        synthesise(victim, "high", out=tmp_path / "o.wav")
    with pytest.raises(AttackError, match="gradients"):
        synthesise(victim, "high", by=SHORT, out=tmp_path / "o.wav")


def test_an_attack_that_seeks_quiet_is_refused(tmp_path: Path, bands: Victim) -> None:
    with pytest.raises(AttackError, match="climbs"):
        synthesise(bands, "high", by=Noise(), out=tmp_path / "o.wav")


# from a clip


def test_a_clip_without_a_target_becomes_more_like_itself(tmp_path: Path, bands: Victim) -> None:
    path = clip(tmp_path / "a.wav")
    made = synthesise(bands, None, start=path, limit=LeastSNR(20), by=SHORT, out=tmp_path / "o.wav")
    before, after = (chances(soundfile.read(one)[0])[0] for one in (path, tmp_path / "o.wav"))
    assert made.won
    assert made.target == "low"
    assert after > before + 0.1
    assert (made.snr_db or 0) >= 19.99


def test_a_clip_with_a_target_is_where_the_search_begins(tmp_path: Path, bands: Victim) -> None:
    path = clip(tmp_path / "a.flac", 16000, 2)
    made = synthesise(bands, "high", start=path, level=LEVEL, by=SHORT, out=tmp_path / "o.wav")
    wave, rate = soundfile.read(tmp_path / "o.wav")
    assert made.won
    assert (made.predicted_before, made.findings["from"], made.findings["raced"]) == ("low", "a", 0)
    assert (rate, len(wave)) == (RATE, round(0.4 * RATE))
    assert 10 * math.log10(np.mean(wave**2)) <= -30 + 0.01


def test_nothing_has_no_class_to_be_more_of(tmp_path: Path, bands: Victim) -> None:
    with pytest.raises(ThreatError, match="--target"):
        synthesise(bands, None, out=tmp_path / "o.wav")
    with pytest.raises(ThreatError, match="stay near"):
        synthesise(bands, "high", limit=LeastSNR(20), out=tmp_path / "o.wav")


@pytest.mark.parametrize("name", ["evolution", "nes", "square", "substitute", "guided"])
@pytest.mark.parametrize("size", [0.0, 3e-5])
def test_a_silent_clip_is_refused_and_silence_recommended(size: float, name: str, tmp_path: Path) -> None:
    victim = load_victim(card(tmp_path / "cards", "scores"))
    path = tmp_path / "silent.wav"
    soundfile.write(path, size * np.sign(np.sin(np.arange(4000))), RATE, subtype="PCM_24")
    with pytest.raises(ClipError, match="--from silence"):
        synthesise(victim, "high", start=path, by=name, budget=Budget(queries=60), out=tmp_path / "o.wav")
    made = synthesise(victim, "high", start="silence", seconds=0.2, by=name, budget=Budget(queries=60),
                      level=Level(sample_rate=RATE, rms_dbfs=-60.0), out=tmp_path / "o.wav")  # fmt: skip
    assert made.queries <= 60


def test_a_clip_without_anything_in_the_band_is_refused(tmp_path: Path, bands: Victim) -> None:
    path = tmp_path / "tone.wav"
    soundfile.write(path, 0.5 * np.sin(2 * np.pi * 1000 * np.arange(RATE) / RATE), RATE)
    away = Level(sample_rate=RATE, low_hz=2000.0, high_hz=3000.0)
    with pytest.raises(ClipError, match="next to nothing between 2000 and 3000 Hz"):
        synthesise(bands, "high", start=path, level=away, by=SHORT, out=tmp_path / "o.wav")


def test_a_clip_is_never_overwritten(tmp_path: Path, bands: Victim) -> None:
    path = clip(tmp_path / "a.wav")
    kept = path.read_bytes()
    for target in ("high", None):
        with pytest.raises(OutputError, match="the clip itself"):
            synthesise(bands, target, start=path, by=SHORT, out=path, force=True)
    assert path.read_bytes() == kept


# places, mistakes, interruptions


def test_what_cannot_be_leaves_nothing(tmp_path: Path, bands: Victim) -> None:
    """From silence outside the class's own band nothing can be gained: lost, without a file."""
    away = Level(sample_rate=RATE, low_hz=200.0, high_hz=300.0)
    before = tree(tmp_path)
    made = synthesise(bands, "high", seconds=0.2, level=away, by=SHORT, out=tmp_path / "o" / "o.wav")
    assert not made.won
    assert made.file is made.file_sha256 is None
    assert "try:" in (made.advice or "")
    assert tree(tmp_path) == before


def test_an_interrupted_search_leaves_nothing(tmp_path: Path, bands: Victim) -> None:
    def stop(oracle: Oracle) -> None:
        raise KeyboardInterrupt

    before = tree(tmp_path)
    slow = PGD(steps=2000, starts=1)
    with pytest.raises(KeyboardInterrupt):
        synthesise(bands, "high", seconds=0.5, by=slow, out=tmp_path / "o" / "o.wav", progress=stop)
    assert tree(tmp_path) == before


class Mortal:
    """A victim that answers so many times, and then never again."""

    def __init__(self, victim: Victim, lives: float = math.inf) -> None:
        self.victim, self.lives, self.calls, self.slopes = victim, lives, 0, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.victim, name)

    def live(self, wave: torch.Tensor) -> None:
        if self.calls >= self.lives:
            raise VictimError("the victim is no more")
        self.calls += 1
        self.slopes += wave.requires_grad

    def decide(self, wave: torch.Tensor) -> torch.Tensor:
        self.live(wave)
        return self.victim.decide(wave)

    def scores(self, wave: torch.Tensor) -> torch.Tensor:
        self.live(wave)
        return self.victim.scores(wave)

    def probabilities(self, wave: torch.Tensor) -> torch.Tensor | None:
        self.live(wave)
        return self.victim.probabilities(wave)


def calls_of(tries: int, victim: Victim, folder: Path) -> Mortal:
    """Say how often a victim is asked for a sound from so many beginnings."""
    mortal: Any = Mortal(victim)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("subterfuge.driver._synthesis_climb.TRIES", {Gives.GRADIENTS: tries})
        synthesise(mortal, "high", seconds=0.2, by=SHORT, out=folder / "whole.wav", force=True)
    assert isinstance(mortal, Mortal)
    return mortal


def test_a_victim_that_dies_in_the_race_is_told_with_what_it_cost(tmp_path: Path, bands: Victim) -> None:
    mortal: Any = Mortal(bands, lives=2 + 5)  # twice it is asked whether it has probabilities
    with pytest.raises(VictimError, match=r"no more \(after 6 queries, in the race"):
        synthesise(mortal, "high", seconds=0.2, by=SHORT, out=tmp_path / "o.wav")


def test_a_victim_that_dies_in_a_try_is_told_with_what_the_race_cost_too(tmp_path: Path, bands: Victim) -> None:
    one = calls_of(1, bands, tmp_path).calls
    for lives in range(2 + 12, one):
        mortal: Any = Mortal(bands, lives=lives)
        before = tree(tmp_path)
        with pytest.raises(VictimError, match="the victim is no more") as death:
            synthesise(mortal, "high", seconds=0.2, by=SHORT, out=tmp_path / "o.wav")
        spent = re.findall(r"after (\d+) queries and (\d+) gradients in all", str(death.value))
        assert spent in ([("12", str(slopes))] for slopes in (mortal.slopes, mortal.slopes + 1))
        assert str(death.value).count("after") == 1
        kept = tmp_path / "o.unjudged.wav"
        assert kept.exists() == ("a win was in hand" in str(death.value))
        kept.unlink(missing_ok=True)
        outcome_path(kept).unlink(missing_ok=True)
        assert tree(tmp_path) == before


def test_a_try_that_had_won_is_kept_when_the_victim_dies_in_a_later_one(tmp_path: Path, bands: Victim) -> None:
    one, two, three = (calls_of(tries, bands, tmp_path).calls for tries in (1, 2, 3))
    for lives in (one, one + 1, (one + two) // 2, (two + three) // 2, three - 1):
        mortal: Any = Mortal(bands, lives=lives)
        made = synthesise(mortal, "high", seconds=0.2, by=SHORT, out=tmp_path / "o.wav", force=True)
        tries = 1 if lives < two else 2
        assert made.won
        assert made.queries == 12
        assert made.gradients in (mortal.slopes - 1, mortal.slopes)  # one may have been asked and not answered
        assert len(made.findings["tries"]) == tries
        note = next(note for note in made.warnings if "the victim died" in note)
        assert f"in try {tries + 1} of 3" in note
        assert f"after 12 queries and {made.gradients} gradients in all" in note
        assert LABELS[int(chances(soundfile.read(tmp_path / "o.wav")[0]).argmax())] == "high"


def test_a_result_that_is_there_is_refused_before_any_work(tmp_path: Path, bands: Victim) -> None:
    (tmp_path / "o.wav").write_bytes(b"mine")
    with pytest.raises(OutputError):
        synthesise(bands, "high", by=PGD(steps=10**6), out=tmp_path / "o.wav")
    assert (tmp_path / "o.wav").read_bytes() == b"mine"


@pytest.mark.parametrize("seconds", [0.0, 61.0, -1.0, math.nan])
def test_no_sound_and_endless_sound_are_refused(seconds: float, tmp_path: Path, bands: Victim) -> None:
    with pytest.raises(ThreatError, match="seconds"):
        synthesise(bands, "high", seconds=seconds, out=tmp_path / "o.wav")


def test_a_clip_that_is_no_sound_is_refused(tmp_path: Path, bands: Victim) -> None:
    with pytest.raises(ClipError):
        synthesise(bands, "high", start=tmp_path / "none.wav", out=tmp_path / "o.wav")


# the command


def test_the_command_makes_a_sound_of_every_label_and_a_table(tmp_path: Path, here: Path) -> None:
    path = card(tmp_path / "cards")
    said = told("--victim", path, "--all", "--out", "sounds", *QUICK)
    assert said.code == 0, said.err
    rows = [line.split() for line in said.out.splitlines()]
    assert [row[:2] for row in rows if len(row) == 7 and row[0] in LABELS] == [[one, one] for one in LABELS]
    names = [f"noise-to-{label}.wav" for label in LABELS]
    assert {path.name for path in (here / "sounds").iterdir()} == {*names, *(f"{name}.outcome.json" for name in names)}
    assert told("--victim", path, "--all", "--out", "sounds", *QUICK).code == 2


def test_the_table_claims_no_file_of_a_lost_label(tmp_path: Path, here: Path) -> None:
    said = told("--victim", card(tmp_path / "cards"), "--all", "--out", "sounds", "--band", "200..300", *QUICK)
    assert said.code == 3
    rows = {line.split()[0]: line.split() for line in said.out.splitlines() if line.strip()}
    assert rows["low"][1] == "low"
    for label in ("middle", "high"):
        assert rows[label][1] == "lost"
        assert len(rows[label]) == 5  # neither a probability nor a level of a file that is not there
    assert {path.name for path in (here / "sounds").glob("*.wav")} == {"noise-to-low.wav"}


@pytest.mark.parametrize("words", [(), ("--from", "clip.wav", "--limit", "snr=20")])
def test_every_place_is_looked_at_before_the_first_sound_is_made(
    words: tuple[str, ...], tmp_path: Path, here: Path
) -> None:
    clip(here / "clip.wav")
    name = "clip" if words else "noise"
    (here / "sounds").mkdir()
    (here / "sounds" / f"{name}-to-{LABELS[-1]}.wav").write_bytes(b"mine")
    before = tree(here)
    said = told("--victim", card(tmp_path / "cards"), "--all", "--out", "sounds", "-o", "steps=10", *words)
    assert said.code == 2
    assert f"{name}-to-{LABELS[-1]}.wav exists already" in said.err
    assert tree(here) == before


def test_two_labels_of_one_file_name_are_refused(tmp_path: Path, bands: Victim) -> None:
    with pytest.raises(OutputError, match="a/b and a_b would both be"):
        places(bands, ["a/b", "a_b"], out=f"{tmp_path}/")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("--target", "high", "--from", "clip.wav", "--seconds", "3"), "--seconds is the length of noise or silence"),
        (("--target", "high", "--from", "clip.wav", "--limit", "snr=20", "--level", "-20"), "--level binds"),
        (("--from", "clip.wav", "--band", "60..16000"), "--band binds"),
        (("--from", "clip.wav", "--level", "-9", "--band", "60..900"), "--level and --band bind a sound"),
        (("--all", "--from", "clip.wav", "--limit", "snr=20", "--level", "-20"), "--level binds"),
        (("--target", "high", "--limit", "snr=30"), "--from CLIP"),
        (("--limit", "snr=30"), "--from CLIP"),
        (("--limit", "snr=30", "--level", "-30"), "--from CLIP"),
        (("--all", "--limit", "snr=30"), "--from CLIP"),
        (("--from", "silence"), "name a label with --target"),
    ],
)
def test_options_without_a_meaning_are_refused_and_not_dropped(
    words: tuple[str, ...], expected: str, tmp_path: Path, here: Path
) -> None:
    clip(here / "clip.wav")
    before = tree(here)
    said = told("--victim", card(tmp_path / "cards"), *words)
    assert said.code == 2
    assert expected in said.err
    assert said.err.count("\n") == 1
    assert tree(here) == before


def test_the_same_options_at_their_defaults_are_no_reason_to_refuse_a_clip(tmp_path: Path, here: Path) -> None:
    path = clip(here / "clip.wav")
    for words in (("--from", path, "--limit", "snr=20"), ("--target", "low", "--from", path, "--level", "-25")):
        said = told("--victim", card(tmp_path / "cards"), *words, "-o", "steps=10", "--force")
        assert said.code == 0, said.err


def test_the_library_takes_a_level_or_a_limit_and_not_both(tmp_path: Path, bands: Victim) -> None:
    with pytest.raises(ThreatError, match="the one or the other"):
        synthesise(bands, None, start=clip(tmp_path / "a.wav"), level=LEVEL, out=tmp_path / "o.wav")


def test_the_advice_of_a_lost_sound_near_a_clip_names_options_that_there_are(tmp_path: Path, here: Path) -> None:
    words = ("--from", clip(here / "clip.wav"), "--limit", "snr=80", "--target", "high", "--gradients", "5")
    said = told("--victim", card(tmp_path / "cards"), *words, "--json")
    assert said.code == 3
    record = json.loads(said.out)
    named = re.findall("--[a-z]+", record["advice"])
    assert "--limit" in named
    assert "a looser --limit than snr=80" in record["advice"]
    assert "a larger budget" in record["advice"]
    assert set(named) <= {name for option in command.params for name in option.opts}


def test_json_is_the_outcome_and_nothing_else(tmp_path: Path, here: Path) -> None:
    said = told("--victim", card(tmp_path / "cards"), "--target", "middle", "--level", "-35", "--json", *QUICK)
    record = json.loads(said.out)
    assert said.code == 0
    assert record["limit"].startswith("level=-35")
    assert record["file"] == str(here / "noise-to-middle.wav")
    assert record["findings"]["level_dbfs"] <= -34.99


def test_a_lost_label_ends_with_3(tmp_path: Path, here: Path) -> None:
    said = told("--victim", card(tmp_path / "cards"), "--target", "high", "--band", "200..300", *QUICK)
    assert said.code == 3
    assert "lost" in said.out
    assert list(here.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("--target", "loud"), "no label"),
        (("--target", "high", "--all"), "leave one of them out"),
        ((), "--target"),
        (("--target", "high", "--band", "200"), "band 200"),
        (("--target", "high", "--band", "3000..200"), "lower one first"),
        (("--target", "high", "--band", "5000..6000"), "nothing above"),
        (("--target", "high", "--level", "0"), "-60 to -3"),
        (("--target", "high", "--seconds", "0"), "seconds"),
        (("--target", "high", "--queries", "0"), "budget"),
        (("--target", "high", "--from", "none.wav"), "none.wav"),
        (("--target", "high", "--attack", "quietest"), "climbs"),
        (("--target", "high", "--attack", "pdg"), "pgd"),
        (("--target", "high", "-o", "steps"), "KNOB=VALUE"),
        (("--target", "high", "--limit", "snr=40"), "to stay near"),
        (("--target", "high", "--out", "missing\0"), "missing"),
    ],
)
def test_a_mistake_is_told_in_one_paragraph(words: tuple[str, ...], expected: str, tmp_path: Path, here: Path) -> None:
    said = told("--victim", card(tmp_path / "cards"), *words)
    assert said.code == 2
    assert expected in said.err
    assert said.out == ""
    assert said.err.startswith("error: ")
    assert list(here.iterdir()) == []


# the level


@pytest.fixture
def waves() -> tuple[torch.Tensor, torch.Tensor]:
    die = torch.Generator().manual_seed(0)
    return torch.randn(3, 4000, generator=die) * 0.2, torch.randn(3, 4000, generator=die) * 0.01


def test_the_sum_is_brought_into_the_band_and_down_to_the_level(waves: tuple[torch.Tensor, torch.Tensor]) -> None:
    delta, clean = waves
    inside = clean + LEVEL.project(delta, clean)
    assert torch.allclose(inside.square().mean(-1), torch.full((3,), 1e-3), rtol=1e-4)
    assert bool(LEVEL.allows(LEVEL.project(delta, clean), clean).all())
    assert not bool(LEVEL.allows(delta, clean).any())
    for wave in inside.double().numpy():
        assert power(wave, 199.9, 3000.1) == pytest.approx(power(wave, 0, 4001), rel=1e-6)


def test_no_sum_inside_is_nearer(waves: tuple[torch.Tensor, torch.Tensor]) -> None:
    """The nearest point of a convex set: every other point of the set lies behind the plane through it."""
    delta, clean = waves
    nearest = LEVEL.project(delta, clean)
    others = LEVEL.project(torch.randn(3, 4000, generator=torch.Generator().manual_seed(1)), clean)
    assert bool((((delta - nearest) * (others - nearest)).sum(-1) <= 1e-4).all())


def test_what_is_inside_stays_as_it_is(waves: tuple[torch.Tensor, torch.Tensor]) -> None:
    delta, clean = waves
    inside = LEVEL.project(delta, clean)
    assert torch.allclose(LEVEL.project(inside, clean), inside, atol=1e-6)


def test_no_sample_passes_the_ceiling() -> None:
    click = torch.zeros(1, 4000)
    click[0, 2000] = 100.0
    loud = Level(sample_rate=RATE, rms_dbfs=-3.0, ceiling=0.5)
    held = loud.project(click, torch.zeros(1, 4000))
    assert float(held.abs().max()) == 0.5
    assert bool(loud.allows(held, torch.zeros(1, 4000)).all())


def test_a_step_goes_along_the_slope_in_the_band_and_is_as_loud_as_the_clip(
    waves: tuple[torch.Tensor, torch.Tensor],
) -> None:
    slope, clean = waves
    clean[2] = 0
    step = LEVEL.steepest(slope, clean)
    sizes = [float(clean[0].norm()), float(clean[1].norm()), LEVEL.radius(4000)]
    assert step.norm(dim=-1).tolist() == pytest.approx(sizes, rel=1e-4)
    assert torch.allclose(LEVEL.in_band(step), step, atol=1e-6)
    assert bool(((slope * step).sum(-1) > 0).all())


@pytest.mark.parametrize(
    "wrong",
    [
        {"rms_dbfs": 0},
        {"rms_dbfs": math.nan},
        {"ceiling": 0},
        {"ceiling": 2},
        {"low_hz": -1},
        {"low_hz": 5000},
        {"high_hz": 10},
        {"high_hz": math.inf},
    ],
)
def test_a_level_that_makes_no_sense_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ThreatError):
        Level(sample_rate=RATE, **wrong)


@pytest.mark.parametrize("text", ["", "60", "60..", "a..b", "60-16000"])
def test_a_band_is_two_numbers(text: str) -> None:
    with pytest.raises(ThreatError, match=r"60\.\.16000"):
        parse_band(text)


def test_noises_have_many_colours_and_one_loudness() -> None:
    die = torch.Generator().manual_seed(0)
    made = torch.stack([coloured(8000, RATE, die) for _ in range(20)])
    assert torch.allclose(made.square().mean(-1), torch.ones(20), rtol=1e-4)
    shares = [power(wave, 0, 1000) / power(wave, 0, 4001) for wave in made.double().numpy()]
    assert max(shares) - min(shares) > 0.2
