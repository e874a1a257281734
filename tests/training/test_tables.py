from __future__ import annotations

import dataclasses
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from subterfuge.audio import Clip
from subterfuge.dsp.recipes import RECIPES
from subterfuge.errors import ClipError, InputError, MissingExtra, OutputError, TransformError
from subterfuge.training import _tables_pool
from subterfuge.training._tables_setup import Setup
from subterfuge.training.demo_data import embedded_features
from subterfuge.training.examples import Dataset, Example
from subterfuge.training.tables import Table, embedded_table, feature_table
from subterfuge.transforms import parse_transforms

RATE = 8000
RECIPE = "librosa-mean-25"
forked = pytest.mark.skipif(sys.platform != "linux", reason="processes are forked on Linux only")


def sound(number: int, samples: int = 4000, channels: int = 1) -> np.ndarray:
    die = np.random.default_rng(number)
    t = np.arange(samples)[:, None] / RATE
    tone = 0.3 * np.sin(2 * np.pi * (200 + 37 * number) * t + die.uniform(0, 1, channels))
    return tone + 0.02 * die.normal(size=(samples, channels))


def example(path: Path, label: str = "a", group: str = "") -> Example:
    return Example(path, label, group or path.stem)


def some(folder: Path, count: int, samples: Sequence[int] = (4000,)) -> Dataset:
    """Write so many sounds, of such lengths in turn, two a recording and two classes; give their set."""
    made = []
    for number in range(count):
        place = folder / "ab"[number % 4 // 2] / f"{number // 2}__{number % 2 + 1}.wav"
        place.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(place, sound(number, samples[number % len(samples)]), RATE)
        made.append(example(place, place.parent.name, str(number // 2)))
    return Dataset("some", tuple(made))


def table(data: Dataset, **how: Any) -> Table:
    return feature_table(data, **{"sample_rate": RATE, "jobs": 1} | how)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many waves each call of the front end described, that of the known sound (float64) left out."""
    real, counts = Setup.features, list[int]()

    def counted(self: Setup, waves: np.ndarray) -> np.ndarray:
        if waves.dtype == np.float32:
            counts.append(len(waves))
        return real(self, waves)

    monkeypatch.setattr(Setup, "features", counted)
    return counts


def test_rows_are_librosas_features_of_what_a_victim_hears(tmp_path: Path) -> None:
    paths = [tmp_path / "mono.wav", tmp_path / "stereo.flac"]
    soundfile.write(paths[0], sound(1, 24000), RATE)
    soundfile.write(paths[1], sound(2, 30000, 2), 44100, subtype="PCM_24")
    found = table(Dataset("two", tuple(example(path) for path in paths)), sample_rate=22050)
    truth = np.stack([RECIPES[RECIPE].true(Clip.read(path).mono(22050), 22050) for path in paths])
    assert found.X.dtype == np.float64
    assert np.allclose(found.X, truth, rtol=1e-4, atol=1e-4)


def test_columns_say_what_each_row_is_in_the_order_of_the_set(tmp_path: Path) -> None:
    found = table(some(tmp_path, 6))
    assert found.y.tolist() == ["a", "a", "b", "b", "a", "a"]
    assert found.groups.tolist() == ["0", "0", "1", "1", "2", "2"]
    assert found.names.tolist()[:3] == ["a/0__1.wav", "a/0__2.wav", "b/1__1.wav"]
    assert (found.recipe, found.sample_rate, found.through, found.augment) == (RECIPE, RATE, "", "")
    assert (len(found), found.labels, found.skipped) == (6, ("a", "b"), ())


def test_some_rows_of_a_table_are_a_table(tmp_path: Path) -> None:
    found = table(some(tmp_path, 6))
    for rows in ([4, 2], np.array([4, 2])):
        assert found.at(rows).names.tolist() == ["a/2__1.wav", "b/1__1.wav"]
        assert np.array_equal(found.at(rows).X, found.X[[4, 2]])
    assert found.at(found.y == "b").groups.tolist() == ["1", "1"]
    assert found.at([]).X.shape == (0, 25)
    with pytest.raises(dataclasses.FrozenInstanceError):
        found.recipe = "other"  # type: ignore[misc]


@pytest.mark.parametrize("how", [{}, {"augment": "noise", "through": "shift,noise=30"}])
def test_several_processes_give_the_numbers_of_one(tmp_path: Path, how: dict[str, str]) -> None:
    data = some(tmp_path, 20, (4000, 3000))
    assert np.array_equal(table(data, jobs=2, **how).X, table(data, jobs=1, **how).X)


def test_a_sound_does_not_feel_what_else_is_in_the_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data, how = some(tmp_path, 10, (4000, 3000, 4000)), {"augment": "gauss=0.02", "through": "gain,noise=30"}
    whole = table(data, **how)
    some_of_them = table(data.only([7, 3]), **how)
    assert np.array_equal(some_of_them.X, np.concatenate([whole.X[21:24], whole.X[9:12]]))
    monkeypatch.setattr(_tables_pool, "MOST_SAMPLES", 1)
    assert np.array_equal(table(data, **how).X, whole.X)


def test_nothing_is_drawn_from_torchs_own_generator_and_its_threads_stay(tmp_path: Path) -> None:
    data = some(tmp_path, 10)
    before, threads = torch.get_rng_state(), torch.get_num_threads()
    table(data, jobs=2, augment="noise")
    table(data, jobs=1, augment="noise")
    assert torch.equal(before, torch.get_rng_state())
    assert torch.get_num_threads() == threads


def test_processes_work_after_this_one_has_used_several_threads(tmp_path: Path) -> None:
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        one = torch.ones(600, 600)
        assert float((one @ one).sum()) == 600**3
        assert len(table(some(tmp_path, 10), jobs=2)) == 10
    finally:
        torch.set_num_threads(threads)


def test_progress_rises_to_the_number_of_sounds(tmp_path: Path) -> None:
    data, told = some(tmp_path, 20), list[tuple[int, int]]()
    data.examples[3].path.write_bytes(b"no sound")
    table(data, augment="gauss", progress=lambda done, of: told.append((done, of)))
    assert told[0] == (0, 20)
    assert told[-1] == (20, 20)
    assert [done for done, _ in told] == sorted({done for done, _ in told})


@pytest.mark.parametrize("jobs", [1, 2])
def test_bad_files_are_named_and_left_out(tmp_path: Path, jobs: int) -> None:
    data = some(tmp_path, 20)
    whole = table(data)
    bad = [data.examples[place].path for place in (1, 8, 15)]
    bad[0].write_bytes(bad[0].read_bytes()[:3000])
    bad[1].write_text("this is a text")
    bad[2].unlink()
    found = table(data, jobs=jobs)
    rest = [place for place in range(20) if place not in (1, 8, 15)]
    assert np.array_equal(found.X, whole.X[rest])
    assert found.names.tolist() == whole.names[rest].tolist()
    assert [told.startswith(f"{path}: ") for path, told in zip(bad, found.skipped, strict=True)] == [True] * 3
    assert all(told.count(str(tmp_path)) == 1 for told in found.skipped)


def test_a_set_without_a_usable_sound_is_refused_with_the_first_reason(tmp_path: Path) -> None:
    data = some(tmp_path, 2)
    for one in data.examples:
        one.path.write_bytes(b"")
    with pytest.raises(InputError, match=r"none of the 2 sounds of some can be used \(2 left out; the first: .*0__1"):
        table(data)
    with pytest.raises(InputError, match=r"the set none has no sounds \(1 left out; the first: x.wav is a text\)"):
        table(Dataset("none", (), ("x.wav is a text.",)))


def test_silence_has_finite_features(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "silence.wav", np.zeros(4000), RATE)
    found = table(Dataset("silence", (example(tmp_path / "silence.wav"),)), augment="noise")
    assert np.isfinite(found.X).all()
    assert len(found) == 4


def test_features_that_are_no_numbers_are_named_and_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(waves: torch.Tensor, rate: int) -> torch.Tensor:
        return torch.where(waves[:, :1] * 0 + torch.arange(len(waves))[:, None] == 1, torch.nan, 1.0).expand(-1, 25)

    monkeypatch.setitem(RECIPES, RECIPE, dataclasses.replace(RECIPES[RECIPE], twin=broken))
    found = table(some(tmp_path, 3))
    assert len(found) == 2
    assert "no finite numbers" in found.skipped[0]


@pytest.mark.parametrize("fault", [MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory")])
def test_where_memory_ends_the_batch_is_halved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: Exception, asked: list[int]
) -> None:
    data, real = some(tmp_path, 8), RECIPES[RECIPE].twin
    whole = table(data)

    def small(waves: torch.Tensor, rate: int) -> torch.Tensor:
        if len(waves) > 2:
            raise fault
        return real(waves, rate)

    monkeypatch.setitem(RECIPES, RECIPE, dataclasses.replace(RECIPES[RECIPE], twin=small))
    asked.clear()
    assert np.array_equal(table(data).X, whole.X)
    assert asked == [8, 4, 2, 2, 4, 2, 2]


def test_too_little_memory_for_one_sound_is_told_and_other_faults_are_not_hidden(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = some(tmp_path, 2)

    def put(fault: Exception) -> None:
        def raises(waves: torch.Tensor, rate: int) -> torch.Tensor:
            raise fault

        monkeypatch.setitem(RECIPES, RECIPE, dataclasses.replace(RECIPES[RECIPE], twin=raises))

    put(MemoryError())
    with pytest.raises(InputError, match=r"too little memory to describe one sound of 4000 samples.*jobs=1"):
        table(data)
    put(RuntimeError("a bug"))
    with pytest.raises(RuntimeError, match="a bug"):
        table(data)


@forked
def test_a_process_that_is_killed_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = os.getpid()

    def dies(self: Setup, waves: np.ndarray) -> np.ndarray:
        assert os.getpid() != here
        os.kill(os.getpid(), signal.SIGKILL)
        return waves

    monkeypatch.setattr(Setup, "features", dies)
    with pytest.raises(InputError, match=r"ended without an answer .*often for lack of memory.*jobs=1"):
        table(some(tmp_path, 20), jobs=2)


def test_every_sound_passes_the_real_transforms_first(tmp_path: Path) -> None:
    data = some(tmp_path, 3)
    found = table(data, through=" lowpass=1000 , requantise=8")
    assert found.through == "lowpass=1000,requantise=8"
    for row, one in zip(found.X, data.examples, strict=True):
        wave = Clip.read(one.path).mono(RATE)[None]
        for transform in parse_transforms(found.through):
            wave = transform.real(wave, RATE, torch.Generator())
        assert np.allclose(row, RECIPES[RECIPE].true(wave[0], RATE), rtol=1e-3, atol=1e-3)


def test_noise_is_added_before_the_transforms(tmp_path: Path) -> None:
    data = some(tmp_path, 4)
    bare, noisy = table(data), table(data, augment="gauss=0.2")
    both = table(data, augment="gauss=0.2", through="lowpass=500")
    centroid_hz = 1
    assert noisy.at([1, 2]).X[:, centroid_hz].min() > 1.4 * bare.X[0, centroid_hz]
    assert both.at([1, 2]).X[:, centroid_hz].max() < 0.6 * noisy.X[1, centroid_hz]


def test_variants_stand_behind_their_sound_with_its_label_and_recording(tmp_path: Path) -> None:
    data = some(tmp_path, 4)
    bare, found = table(data), table(data, augment="noise=2")
    assert found.names.tolist()[:4] == ["a/0__1.wav", "a/0__1.wav#1", "a/0__1.wav#2", "a/0__2.wav"]
    assert found.groups.tolist() == np.repeat(bare.groups, 3).tolist()
    assert found.y.tolist() == np.repeat(bare.y, 3).tolist()
    assert np.array_equal(found.X[::3], bare.X)
    assert not np.allclose(found.X[1::3], bare.X)


def test_what_is_drawn_depends_on_the_sound_and_the_seed_alone(tmp_path: Path) -> None:
    data = some(tmp_path, 4)
    copy = tmp_path / "elsewhere" / "copy.flac"
    copy.parent.mkdir()
    wave, rate = soundfile.read(data.examples[2].path)
    soundfile.write(copy, wave, rate)
    how = {"augment": "noise", "through": "shift"}
    first = table(data, **how)
    assert np.array_equal(table(Dataset("copy", (example(copy),)), **how).X, first.X[8:12])
    assert not np.array_equal(table(data, seed=1, **how).X, first.X)


def test_a_sound_that_cannot_pass_a_transform_is_left_out(tmp_path: Path) -> None:
    data = some(tmp_path, 3)
    soundfile.write(data.examples[1].path, 0.9 * np.sign(sound(1)), RATE)
    found = table(data, through="gain=3")
    assert len(found) == 2
    assert "gain=3: would clip" in found.skipped[0]


@pytest.mark.parametrize(
    ("how", "kind", "told"),
    [
        ({"recipe": "librosa-mean"}, InputError, r"recipe 'librosa-mean' is not known; did you mean librosa-mean-25"),
        ({"sample_rate": 10}, ClipError, "10 Hz"),
        ({"jobs": -1}, InputError, "-1 jobs"),
        ({"seed": -1}, InputError, "seed -1"),
        ({"through": "mp4"}, TransformError, "mp3"),
        ({"augment": "nois"}, InputError, r"did you mean noise"),
    ],
)
def test_what_makes_no_sense_is_refused_before_a_file_is_read(how: dict[str, Any], kind: type, told: str) -> None:
    with pytest.raises(kind, match=told):
        table(Dataset("none", (example(Path("nowhere.wav")),)), **how)


# the cache


def test_what_was_found_before_is_not_computed_again(tmp_path: Path, asked: list[int]) -> None:
    data, cache = some(tmp_path, 12, (4000, 3000)), tmp_path / "new" / "features.parquet"
    how = {"cache": cache, "augment": "noise=1"}
    first = table(data, **how)
    assert sum(asked) == 24
    asked.clear()
    again = table(data, **how)
    assert not asked
    assert np.array_equal(again.X, first.X)
    assert again.names.tolist() == first.names.tolist()
    assert [path.name for path in cache.parent.iterdir()] == [cache.name]


def test_the_cache_goes_by_content_and_not_by_name(tmp_path: Path, asked: list[int]) -> None:
    data, cache = some(tmp_path, 4), tmp_path / "features.parquet"
    first = table(data, cache=cache)
    moved = data.examples[0].path.rename(tmp_path / "another name.wav")
    soundfile.write(data.examples[1].path, sound(99), RATE)
    asked.clear()
    found = table(Dataset("moved", (example(moved), *data.examples[1:])), cache=cache)
    assert sum(asked) == 1
    assert np.array_equal(found.X[[0, 2, 3]], first.X[[0, 2, 3]])
    assert not np.allclose(found.X[1], first.X[1])


@pytest.mark.parametrize(
    "other", [{"sample_rate": 4000}, {"through": "requantise=8"}, {"augment": "gauss"}, {"augment": "gauss", "seed": 1}]
)
def test_other_ways_stand_in_one_cache_and_are_never_mistaken(
    tmp_path: Path, other: dict[str, Any], asked: list[int]
) -> None:
    data, cache, told = some(tmp_path, 4), tmp_path / "features.parquet", list[str]()
    one = {"augment": "gauss"} if "seed" in other else {}
    first, truth = table(data, cache=cache, **one), table(data, **other)
    asked.clear()
    second = table(data, cache=cache, announce=told.append, **other)
    assert np.array_equal(second.X, truth.X)
    assert sum(asked) == len(second)
    assert len(told) == 1
    assert "holds other features only (librosa-mean-25, 8000 Hz" in told[0]
    asked.clear()
    assert np.array_equal(table(data, cache=cache, **one).X, first.X)
    assert np.array_equal(table(data, cache=cache, announce=told.append, **other).X, second.X)
    assert (asked, len(told)) == ([], 1)


def test_a_seed_that_nothing_is_drawn_with_changes_nothing(tmp_path: Path, asked: list[int]) -> None:
    data, cache = some(tmp_path, 4), tmp_path / "features.parquet"
    table(data, cache=cache)
    asked.clear()
    table(data, cache=cache, seed=5)
    assert not asked


def changed_recipe(patch: pytest.MonkeyPatch) -> None:
    real = RECIPES[RECIPE].twin
    shifted = dataclasses.replace(RECIPES[RECIPE], twin=lambda waves, rate: real(waves, rate) * 1.001)
    patch.setitem(RECIPES, RECIPE, shifted)


def changed_decoder(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(soundfile, "__libsndfile_version__", "0.9")


@pytest.mark.parametrize(
    ("change", "what"),
    [(changed_recipe, "other answers to a known sound"), (changed_decoder, "libsndfile 1.*, now 0.9")],
)
def test_features_of_another_version_are_told_kept_and_computed_again(
    tmp_path: Path, change: Callable[[pytest.MonkeyPatch], None], what: str, asked: list[int]
) -> None:
    data, cache, told = some(tmp_path, 4), tmp_path / "features.parquet", list[str]()
    first = table(data, cache=cache)
    with pytest.MonkeyPatch.context() as patch:
        change(patch)
        asked.clear()
        table(data, cache=cache, announce=told.append)
        assert sum(asked) == 4
    asked.clear()
    assert np.array_equal(table(data, cache=cache).X, first.X)
    assert not asked
    assert len(told) == 1
    assert re.search(rf"features.parquet holds 4 rows of these features by another version \({what}\)", told[0])


def cut(content: bytes) -> bytes:
    return content[: len(content) // 2]


def emptied(content: bytes) -> bytes:
    return b""


def flipped(content: bytes) -> bytes:
    return content[:200] + bytes([content[200] ^ 255]) + content[201:]


@pytest.mark.parametrize("damage", [cut, emptied, flipped])
def test_a_damaged_cache_is_named_and_left_as_it_is(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    data, cache = some(tmp_path, 4), tmp_path / "features.parquet"
    table(data, cache=cache)
    cache.write_bytes(damage(cache.read_bytes()))
    before = cache.read_bytes()
    with pytest.raises(InputError, match=r"features\.parquet is damaged.*move it away or delete it"):
        table(data, cache=cache)
    assert cache.read_bytes() == before


def test_another_parquet_file_is_no_cache_and_is_left_as_it_is(tmp_path: Path) -> None:
    import pyarrow
    import pyarrow.parquet

    cache = tmp_path / "prices.parquet"
    pyarrow.parquet.write_table(pyarrow.table({"price": [1.0]}), cache)
    before = cache.read_bytes()
    with pytest.raises(InputError, match=r"prices\.parquet is a Parquet file, but no cache of features"):
        table(some(tmp_path, 2), cache=cache)
    assert cache.read_bytes() == before


def test_a_cache_that_cannot_be_a_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="is a folder"):
        table(some(tmp_path, 2), cache=tmp_path)


def test_without_pyarrow_a_cache_is_refused_and_a_table_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = some(tmp_path, 2)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingExtra, match=r"pip install 'sonic-subterfuge\[train\]'"):
        table(data, cache=tmp_path / "features.parquet")
    assert len(table(data)) == 2


@pytest.mark.parametrize("jobs", [1, 2])
def test_an_interrupt_loses_nothing_that_was_found(
    tmp_path: Path, asked: list[int], monkeypatch: pytest.MonkeyPatch, jobs: int
) -> None:
    data, cache = some(tmp_path, 40), tmp_path / "features.parquet"

    def interrupts(done: int, total: int) -> None:
        if done >= 16:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        table(data, cache=cache, jobs=jobs, progress=interrupts)
    asked.clear()
    found = table(data, cache=cache)
    assert sum(asked) == 24
    assert np.array_equal(found.X, table(data).X)


KILLED = """
import os, signal
from pathlib import Path
from subterfuge.training import tables
from subterfuge.training.examples import Dataset, Example

tables.FLUSH = 16
data = Dataset("some", tuple(Example(path, "a", path.stem) for path in sorted(Path("sounds").rglob("*.wav"))))
tables.feature_table(
    data, sample_rate=8000, jobs=1, cache="features.parquet",
    progress=lambda done, total: os.kill(os.getpid(), signal.SIGKILL) if done >= 40 else None,
)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
def test_a_killed_run_is_resumed_where_it_last_wrote(tmp_path: Path, asked: list[int]) -> None:
    data = some(tmp_path / "sounds", 48)
    ended = subprocess.run([sys.executable, "-c", KILLED], cwd=tmp_path, timeout=120)
    assert ended.returncode == -signal.SIGKILL
    found = table(data, cache=tmp_path / "features.parquet")
    assert sum(asked) == 48 - 32
    assert np.array_equal(found.X, table(data).X)


def test_features_that_another_run_added_meanwhile_stay(tmp_path: Path, asked: list[int]) -> None:
    data, cache = some(tmp_path, 16), tmp_path / "features.parquet"
    table(data.only([0, 1]), cache=cache)

    def meanwhile(done: int, total: int) -> None:
        if done == 2:
            table(data.only([8, 9]), cache=cache)

    table(data.only([4, 5]), cache=cache, progress=meanwhile)
    asked.clear()
    table(data.only([0, 1, 4, 5, 8, 9]), cache=cache)
    assert not asked


def test_the_known_sound_stirs_every_feature() -> None:
    setup = Setup.of(RECIPE, RATE, "", "", 0)
    real = RECIPES[RECIPE].twin
    versions = {setup.versions()["answers"]}
    for place in range(25):
        bump = torch.zeros(25, dtype=torch.float64)
        bump[place] = 1e-3
        with pytest.MonkeyPatch.context() as patch:
            twin = dataclasses.replace(RECIPES[RECIPE], twin=lambda waves, rate, by=bump: real(waves, rate) * (1 + by))
            patch.setitem(RECIPES, RECIPE, twin)
            versions.add(setup.versions()["answers"])
    assert len(versions) == 26


def test_transforms_that_refuse_the_known_sound_still_have_a_version() -> None:
    setup = Setup.of(RECIPE, 1000, "room", "", 0)
    with pytest.raises(TransformError):
        setup.waves(np.zeros(4096, np.float32))
    assert setup.versions()["answers"]


def test_the_embedded_table_is_what_the_demos_victim_learned() -> None:
    found, demo = embedded_table(), embedded_features()
    assert found.X.dtype == np.float64
    assert np.array_equal(found.X, demo.X)
    assert found.y.tolist() == demo.y.tolist()
    assert found.groups.tolist() == demo.groups.tolist()
    assert len(set(found.names.tolist())) == len(found)
    assert (found.recipe, found.sample_rate, found.through, found.augment) == (RECIPE, 44100, "", "")
