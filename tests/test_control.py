"""The control: an attack against its own change robbed of its knowledge."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import librosa
import numpy as np
import pytest
import soundfile
import torch
from numpy.typing import NDArray
from tests.world import RATE, Said, card, clip, sound, tree

from subterfuge import LeastSNR, Targeted, Threat, Untargeted, Victim, attack, load_victim
from subterfuge.attacks import PGD, Quietest
from subterfuge.cli import guarded
from subterfuge.cli.control import control as command
from subterfuge.driver._controls_noise import shuffled
from subterfuge.driver.controls import control
from subterfuge.driver.controls_figures import Estimate, estimate, taking
from subterfuge.errors import InputError, VictimError
from subterfuge.outcome import outcome_path

BY = Quietest(starts=(math.inf,), even=0, climb=100, resort=1, race=(20, 20), keep=(1,))


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a clip, a won attack on it, and cards."""
    folder = tmp_path_factory.mktemp("home")
    victim = load_victim(card(folder / "cards"))
    for name in ("scores", "label", "uncertain"):
        card(folder / "cards", name)
    threat = Threat(Targeted("high"))
    outcome = attack(clip(folder / "a.wav"), victim, threat, by=BY, out=folder / "a-to-high.wav", control=0)
    assert outcome.won
    return folder


@pytest.fixture
def won(home: Path, tmp_path: Path) -> Path:
    """A copy of it, to harm; the sound of the attack."""
    shutil.copytree(home, tmp_path / "copy")
    record = outcome_path(tmp_path / "copy" / "a-to-high.wav")
    edit(record, file=str(tmp_path / "copy" / "a-to-high.wav"))
    told = json.loads(record.read_text())
    edit(
        record,
        clip=told["clip"] | {"path": str(tmp_path / "copy" / "a.wav")},
        victim=told["victim"] | {"card": str(tmp_path / "copy" / "cards" / "bands.toml")},
    )
    return tmp_path / "copy" / "a-to-high.wav"


@pytest.fixture
def bands(home: Path) -> Victim:
    return load_victim(home / "cards" / "bands.toml")


def edit(record: Path, **changes: Any) -> None:
    record.write_text(json.dumps(json.loads(record.read_text()) | changes))


def chances(wave: NDArray[Any]) -> NDArray[np.float64]:
    """The victim's probabilities, by numpy alone: the fourth powers of the powers of three bands, normed."""
    power = np.abs(np.fft.rfft(np.asarray(wave, dtype=np.float64))) ** 2
    hz = np.fft.rfftfreq(len(wave), 1 / RATE)
    powers = np.array([power[(hz >= a) & (hz < b)].sum() for a, b in ((100, 1000), (1000, 2000), (2000, 3400))])
    fourth: NDArray[np.float64] = (powers / powers.max()) ** 4
    return fourth / fourth.sum()


def heard(path: Path) -> NDArray[np.float64]:
    return np.asarray(librosa.load(path, sr=RATE, mono=True)[0], dtype=np.float64)


def pretend(folder: Path, victim: Victim, change: NDArray[np.float64]) -> Path:
    """Write a clip, the clip with a change, and a record as if an attack had made it; give the file."""
    wave = sound(seconds=0.8)[:, 0]
    for name, one in (("p.wav", wave), ("p-to-high.wav", wave + change)):
        soundfile.write(folder / name, one, RATE, subtype="PCM_16")
    file = folder / "p-to-high.wav"
    hashes = [hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in ("p.wav", "p-to-high.wav")]
    record = {
        "schema": 1,
        "won": True,
        "goal": "targeted",
        "target": "high",
        "predicted_before": "low",
        "file": str(file),
        "file_sha256": hashes[1],
        "clip": {"name": "p", "path": str(folder / "p.wav"), "sha256": hashes[0]},
        "victim": {"name": "bands", "fingerprint": victim.fingerprint, "card": None},
    }
    outcome_path(file).write_text(json.dumps(record))
    return file


