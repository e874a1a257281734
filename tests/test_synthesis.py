"""The sound of which a victim is surest: playable, written, and believed by the true victim."""

from __future__ import annotations

import contextlib
import io
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from numpy.typing import NDArray
from tests.world import LABELS, RATE, Said, card, clip, tree

from subterfuge import Budget, LeastSNR, Victim, load_victim
from subterfuge.attacks import PGD, Noise
from subterfuge.cli import guarded
from subterfuge.cli.synthesise import synthesise as command
from subterfuge.driver.colours import coloured
from subterfuge.driver.synthesis import climber, synthesise
from subterfuge.errors import AttackError, ClipError, OutputError, ThreatError
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
    monkeypatch.setattr("subterfuge.driver.synthesis.BEGINNINGS", 12)


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
    monkeypatch.setattr("subterfuge.driver.synthesis.BEGINNINGS", 100)
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
    assert [row[:3] for row in rows if len(row) == 8 and row[1] == "won"] == [[one, "won", one] for one in LABELS]
    names = [f"noise-to-{label}.wav" for label in LABELS]
    assert {path.name for path in (here / "sounds").iterdir()} == {*names, *(f"{name}.outcome.json" for name in names)}
    assert told("--victim", path, "--all", "--out", "sounds", *QUICK).code == 2


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
        (("--target", "high", "--limit", "snr=40"), "stay near"),
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
