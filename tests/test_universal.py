"""One sound for many clips: what it can do in closed form, whom it is judged on, and beside what."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.attacks.toys import RATE, Toy, at_distance, linear, tones, two_sided
from tests.world import Said, card, clip, run, sound, tree
from torch import Tensor

import subterfuge.driver.universal as home
from subterfuge.audio import Clip, hear
from subterfuge.driver._universal_climb import Climb, Heard, climb
from subterfuge.driver._universal_evolve import Evolve
from subterfuge.driver._universal_judge import chance
from subterfuge.driver._universal_sound import SLACK_DB, Mix, level_of, mixed, piece_of
from subterfuge.driver._universal_split import deal, hold_out, recordings
from subterfuge.driver.universal import Universal, universal, universal_path
from subterfuge.errors import AttackError, ClipError, InputError, OutputError, ThreatError, VictimError
from subterfuge.hearing.levels import level_db, snr_db
from subterfuge.threat import Confident, Maximise, Targeted
from subterfuge.victim import Gives, Victim
from subterfuge.victims import load_victim

QUICK = Climb(steps=40)
LONG = 800


def clips_of(waves: Tensor, **about: Any) -> list[Clip]:
    return [Clip.of(wave.double().numpy(), RATE, name=f"clip{place}", **about) for place, wave in enumerate(waves)]


def apart(snr: float, rows: int = 6, length: int = LONG, seed: int = 0) -> tuple[Toy, Tensor, list[Clip]]:
    """A linear victim, its direction, and clips of which each needs a change `snr` dB below it to be class b."""
    toy, w = two_sided(length, seed=seed)
    return toy, w, clips_of(at_distance(tones(rows, length), w, snr))


# what the best sound is, in closed form


def test_along_a_plane_the_sound_is_its_normal() -> None:
    toy, w, clips = apart(30)
    heard = [Heard(torch.from_numpy(one.mono(RATE)), 1) for one in clips]
    how = Climb(steps=40, anywhere=False)
    sound, asked = climb(toy, Targeted("b"), heard, Mix(snr_db=20), LONG, how, torch.Generator().manual_seed(0))
    assert float(sound.double() @ w / sound.double().norm() / w.norm()) > 0.98
    assert asked == 40 * 4


def test_among_many_classes_the_sound_is_worth_nearly_the_best_there_is() -> None:
    weights = torch.randn(4, LONG, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    toy = linear(weights, torch.tensor([0.0, 0.0, -99.0, 0.0]))  # so far that no clip is ever let be
    across, _ = torch.linalg.qr(weights.T.float())
    waves = tones(8, LONG)
    heard = [Heard(wave, 2) for wave in waves - waves @ across @ across.T]  # of which the victim hears nothing
    how = Climb(steps=60, batch=8, anywhere=False)
    sound, _ = climb(toy, Targeted("c"), heard, Mix(snr_db=0), LONG, how, torch.Generator().manual_seed(0))
    rows = weights[2] - weights[[0, 1, 3]]
    unit = sound.double() / sound.double().norm()
    worth = float((rows @ unit).min())
    # the largest least product of unit vectors: that with the shortest convex combination of the rows
    grid = np.linspace(0, 1, 101)
    best = min(
        float((a * rows[0] + b * rows[1] + (1 - a - b) * rows[2]).norm()) for a in grid for b in grid if a + b <= 1
    )
    assert 0.9 * best < worth <= best * 1.001


def test_a_sound_that_may_begin_anywhere_has_of_a_plane_its_mean_alone() -> None:
    # over all turns of a sound v, the mean of w·v is mean(w) sum(v), and the largest of that is a constant v's
    toy, w = two_sided(200, seed=1)
    tilted = w / w.norm() + 0.5 / math.sqrt(200)
    toy = linear(torch.stack([-tilted / 2, tilted / 2]), torch.zeros(2, dtype=torch.float64))
    heard = [Heard(wave, 1) for wave in tones(16, 200)]
    how = Climb(steps=400, batch=16)
    sound, _ = climb(toy, Targeted("b"), heard, Mix(snr_db=0), 200, how, torch.Generator().manual_seed(0))
    assert float(sound.mean()) > 0.9  # of a root mean square of 1


@pytest.mark.parametrize(("limit", "hits"), [(27.0, 2), (33.0, 0)])
def test_a_sound_wins_where_the_plane_is_nearer_than_it_is_loud_and_nowhere_else(
    limit: float, hits: int, tmp_path: Path
) -> None:
    toy, _, clips = apart(30)
    made = universal(
        clips,
        toy,
        Targeted("b"),
        mix=Mix(snr_db=limit),
        how=Climb(steps=60, anywhere=False),
        out=tmp_path / "a.wav",
    )
    assert (made.success.hits, made.success.of) == (hits, 2)
    assert made.same_spectrum is not None
    assert made.white_noise is not None
    assert made.same_spectrum.hits == made.white_noise.hits == 0  # a random direction has 1/sqrt(800) of the normal


def test_noise_that_does_as_much_is_told(tmp_path: Path) -> None:
    def loud(wave: Tensor) -> Tensor:  # any change as loud as a tenth of the clip turns the answer
        level = wave.square().mean(-1).sqrt()
        return torch.stack([0 * level, 1e3 * (level - 0.1005)], -1)

    waves = tones(6, LONG)
    clips = clips_of(0.1 * waves / waves.square().mean(-1, keepdim=True).sqrt())
    made = universal(clips, Toy(loud), Targeted("yes"), mix=Mix(snr_db=10), how=QUICK, out=tmp_path / "a.wav")
    assert made.success.share == 1
    assert made.white_noise is not None
    assert made.white_noise.share == 1
    assert made.white_noise.chance == 1
    assert "cannot be told" in made.verdict


# how loud it is


@pytest.mark.parametrize("rate", [8000, 11025, 44100])
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("subtype", ["PCM_16", "FLOAT", "PCM_U8"])
@pytest.mark.parametrize("snr", [10.0, 30.0])
def test_on_every_clip_the_sound_lies_as_far_below_as_asked(
    rate: int, channels: int, subtype: str, snr: float, tmp_path: Path
) -> None:
    source = Clip.read(clip(tmp_path / "a.wav", rate, channels, subtype))
    clean = torch.from_numpy(source.mono(RATE))
    die = torch.Generator().manual_seed(0)
    piece = piece_of(level_of(torch.randn(1000, generator=die)), 300, len(clean))
    changed, told = mixed(source, clean, piece, Mix(snr_db=snr), RATE)
    heard = hear(changed.write(tmp_path / "b.wav"), RATE)
    assert told == pytest.approx(snr_db(clean.numpy(), heard), abs=1e-6)
    assert snr <= told <= snr + SLACK_DB


def test_of_a_file_too_coarse_for_the_sound_nothing_is_changed() -> None:
    wave = np.sign(np.sin(np.arange(800) / 20)) / 64
    source = Clip.of(wave, RATE, subtype="PCM_U8")
    clean = torch.from_numpy(source.mono(RATE))
    changed, told = mixed(source, clean, level_of(torch.randn(800)), Mix(snr_db=90), RATE)
    assert told == math.inf
    assert np.array_equal(changed.samples, source.samples)


def test_at_a_fixed_level_the_snr_is_the_clips_level_less_the_sounds(tmp_path: Path) -> None:
    toy, _, clips = apart(30)
    quieter = clips_of(torch.from_numpy(np.stack([one.samples[0] / 2 for one in clips])))
    made = universal(
        quieter, toy, Targeted("b"), mix=Mix(level_dbfs=-45), how=QUICK, seconds=0.1, out=tmp_path / "a.wav"
    )
    for row in made.clips:
        source = next(one for one in quieter if one.name == row.name)
        assert row.snr_db == pytest.approx(level_db(source.samples) + 45, abs=0.05)
    wave, rate = soundfile.read(tmp_path / "a.wav")
    assert rate == RATE
    assert level_db(wave) == pytest.approx(-45, abs=1e-3)


def test_a_sound_is_repeated_from_where_it_begins() -> None:
    assert piece_of(torch.arange(4.0), 3, 6).tolist() == [3, 0, 1, 2, 3, 0]
    assert piece_of(torch.arange(4.0), 1, 2).tolist() == [1, 2]


# whom it is judged on

NAMES = st.lists(
    st.tuples(st.sampled_from("abcdefg"), st.integers(1, 3)).map(lambda one: f"{one[0]}__{one[1]}"),
    min_size=2,
    max_size=16,
    unique=True,
)


def named(names: Sequence[str]) -> list[Clip]:
    return [Clip.of(np.full(40, (place + 1) / 100), RATE, name=name) for place, name in enumerate(names)]


@given(NAMES, st.floats(0.05, 0.95), st.integers(0, 5))
def test_no_recording_stands_on_both_sides(names: list[str], part: float, seed: int) -> None:
    groups = recordings(named(names))
    assert [one == groups[0] for one in groups] == [name[0] == names[0][0] for name in names]
    if len(set(groups)) < 2:
        with pytest.raises(InputError, match="two recordings or more"):
            hold_out(groups, part, torch.Generator().manual_seed(seed))
        return
    held = hold_out(groups, part, torch.Generator().manual_seed(seed))
    rest = [place for place in range(len(names)) if place not in held]
    assert held
    assert rest
    assert not {names[one][0] for one in held} & {names[one][0] for one in rest}


@given(NAMES, st.integers(2, 7), st.integers(0, 5))
def test_every_clip_is_in_one_fold_with_all_of_its_recording(names: list[str], folds: int, seed: int) -> None:
    groups = recordings(named(names))
    if folds > len(set(groups)):
        with pytest.raises(InputError, match="no more folds than recordings"):
            deal(groups, folds, torch.Generator().manual_seed(seed))
        return
    dealt = deal(groups, folds, torch.Generator().manual_seed(seed))
    assert sorted(itertools.chain(*dealt)) == list(range(len(names)))
    assert all(dealt)
    assert sum(len({names[one][0] for one in fold}) for fold in dealt) == len({name[0] for name in names})


def test_a_part_of_single_clips_is_held_out_to_the_nearest() -> None:
    for clips, part in itertools.product((3, 7, 10, 20), (0.1, 0.3, 0.5)):
        held = hold_out(list(range(clips)), part, torch.Generator().manual_seed(0))
        assert abs(len(held) - part * clips) <= max(0.5, 1 - part * clips)


def test_the_same_samples_under_other_names_are_one_recording() -> None:
    wave = np.linspace(-0.5, 0.5, 40)
    a, b, c = (Clip.of(wave * scale, RATE, name=name) for scale, name in ((1, "x__1"), (0.5, "x__2"), (0.25, "y__1")))
    d = Clip.of(wave * 0.25, RATE, name="x__7")  # joins y to x
    assert recordings([a, b, c, d]) == [0, 0, 0, 0]
    assert len(set(recordings([a, b, c]))) == 2


@pytest.fixture
def learned(monkeypatch: pytest.MonkeyPatch) -> list[list[Tensor]]:
    """The waves of each sound that is learned."""
    seen: list[list[Tensor]] = []

    def spy(on: Victim, goal: Any, clips: Sequence[Heard], *rest: Any) -> tuple[Tensor, int]:
        seen.append([one.wave for one in clips])
        return climb(on, goal, clips, *rest)

    monkeypatch.setattr(home, "climb", spy)
    return seen


def test_in_cross_validation_no_sound_is_judged_on_what_it_met(learned: list[list[Tensor]], tmp_path: Path) -> None:
    toy, _, clips = apart(30, rows=7)
    made = universal(clips, toy, Targeted("b"), folds=3, how=QUICK, out=tmp_path / "a.wav")
    assert len(learned) == 4
    assert len(learned[3]) == 7  # that of the written sound
    assert made.learned_from == tuple(one.name for one in clips)
    assert sorted(row.name for row in made.clips) == [one.name for one in clips]
    for row in made.clips:
        wave = torch.from_numpy(next(one for one in clips if one.name == row.name).mono(RATE))
        assert row.fold is not None
        assert not any(torch.equal(wave, other) for other in learned[row.fold])


def test_with_other_clips_to_judge_on_all_given_are_learned_from(learned: list[list[Tensor]], tmp_path: Path) -> None:
    toy, _, clips = apart(30, rows=7)
    made = universal(clips[:4], toy, Targeted("b"), test=clips[4:], how=QUICK, out=tmp_path / "a.wav")
    assert [len(one) for one in learned] == [4]
    assert [row.name for row in made.clips] == ["clip4", "clip5", "clip6"]


def test_clips_that_are_the_target_already_are_neither_learned_from_nor_counted(
    learned: list[list[Tensor]], tmp_path: Path
) -> None:
    toy, w = two_sided(LONG)
    waves = at_distance(tones(6, LONG), w, 30)
    waves[2] = -waves[2]
    made = universal(clips_of(waves), toy, Targeted("b"), folds=5, how=QUICK, out=tmp_path / "a.wav")
    assert made.left_out == ("clip2",)
    assert [len(one) for one in learned] == [4, 4, 4, 4, 4, 5]
    assert made.success.of == 5
    assert any("clip2" in note for note in made.warnings)


def test_without_a_target_each_clip_is_to_leave_what_the_victim_said_of_it(tmp_path: Path) -> None:
    toy, w = two_sided(LONG)
    waves = at_distance(tones(8, LONG), w, 30)
    waves[::2] = -waves[::2]
    made = universal(clips_of(waves), toy, mix=Mix(snr_db=20), how=Climb(steps=40, anywhere=False), folds=8,
                     out=tmp_path / "a.wav")  # fmt: skip
    assert made.left_out == ()
    for row in made.clips:
        assert row.met == (row.predicted != row.predicted_before)
    assert made.success.share < 1  # no one sound moves both sides of a plane across it


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 3)), min_size=1, max_size=5))
def test_the_chance_is_that_of_every_way_to_pick_one_of_each_clips_sounds(rows: list[tuple[bool, int]]) -> None:
    pools = [[met] + [True] * hits + [False] * (3 - hits) for met, hits in rows]
    picks = [sum(pick) for pick in itertools.product(*pools)]
    truth = sum(pick >= sum(met for met, _ in rows) for pick in picks) / len(picks)
    assert chance([(met, hits, 3) for met, hits in rows]) == pytest.approx(truth)


# the files


def test_what_is_judged_is_the_file(tmp_path: Path) -> None:
    folder = tmp_path / "clips"
    folder.mkdir()
    paths = [clip(folder / f"c{n}.flac", 16000, 2, seed=n, seconds=0.3 + 0.05 * n) for n in range(6)]
    victim = load_victim(card(tmp_path))
    made = universal(paths, victim, Targeted("high"), mix=Mix(snr_db=3), how=QUICK, folds=3,
                     out=tmp_path / "out" / "a.wav", keep=tmp_path / "kept")  # fmt: skip
    assert made.success.share >= 0.5
    assert len(list((tmp_path / "kept").iterdir())) == 6
    for row in made.clips:
        assert row.file is not None
        assert row.path is not None
        before, after = hear(row.path, 8000), hear(row.file, 8000)
        assert victim.labels[int(victim.decide(torch.from_numpy(after)[None])[0])] == row.predicted
        assert snr_db(before, after) == pytest.approx(row.snr_db, abs=1e-6)
        assert 3 <= row.snr_db <= 3.05
        assert Clip.read(row.file).channels == 2
    record = json.loads(universal_path(tmp_path / "out" / "a.wav").read_text())
    assert record == json.loads(json.dumps(made.as_json()))
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.wav", "a.wav.universal.json"]


def test_the_same_seed_gives_the_same_sound_and_another_seed_another(tmp_path: Path) -> None:
    toy, _, clips = apart(30)

    def made(name: str, seed: int) -> tuple[Universal, bytes]:
        one = universal(clips, toy, Targeted("b"), how=QUICK, seed=seed, out=tmp_path / name)
        return one, (tmp_path / name).read_bytes()

    (first, a), (again, b), (other, c) = made("a.wav", 0), made("b.wav", 0), made("c.wav", 1)
    assert a == b != c
    assert first.clips == again.clips != other.clips


def test_a_sound_does_not_outlast_its_interrupt(tmp_path: Path) -> None:
    toy, _, clips = apart(30)

    def stop(done: int, total: int) -> None:
        if done == total:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        universal(clips, toy, Targeted("b"), how=QUICK, out=tmp_path / "there" / "a.wav", keep=tmp_path / "kept",
                  progress=stop)  # fmt: skip
    assert tree(tmp_path) == {}


def test_a_victim_that_dies_leaves_nothing(tmp_path: Path) -> None:
    paths = [clip(tmp_path / f"{n}.wav", seed=n) for n in range(4)]
    victim = load_victim(card(tmp_path / "card", "nan"))
    with pytest.raises(VictimError):
        universal(paths, victim, Targeted("high"), how=QUICK, out=tmp_path / "out" / "a.wav")
    assert not (tmp_path / "out").exists()


def test_progress_counts_up_to_what_was_announced(tmp_path: Path) -> None:
    toy, _, clips = apart(30)
    told: list[tuple[int, int]] = []
    universal(clips, toy, Targeted("b"), how=QUICK, folds=3, out=tmp_path / "a.wav",
              progress=lambda done, total: told.append((done, total)))  # fmt: skip
    assert told[-1][0] == told[-1][1]
    assert [done for done, _ in told] == sorted(done for done, _ in told)


def test_an_existing_sound_stands_unless_forced_and_a_clip_always(tmp_path: Path) -> None:
    toy, _, made = apart(30)
    paths = [one.write(tmp_path / f"{one.name}.wav") for one in made]
    (tmp_path / "old.wav").write_bytes(b"old")
    before = tree(tmp_path)
    with pytest.raises(OutputError, match="exists already"):
        universal(paths, toy, Targeted("b"), how=QUICK, out=tmp_path / "old.wav")
    for force in (False, True):
        with pytest.raises(OutputError):
            universal(paths, toy, Targeted("b"), how=QUICK, out=paths[0], force=force)
    (tmp_path / "b.wav.universal.json").write_text("{}")
    with pytest.raises(OutputError, match="exists already"):
        universal(paths, toy, Targeted("b"), how=QUICK, out=tmp_path / "b.wav")
    (tmp_path / "b.wav.universal.json").unlink()
    assert tree(tmp_path) == before
    universal(paths, toy, Targeted("b"), how=QUICK, out=tmp_path / "old.wav", force=True)
    assert soundfile.info(tmp_path / "old.wav").samplerate == RATE


def test_kept_files_of_one_name_are_refused_beforehand(tmp_path: Path) -> None:
    paths = []
    for n in range(4):
        (tmp_path / str(n)).mkdir()
        paths.append(clip(tmp_path / str(n) / ("same.wav" if n < 2 else f"{n}.wav"), seed=n))
    victim = load_victim(card(tmp_path))
    with pytest.raises(OutputError, match="files of two clips"):
        universal(paths, victim, how=QUICK, keep=tmp_path / "kept", out=tmp_path / "a.wav")


def test_the_judged_files_are_not_kept_among_the_clips_under_any_of_their_folders_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "clips").mkdir()
    paths = [clip(tmp_path / "clips" / f"{n}.wav", seed=n) for n in range(4)]
    others = [clip(tmp_path / f"{n}.wav", seed=n) for n in range(3)]
    (tmp_path / "link").symlink_to(tmp_path / "clips")
    victim = load_victim(card(tmp_path))
    monkeypatch.chdir(tmp_path / "clips")
    before = tree(tmp_path)
    for keep in (tmp_path / "clips", ".", "../clips", tmp_path / "link"):
        with pytest.raises(OutputError, match=r"is the folder of the clip .*0\.wav"):
            universal(paths, victim, how=QUICK, keep=keep, out=tmp_path / "a.wav", force=True)
        with pytest.raises(OutputError, match=r"is the folder of the clip .*3\.wav"):
            universal(others, victim, test=paths[3:], how=QUICK, keep=keep, out=tmp_path / "a.wav")
    assert tree(tmp_path) == before


# what is refused


Args = dict[str, Any]


@pytest.mark.parametrize(
    ("about", "error", "says"),
    [
        ({"clips": slice(0, 1)}, InputError, "learned from 1 clip of 1"),
        ({"clips": slice(0, 2)}, InputError, "two or more"),
        ({"clips": slice(0, 0)}, InputError, "clips"),
        ({"held_out": 0.0}, InputError, "above 0 and below 1"),
        ({"held_out": 1.0}, InputError, "above 0 and below 1"),
        ({"held_out": math.nan}, InputError, "above 0 and below 1"),
        ({"folds": 7}, InputError, "no more folds than recordings"),
        ({"folds": 1}, InputError, "two or more"),
        ({"folds": 2, "held_out": 0.5}, InputError, "hold out was given, and 2 folds too"),
        ({"folds": 2, "held_out": 0.3}, InputError, "hold out was given, and 2 folds too"),
        ({"goal": Targeted("bb")}, ThreatError, "bb"),
        ({"goal": Maximise("b")}, AttackError, "maximise"),
        ({"seconds": 0.0}, InputError, "seconds"),
        ({"seconds": math.nan}, InputError, "seconds"),
        ({"starts": -1}, InputError, "0 or more"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_learned(
    about: Args, error: type[InputError], says: str, learned: list[list[Tensor]], tmp_path: Path
) -> None:
    toy, _, clips = apart(30)
    chosen = clips[about.pop("clips", slice(None))]
    goal = about.pop("goal", Targeted("b"))
    with pytest.raises(error, match=says):
        universal(chosen, toy, goal, how=QUICK, out=tmp_path / "a.wav", **about)
    assert not learned
    assert tree(tmp_path) == {}


@pytest.mark.parametrize(
    "make",
    [
        lambda: Mix(),
        lambda: Mix(snr_db=20, level_dbfs=-40),
        lambda: Mix(snr_db=math.nan),
        lambda: Mix(level_dbfs=3),
        lambda: Climb(steps=0),
        lambda: Climb(batch=0),
        lambda: Evolve(queries=5),
        lambda: Evolve(bands=1),
    ],
)
def test_a_level_or_a_knob_that_makes_no_sense_is_refused(make: Callable[[], object]) -> None:
    with pytest.raises(InputError):
        make()


def test_a_silent_clip_is_refused_by_name(tmp_path: Path) -> None:
    toy, _, clips = apart(30)
    silent = Clip.of(np.zeros(LONG), RATE, name="hush")
    with pytest.raises(ClipError, match="hush"):
        universal([*clips, silent], toy, Targeted("b"), how=QUICK, out=tmp_path / "a.wav")


def test_a_clip_that_is_given_twice_is_refused(tmp_path: Path) -> None:
    toy, _, clips = apart(30)
    with pytest.raises(ClipError, match="same sound"):
        universal([*clips, clips[0]], toy, Targeted("b"), how=QUICK, out=tmp_path / "a.wav")


def test_an_excerpt_of_a_recording_that_was_learned_from_does_not_judge(tmp_path: Path) -> None:
    toy, _, clips = apart(30)
    mine, other = (Clip.of(one.samples[0], RATE, name=f"song__{n}") for n, one in enumerate(clips[:2]))
    with pytest.raises(InputError, match="excerpts of one recording"):
        universal([mine, *clips[2:]], toy, Targeted("b"), test=[other], how=QUICK, out=tmp_path / "a.wav")


def test_a_sound_may_be_learned_on_another_victim_of_the_same_labels(tmp_path: Path) -> None:
    toy, w, clips = apart(30)
    shy = Toy(toy.function, labels=("a", "b"), gives=Gives.LABELS)
    with pytest.raises(AttackError, match="--on"):
        universal(clips, shy, Targeted("b"), out=tmp_path / "a.wav")
    made = universal(clips, shy, Targeted("b"), on=toy, mix=Mix(snr_db=25), how=Climb(steps=40, anywhere=False),
                     out=tmp_path / "a.wav")  # fmt: skip
    assert made.success.share == 1
    assert shy.with_slope == 0
    other = linear(torch.stack([-w, w]), torch.zeros(2), labels=("a", "c"))
    with pytest.raises(AttackError, match="labels"):
        universal(clips, shy, Targeted("b"), on=other, how=QUICK, out=tmp_path / "b.wav")


def test_from_scores_alone_the_energy_goes_where_the_target_hears_it(tmp_path: Path) -> None:
    paths = [clip(tmp_path / f"{n}.wav", seed=n, seconds=0.1 + 0.05 * (n % 2)) for n in range(6)]
    victim = load_victim(card(tmp_path / "card"))  # says in which of three bands a sound is loudest
    shy = Toy(victim.scores, labels=victim.labels, gives=Gives.SCORES, has_probabilities=False)
    made = universal(paths, shy, Targeted("high"), mix=Mix(snr_db=3), how=Evolve(queries=800), starts=1, draws=1,
                     out=tmp_path / "a.wav")  # fmt: skip
    assert made.method == "evolve"
    assert made.success.share == 1
    assert shy.with_slope == 0
    assert made.gradients == 0
    assert 600 <= made.queries <= 800
    assert len(shy.asked) == made.queries + made.judgements + 1  # one score of a clip tells their spread
    wave, rate = soundfile.read(tmp_path / "a.wav")
    power, hz = np.abs(np.fft.rfft(wave)) ** 2, np.fft.rfftfreq(len(wave), 1 / rate)
    assert power[(hz >= 2000) & (hz < 3400)].sum() > 0.6 * power.sum()  # of white noise, 0.35


def test_a_confident_goal_counts_probabilities(tmp_path: Path) -> None:
    toy, _, clips = apart(30)
    made = universal(clips, toy, Confident("b", 0.6), mix=Mix(snr_db=20), how=Climb(steps=40, anywhere=False),
                     out=tmp_path / "a.wav")  # fmt: skip
    assert made.goal == "confident=0.6"
    for row in made.clips:
        assert row.probability is not None
        assert row.met == (row.probability >= 0.6)


# the command


@pytest.fixture
def words(tmp_path: Path) -> list[object]:
    (tmp_path / "clips").mkdir()
    paths = [clip(tmp_path / "clips" / f"c{n}.wav", seed=n) for n in range(5)]
    return ["universal", *paths, "--victim", card(tmp_path), "--out", tmp_path / "a.wav"]


def said_json(said: Said) -> Any:
    return json.loads(said.out)


def test_the_command_tells_a_row_a_clip_and_what_noise_does(words: list[object], tmp_path: Path) -> None:
    few = ("--steps", 30, "--draws", 2, "--starts", 2)
    said = run(*words, *few, "--target", "high", "--limit", "snr=3", "--folds", 5)
    assert said.code == 0, said.err
    for what in ("c0", "c4", "begun anywhere", "white noise", "cross-validation", str(tmp_path / "a.wav")):
        assert what in said.out
    assert (tmp_path / "a.wav.universal.json").is_file()
    again = run(*words, *few, "--target", "high")
    assert again.code == 2
    assert "exists already" in again.err


def test_the_commands_json_is_the_record(words: list[object], tmp_path: Path) -> None:
    said = run(*words, "--steps", 40, "--target", "high", "--limit", "snr=3", "--json")
    assert said_json(said) == json.loads((tmp_path / "a.wav.universal.json").read_text())


def test_the_command_learns_from_scores_where_there_is_no_more(words: list[object], tmp_path: Path) -> None:
    words[words.index("--victim") + 1] = card(tmp_path, "scores")
    said = run(*words, "--target", "high", "--limit", "snr=3", "--queries", 400, "--starts", 0, "--draws", 0, "--json")
    assert said.code in (0, 3), said.err
    record = said_json(said)
    assert record["method"] == "evolve"
    assert 0 < record["queries"] <= 400
    assert record["same_spectrum"] is None


def test_a_folder_may_hold_the_clips_to_judge_on(words: list[object], tmp_path: Path) -> None:
    (tmp_path / "others").mkdir()
    for n in (7, 8):
        clip(tmp_path / "others" / f"d{n}.wav", seed=n)
    (tmp_path / "others" / "notes.txt").write_text("no sound")
    said = run(*words, "--test", tmp_path / "others", "--steps", 20, "--starts", 0, "--draws", 1, "--json")
    assert [row["name"] for row in said_json(said)["clips"]] == ["d7", "d8"]


def test_where_every_clip_is_the_target_already_that_is_said(words: list[object]) -> None:
    said = run(*words, "--target", "low")
    assert said.code == 2
    assert "5 meet the goal as they come" in said.err


def test_a_sound_that_fools_on_no_clip_ends_with_3(words: list[object]) -> None:
    said = run(*words, "--steps", 40, "--target", "high", "--limit", "snr=70", "--json")
    assert said.code == 3
    assert said_json(said)["success"]["hits"] == 0


@pytest.mark.parametrize(
    "more",
    [
        ["--target", "hihg"],
        ["--limit", "peak=0.01"],
        ["--limit", "snr=20", "--level", "-40"],
        ["--folds", "6"],
        ["--folds", "2", "--held-out", "0.5"],
        ["--test", "clips", "--held-out", "0.5"],
        ["--keep", "clips"],
        ["--held-out", "2"],
        ["--test", "missing.wav"],
        ["--test", "empty"],
        ["--seconds", "0"],
        ["--level", "7"],
        ["--queries", "3"],
        ["--queries", "1000", "--steps", "40"],
    ],
)
def test_a_mistake_on_the_command_line_is_one_paragraph(words: list[object], more: list[str], tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    before = tree(tmp_path)
    said = run(*words, *[tmp_path / word if word in ("empty", "clips") else word for word in more])
    assert said.code == 2
    assert "Traceback" not in said.err
    assert len(said.err.strip().splitlines()) == 1
    assert tree(tmp_path) == before


def test_sounds_of_other_lengths_are_learned_together() -> None:
    victim = Toy(lambda wave: torch.stack([0 * wave[:, 0], wave.mean(-1)], -1))
    heard = [Heard(torch.from_numpy(sound(seconds=seconds)[:, 0]).float(), 1) for seconds in (0.1, 0.2, 0.2, 0.33)]
    got, asked = climb(victim, Targeted("yes"), heard, Mix(snr_db=10), 700, QUICK, torch.Generator().manual_seed(0))
    assert asked == 160
    assert float(got.mean()) > 0.9  # the best is a constant