def told(*words: object) -> Said:
    """Run the command with its streams caught."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = guarded(lambda: command.main([str(word) for word in words], standalone_mode=False))
    return Said(code, out.getvalue(), err.getvalue())


# what it finds


def test_an_attack_that_knows_the_victim_does_something(won: Path, bands: Victim) -> None:
    found = control(won, bands, draws=30)
    assert found.does_something is True
    assert found.verdict.startswith("does something")
    assert found.attacked.reached
    for kind in found.kinds.values():
        assert (kind.hits, kind.as_good, kind.chance) == (0, 0, 1 / 31)
        assert found.rise > (kind.rise.high or math.inf)


@pytest.mark.parametrize("seed", range(4))
def test_white_noise_that_passes_for_an_attack_is_no_more_than_noise(seed: int, tmp_path: Path, bands: Victim) -> None:
    noise = 0.05 * np.random.default_rng(seed).normal(size=6400)
    found = control(pretend(tmp_path, bands, noise), bands, draws=30)
    assert found.does_something is False
    assert found.verdict.startswith("no more than noise")


def test_a_change_that_wins_by_its_spectrum_alone_is_no_more_than_noise_of_that_spectrum(
    tmp_path: Path, bands: Victim
) -> None:
    high = np.fft.rfft(np.random.default_rng(0).normal(size=6400))
    hz = np.fft.rfftfreq(6400, 1 / RATE)
    change = np.fft.irfft(high * ((hz > 2700) & (hz < 3300)), n=6400)
    found = control(pretend(tmp_path, bands, 0.12 * change / change.std()), bands, draws=20)
    assert found.attacked.reached
    assert found.kinds["random phase"].hits == found.kinds["shuffled in time"].hits == 20
    assert found.kinds["white noise"].hits == 0
    assert found.does_something is False


def test_that_noise_meets_the_goal_too_is_told_of_an_attack_that_goes_further(tmp_path: Path, bands: Victim) -> None:
    loud = Threat(Targeted("high"), LeastSNR(12))
    attack(clip(tmp_path / "l.wav"), bands, loud, by=PGD(steps=30, starts=1), out=tmp_path / "o.wav", control=0)
    found = control(tmp_path / "o.wav", bands, draws=19)
    assert found.does_something is True
    assert max(kind.hits for kind in found.kinds.values()) > 9
    assert "meet the goal too" in found.verdict


def test_what_it_says_of_the_two_files_is_what_anyone_finds_in_them(won: Path, bands: Victim) -> None:
    found = control(won, bands, draws=1)
    before, after = (chances(heard(path)) for path in (won.with_name("a.wav"), won))
    assert found.measure == "probability of high"
    assert found.clean.value == pytest.approx(before[2], rel=1e-4)
    assert found.attacked.value == pytest.approx(after[2], rel=1e-4)
    assert found.rise == pytest.approx(after[2] - before[2], rel=1e-4)
    assert list(found.moved.values()) == pytest.approx(after - before, rel=1e-3, abs=1e-6)


def test_white_noise_drifts_toward_the_class_whose_band_is_widest(tmp_path: Path, bands: Victim) -> None:
    noise = np.random.default_rng(0).normal(size=6400)
    found = control(pretend(tmp_path, bands, 0.3 * noise), bands, draws=20)
    assert found.drift == ("high",)
    assert "drifts toward high" in found.verdict
    assert found.kinds["white noise"].answers["high"] == 1


def test_where_the_kinds_differ_the_drift_of_each_is_told(tmp_path: Path, bands: Victim) -> None:
    """A change in the middle alone: its shuffles and its spectrum drift there, and white noise to the widest band."""
    spectrum = np.fft.rfft(np.random.default_rng(0).normal(size=6400))
    hz = np.fft.rfftfreq(6400, 1 / RATE)
    change = np.fft.irfft(spectrum * ((hz > 1300) & (hz < 1700)), n=6400)
    found = control(pretend(tmp_path, bands, 0.3 * change / change.std()), bands, draws=20)
    assert {name: kind.drift for name, kind in found.kinds.items()} == {
        "shuffled in time": ("middle",),
        "random phase": ("middle",),
        "white noise": ("high",),
    }
    assert found.drift == ()
    assert "shuffled in time toward middle; random phase toward middle; white noise toward high" in found.verdict
    assert "The victim says middle of the file, and 2 of 3 kinds of noise lean there too" in found.verdict


def test_noise_that_moves_nothing_drifts_nowhere(won: Path, bands: Victim) -> None:
    found = control(won, load_victim(won.parent / "cards" / "label.toml"), draws=20)
    assert {kind.drift for kind in found.kinds.values()} == {()}
    assert found.verdict.endswith("Noise of no kind drifts toward any class.")


def test_of_two_classes_the_one_that_noise_favours_is_named() -> None:
    assert taking({"a": Estimate(-0.5, -0.6, -0.4), "b": Estimate(0.5, 0.4, 0.6)}) == ("b",)
    assert taking({"a": Estimate(0.0, -0.1, 0.1), "b": Estimate(0.0, -0.1, 0.1)}) == ()


def test_few_draws_tell_nothing(won: Path, bands: Victim) -> None:
    found = control(won, bands, draws=18)
    assert found.does_something is None
    assert found.verdict.startswith("too few draws")
    assert control(won, bands, draws=19).does_something is True


def test_noise_is_as_loud_as_the_change_also_where_the_change_is_single_steps_of_the_file(
    tmp_path: Path, bands: Victim
) -> None:
    die = np.random.default_rng(0)
    change = np.where(die.uniform(size=6400) < 0.01, die.choice([-1, 1], 6400), 0) / 32768
    file = pretend(tmp_path, bands, np.zeros(6400))
    wave, _ = soundfile.read(tmp_path / "p.wav")
    soundfile.write(file, wave + change, RATE, subtype="PCM_16")
    edit(outcome_path(file), file_sha256=hashlib.sha256(file.read_bytes()).hexdigest())
    found = control(file, bands, draws=3)
    assert found.snr_db > 90
    for kind in found.kinds.values():
        assert kind.snr_db == pytest.approx(found.snr_db, abs=1)


@pytest.mark.parametrize(("rate", "channels"), [(8000, 1), (22050, 2)])
def test_noise_is_as_loud_as_the_change(rate: int, channels: int, tmp_path: Path, bands: Victim) -> None:
    path = clip(tmp_path / "b.wav", rate, channels)
    attack(path, bands, Threat(Targeted("high")), by=BY, out=tmp_path / "o.wav", control=0)
    found = control(tmp_path / "o.wav", bands, draws=3)
    for kind in found.kinds.values():
        assert kind.snr_db == pytest.approx(found.snr_db, abs=0.3)


@pytest.mark.parametrize(
    ("name", "measure", "classes"),
    [
        ("bands", "probability of high", "probability"),
        ("uncertain", "margin of high", "score"),
        ("scores", "margin of high", "score"),
        ("label", "share of high", "share of the answers"),
    ],
)
def test_every_kind_of_victim_can_be_asked(won: Path, name: str, measure: str, classes: str) -> None:
    found = control(won, load_victim(won.parent / "cards" / f"{name}.toml"), draws=19)
    assert (found.measure, found.classes) == (measure, classes)
    assert found.does_something is True
    assert not any(kind.hits for kind in found.kinds.values())


def test_an_untargeted_attack_is_measured_by_what_it_left(tmp_path: Path, bands: Victim) -> None:
    path = clip(tmp_path / "u.wav")
    attack(path, bands, Threat(Untargeted()), by=BY, out=tmp_path / "o.wav", control=0)
    found = control(tmp_path / "o.wav", bands, draws=19)
    assert (found.focus, found.measure) == ("low", "probability of not low")
    assert found.clean.value == pytest.approx(1 - chances(heard(path))[0], rel=1e-4)
    assert found.does_something is True


# counts, seeds, intervals


class Counting:
    """A victim that counts the sounds that it is asked about, and takes some of them at once."""

    def __init__(self, victim: Victim, at_once: int = 16) -> None:
        self.victim, self.sizes, self.at_once = victim, list[int](), at_once
        self.decided: torch.Tensor | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self.victim, name)

    @property
    def count(self) -> int:
        return sum(self.sizes)

    def decide(self, wave: torch.Tensor) -> torch.Tensor:
        self.sizes.append(len(wave))
        self.decided = wave
        return self.victim.decide(wave)

    def probabilities(self, wave: torch.Tensor) -> torch.Tensor | None:
        if wave is not self.decided:
            self.sizes.append(len(wave))
        return self.victim.probabilities(wave)


@pytest.mark.parametrize(("queries", "draws"), [(None, 7), (23, 7), (22, 6), (5, 1)])
def test_the_victim_is_asked_so_many_times_and_no_more(
    queries: int | None, draws: int, won: Path, bands: Victim
) -> None:
    victim: Any = Counting(bands)
    seen: list[tuple[int, int]] = []
    found = control(won, victim, draws=7, queries=queries, progress=lambda *at: seen.append(at))
    assert found.queries == victim.count == 3 * draws + 2
    assert [kind.draws for kind in found.kinds.values()] == [draws] * 3
    assert seen == [(2 + kind * draws, 3 * draws + 2) for kind in range(3)]
    assert any("draws of each kind instead of 7" in note for note in found.warnings) == (draws < 7)


@pytest.mark.parametrize("name", ["scores", "label"])
def test_sixteen_sounds_asked_at_once_get_the_answers_that_they_get_alone(name: str, won: Path) -> None:
    victim: Any = Counting(load_victim(won.parent / "cards" / f"{name}.toml"))
    together = control(won, victim, draws=20)
    assert victim.sizes == [2, 16, 4, 16, 4, 16, 4]
    alone: Any = Counting(victim.victim, at_once=1)
    assert control(won, alone, draws=20) == together
    assert set(alone.sizes[1:]) == {1}
    assert victim.count == alone.count == together.queries == 62


def test_of_long_sounds_fewer_are_asked_at_once(won: Path, bands: Victim, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("subterfuge.driver.controls.TOGETHER_SAMPLES", 3200 * 3)
    victim: Any = Counting(bands)
    control(won, victim, draws=4)
    assert victim.sizes == [2, 3, 1, 3, 1, 3, 1]


@pytest.mark.parametrize("at", [2, 9])
def test_a_class_that_the_victim_does_not_have_is_refused_anywhere_in_a_batch(
    at: int, won: Path, bands: Victim
) -> None:
    class Odd(Counting):
        def decide(self, wave: torch.Tensor) -> torch.Tensor:
            before, said = self.count, super().decide(wave)
            said[[before <= at < self.count] * len(said)] = 3
            return said

    victim: Any = Odd(load_victim(won.parent / "cards" / "label.toml"))
    with pytest.raises(VictimError, match="class 3"):
        control(won, victim, draws=9)


def test_one_seed_gives_the_same_control_and_another_seed_another(won: Path, bands: Victim) -> None:
    first, again, other = (control(won, bands, draws=3, seed=seed) for seed in (1, 1, 2))
    assert first == again
    assert first.kinds != other.kinds


def test_the_share_of_hits_has_wilsons_interval(tmp_path: Path, bands: Victim) -> None:
    found = control(pretend(tmp_path, bands, 0.17 * np.random.default_rng(0).normal(size=6400)), bands, draws=12)
    z = 1.959963984540054
    for kind in found.kinds.values():
        n, p = kind.draws, kind.hits / kind.draws
        middle, half = p + z * z / (2 * n), z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
        assert (kind.share.low, kind.share.high) == pytest.approx(
            ((middle - half) / (1 + z * z / n), (middle + half) / (1 + z * z / n)), abs=1e-12
        )


@pytest.mark.parametrize("draws", [1, 20])
def test_shares_of_labels_alone_have_wilsons_interval_which_is_never_nothing(draws: int, won: Path) -> None:
    found = control(won, load_victim(won.parent / "cards" / "label.toml"), draws=draws)
    z = 1.959963984540054
    far = z * z / (draws + z * z)  # Wilson's bound of none of n; that of all of n lies as far below 1
    for kind in found.kinds.values():
        assert kind.answers == {"low": 1.0}
        for label, mean, low, high in (("low", 0.0, -far, 0.0), ("middle", 0.0, 0.0, far), ("high", 0.0, 0.0, far)):
            one = kind.moved[label]
            assert (one.mean, one.low, one.high) == pytest.approx((mean, low, high), abs=1e-12)
        assert (kind.rise.mean, kind.rise.low, kind.rise.high) == pytest.approx((0.0, 0.0, far), abs=1e-12)


def test_two_draws_have_students_interval_of_one_degree_of_freedom() -> None:
    found = estimate([1.0, 3.0])
    half = math.tan(math.pi * 0.475)  # Student's quantile of one degree of freedom is Cauchy's
    assert (found.mean, found.low, found.high) == pytest.approx((2.0, 2.0 - half, 2.0 + half))
    assert estimate([1.0]).low is estimate([1.0]).high is None


def test_blocks_without_cross_fades_are_put_in_another_order_and_nothing_else() -> None:
    wave = torch.arange(30.0)
    mixed = shuffled(wave, torch.Generator().manual_seed(0), 3)
    assert not torch.equal(mixed, wave)
    assert sorted(mixed.reshape(10, 3)[:, 0].tolist()) == wave[::3].tolist()
    assert torch.equal(mixed.reshape(10, 3).diff(dim=1), torch.ones(10, 2))


@pytest.mark.parametrize("length", [32, 1000, 3200, 3217])
def test_shuffling_keeps_length_and_nearly_the_level(length: int) -> None:
    die = torch.Generator().manual_seed(1)
    wave = torch.randn(length, generator=die)
    mixed = shuffled(wave, die, 256)
    assert mixed.shape == wave.shape
    assert not torch.equal(mixed, wave)
    assert float(mixed.norm() / wave.norm()) == pytest.approx(1, abs=0.2)


# where the record's things are


def test_the_sound_and_its_record_name_the_same_attack(won: Path, bands: Victim) -> None:
    assert control(won, bands, draws=1) == control(outcome_path(won), bands, draws=1)


def test_a_record_in_memory_will_do(won: Path, bands: Victim) -> None:
    record = json.loads(outcome_path(won).read_text())
    assert control(record, bands, draws=1) == control(won, bands, draws=1)


def test_a_moved_folder_is_found_beside_the_record(won: Path, tmp_path: Path) -> None:
    shutil.copy(won.parent / "cards" / "bands.toml", won.parent)
    shutil.copy(won.parent / "cards" / "bands.py", won.parent)
    moved = won.parent.rename(tmp_path / "elsewhere")
    said = told(moved / won.name, "--draws", 1, "--json")
    assert said.code == 0, said.err
    assert json.loads(said.out)["file"] == str(moved / won.name)


def test_another_victim_is_told(won: Path, bands: Victim) -> None:
    assert not any("fingerprint" in note for note in control(won, bands, draws=1).warnings)
    other = load_victim(won.parent / "cards" / "scores.toml")
    assert any("fingerprint" in note for note in control(won, other, draws=1).warnings)


# the command


def test_the_command_prints_two_tables_and_a_verdict_and_asks_nothing_of_the_disk(won: Path) -> None:
    before = tree(won.parent)
    said = told(won, "--draws", 20)
    assert said.code == 0
    for word in ("the attack", "shuffled in time", "random phase", "white noise", "probability of high", "0 of 20"):
        assert word in said.out
    assert "does something" in said.out
    assert {name for name in tree(won.parent) if "__pycache__" not in name} == {
        name for name in before if "__pycache__" not in name
    }


def test_json_is_the_result_and_nothing_else(won: Path, bands: Victim) -> None:
    said = told(won, "--draws", 2, "--json")
    assert json.loads(said.out) == control(won, bands, draws=2).as_json()


def test_the_result_is_written_where_it_is_asked_for_and_nothing_is_overwritten(won: Path) -> None:
    place = won.with_name("c.json")
    assert told(won, "--draws", 1, "--out", place).code == 0
    assert json.loads(place.read_text())["queries"] == 5
    kept = place.read_bytes()
    again = told(won, "--draws", 1, "--out", place)
    assert (again.code, place.read_bytes()) == (2, kept)
    assert told(won, "--draws", 2, "--out", place, "--force").code == 0
    refused = told(won, "--draws", 1, "--out", outcome_path(won), "--force")
    assert refused.code == 2


@pytest.mark.parametrize("link", [False, True])
@pytest.mark.parametrize("name", ["a-to-high.wav", "a-to-high.wav.outcome.json", "a.wav", "cards/bands.toml"])
@pytest.mark.parametrize("other", [False, True])
def test_what_is_read_is_never_overwritten_even_by_force(name: str, link: bool, other: bool, won: Path) -> None:
    place = won.parent / name
    kept = place.read_bytes()
    out = won.with_name("link")
    if link:
        out.symlink_to(place)
    more = ["--victim", won.parent / "cards" / "scores.toml"] if other else []
    said = told(won, "--draws", 1, "--force", *more, "--out", out if link else place)
    assert said.code == 2
    assert "itself" in said.err
    assert "even by force" in said.err
    assert place.read_bytes() == kept
    assert out.is_symlink() == link


def test_a_card_given_by_hand_is_not_overwritten_either(won: Path) -> None:
    card = won.parent / "cards" / "scores.toml"
    kept = card.read_bytes()
    assert told(won, "--draws", 1, "--victim", card, "--out", card, "--force").code == 2
    assert card.read_bytes() == kept


def test_an_interrupted_control_leaves_nothing_behind(
    won: Path, bands: Victim, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("subterfuge.cli.watch.Watch.count", stop)
    before = set(tree(won.parent))
    said = told(won, "--out", won.with_name("c.json"))
    assert said.code == 130
    assert {name for name in tree(won.parent) if "__pycache__" not in name} <= before


# mistakes


def _text(text: str) -> Callable[[Path], object]:
    return lambda won: outcome_path(won).write_text(text)


def _record(**changes: Any) -> Callable[[Path], object]:
    return lambda won: edit(outcome_path(won), **changes)


def _without(key: str) -> Callable[[Path], object]:
    def harm(won: Path) -> None:
        record = json.loads(outcome_path(won).read_text())
        del record[key]
        outcome_path(won).write_text(json.dumps(record))

    return harm


def _unchanged(won: Path) -> None:
    shutil.copy(won.with_name("a.wav"), won)
    edit(outcome_path(won), file_sha256=hashlib.sha256(won.read_bytes()).hexdigest())


MISTAKES: dict[str, tuple[Callable[[Path], object], str]] = {
    "gone": (lambda won: outcome_path(won).unlink(), "there is no outcome"),
    "no JSON": (_text("{"), "no JSON"),
    "a number": (_text("3"), "a JSON object, was expected"),
    "not text": (lambda won: outcome_path(won).write_bytes(b"\xff\xfe\x00"), "cannot be read"),
    "deep": (_text("[" * 100_000), "no JSON"),
    "other JSON": (_text("{}"), "no schema"),
    "another schema": (_record(schema=2), "schema 2"),
    "half a record": (_without("file_sha256"), "lacks 'file_sha256'"),
    "nonsense": (_record(clip="a.wav"), "clip is 'a.wav'"),
    "lost": (_record(won=False, file=None, file_sha256=None), "lost attack"),
    "file gone": (lambda won: won.unlink(), "is not at"),
    "file changed": (lambda won: won.write_bytes(won.read_bytes()[:-2] + b"\x01\x02"), "is not the one"),
    "clip gone": (lambda won: won.with_name("a.wav").unlink(), "is not at"),
    "clip replaced": (lambda won: clip(won.with_name("a.wav"), seed=5), "is not the one"),
    "made in memory": (_record(clip={"name": "x", "path": None, "sha256": None}), "made in memory"),
    "unchanged": (_unchanged, "unchanged"),
    "no card": (_record(victim={"name": "x", "fingerprint": "0", "card": None}), "--victim"),
    "card gone": (lambda won: (won.parent / "cards" / "bands.toml").unlink(), "--victim"),
    "another label": (_record(target="loud"), "'loud' is no label"),
    "no goal": (_record(goal="fly"), "goal 'fly'"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_told_in_one_paragraph(mistake: str, won: Path) -> None:
    harm, expected = MISTAKES[mistake]
    harm(won)
    said = told(won, "--draws", 1)
    assert said.code == 2
    assert said.out == ""
    assert expected in said.err
    assert said.err.startswith("error: ")
    assert said.err.count("\n") == 1


@pytest.mark.parametrize("words", [("--draws", 0), ("--queries", 4), ("--victim", "none.toml")])
def test_options_out_of_range_are_refused(words: tuple[object, ...], won: Path) -> None:
    assert told(won, *words).code == 2


def test_the_library_refuses_them_too(won: Path, bands: Victim) -> None:
    with pytest.raises(InputError, match="0 draws"):
        control(won, bands, draws=0)
    with pytest.raises(InputError, match="4 queries"):
        control(won, bands, queries=4)


def test_a_folder_of_outcomes_is_told_from_an_outcome_and_one_in_it_is_named(won: Path, tmp_path: Path) -> None:
    said = told(won.parent)
    assert said.code == 2
    assert f"{won.parent} is a folder, and one outcome was expected" in said.err
    assert str(outcome_path(won)) in said.err
    (tmp_path / "none").mkdir()
    assert "FILE.outcome.json" in told(tmp_path / "none").err


def test_a_folder_is_no_outcome(tmp_path: Path) -> None:
    (tmp_path / "a.outcome.json").mkdir()
    assert "is a folder" in told(tmp_path / "a.outcome.json").err
