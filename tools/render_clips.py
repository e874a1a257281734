"""Play composed phrases through SoundFonts: stand-ins for IRMAS clips that may be given away.

    python tools/render_clips.py --font FluidR3_GM.sf2 --font MuseScore_General_Full.sf3 \\
        --to DIR --per-class 144 --seed 0

Writes DIR/LABEL/[LABEL][FONT]NNNN__E.wav (3 s, 44.1 kHz, 16-bit stereo) and DIR/clips.csv. A recording NNNN
is one phrase of one instrument on one font, with or without a soft accompaniment; E numbers its excerpts,
which share tempo, key, room and loudness as excerpts of one IRMAS recording do. A tool for developers: it
needs the program `fluidsynth` (Debian: apt install fluidsynth), and nothing of the package needs this file.
The same seed gives the same clips, whatever the number of clips and of jobs; `--first` numbers recordings
that no other run has.
"""

from __future__ import annotations

import argparse
import csv
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile as sf
from phrases import INSTRUMENTS, SECONDS, Event, compose, midi_file

RATE = 44100
CLIP_SAMPLES = 3 * RATE
EXCERPTS = 2


@dataclass(frozen=True)
class Recording:
    """One phrase and how it is to be played."""

    name: str
    label: str
    font: Path
    program: int
    seed: int
    events: tuple[Event, ...]
    starts: tuple[float, ...]
    """Where its excerpts begin, in seconds."""
    peak_db: float
    """The loudest sample of the recording, dB below full scale."""
    reverb: tuple[float, float, float] | None
    """Room size, damping and level, each 0..1, or None for a dry room."""


def font_tag(font: Path) -> str:
    """Name a SoundFont in a file name: its first word, lower case (fluidr3, musescore)."""
    return font.stem.split("_")[0].lower()


def recording(label: str, number: int, fonts: Sequence[Path], seed: int) -> Recording:
    """Compose recording `number` of a class; fonts alternate fastest, then programs."""
    dice = np.random.default_rng([seed, list(INSTRUMENTS).index(label), number])
    font = fonts[number % len(fonts)]
    programs = list(INSTRUMENTS[label])
    program = programs[(number // len(fonts)) % len(programs)]
    spare = SECONDS / EXCERPTS - 3.0
    return Recording(
        name=f"[{label}][{font_tag(font)}]{number:04d}",
        label=label,
        font=font,
        program=program,
        seed=seed,
        events=compose(label, program, dice),
        starts=tuple(float(e * SECONDS / EXCERPTS + dice.uniform(0, spare)) for e in range(EXCERPTS)),
        peak_db=float(dice.uniform(-14, -1)),
        reverb=None if dice.random() < 0.25 else (dice.uniform(0.1, 0.9), dice.uniform(0, 0.8), dice.uniform(0.2, 1)),
    )


def find_fluidsynth() -> str:
    """Find the synthesiser, or end with a sentence that says how to install it."""
    program = shutil.which("fluidsynth")
    if program is None:
        sys.exit("fluidsynth is not installed (Debian: apt install fluidsynth; macOS: brew install fluid-synth)")
    return program


def play(music: Recording, fluidsynth: str) -> np.ndarray:
    """Render a recording through its font, shape (samples, 2), float64, its loudest sample at `peak_db`."""
    with tempfile.TemporaryDirectory() as folder:
        score, sound = Path(folder, "score.mid"), Path(folder, "sound.wav")
        score.write_bytes(midi_file(music.events, SECONDS))
        command = [fluidsynth, "-ni", "-q", "-r", str(RATE), "-T", "wav", "-O", "float", "-g", "0.4"]
        command += ["-o", "synth.dynamic-sample-loading=1", "-R", "0" if music.reverb is None else "1"]
        for knob, value in zip(("room-size", "damp", "level"), music.reverb or (), strict=False):
            command += ["-o", f"synth.reverb.{knob}={value:.4f}"]
        done = subprocess.run(
            [*command, "-F", str(sound), str(music.font), str(score)],
            capture_output=True,
            text=True,
            timeout=120,
        )
        if done.returncode or not sound.exists():
            sys.exit(f"fluidsynth could not play {music.name} on {music.font}: {done.stderr.strip()[-500:]}")
        wave, _ = sf.read(sound, dtype="float64", always_2d=True)
    peak = float(np.abs(wave).max()) if wave.size else 0.0
    if peak < 1e-4:
        sys.exit(f"{music.name} came out silent: has {music.font.name} no program {music.program}?")
    return wave * (10 ** (music.peak_db / 20) / peak)


def excerpts(music: Recording, wave: np.ndarray) -> list[np.ndarray]:
    """Cut the excerpts of exactly 3 s, padded with silence where the sound ends too soon."""
    cuts = []
    for start in music.starts:
        first = round(start * RATE)
        cut = wave[first : first + CLIP_SAMPLES]
        cuts.append(np.pad(cut, ((0, CLIP_SAMPLES - len(cut)), (0, 0))))
    return cuts


def write(music: Recording, fluidsynth: str, to: Path) -> list[dict[str, str | int]]:
    """Play a recording, write its excerpts, and give their rows of the table."""
    rows: list[dict[str, str | int]] = []
    for number, cut in enumerate(excerpts(music, play(music, fluidsynth)), start=1):
        path = to / music.label / f"{music.name}__{number}.wav"
        sf.write(path, cut, RATE, subtype="PCM_16")
        rows.append(
            {"file": f"{music.label}/{path.name}", "label": music.label, "font": font_tag(music.font)}
            | {"program": music.program, "group": music.name, "seed": music.seed}
        )
    return rows


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--font", type=Path, action="append", required=True, help="a SoundFont; may be repeated")
    parser.add_argument("--to", type=Path, required=True, help="folder to write, absent or empty")
    parser.add_argument("--per-class", type=int, default=144, help=f"clips a class, a multiple of {EXCERPTS}")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0, help="number of the first recording of each class")
    parser.add_argument("--jobs", type=int, default=2, help="synthesisers at work at once")
    given = parser.parse_args(arguments)
    if given.per_class < EXCERPTS or given.per_class % EXCERPTS:
        parser.error(f"--per-class {given.per_class}: a recording gives {EXCERPTS} clips, so take a multiple of it")
    for font in given.font:
        if not font.is_file():
            parser.error(f"--font {font}: no such file (Debian: apt install fluid-soundfont-gm)")
    if given.to.exists() and any(given.to.iterdir()):
        parser.error(f"--to {given.to}: not empty")
    fluidsynth = find_fluidsynth()
    for label in INSTRUMENTS:
        (given.to / label).mkdir(parents=True, exist_ok=True)
    music = [
        recording(label, number, given.font, given.seed)
        for label in INSTRUMENTS
        for number in range(given.first, given.first + given.per_class // EXCERPTS)
    ]
    with ThreadPoolExecutor(given.jobs) as pool:
        rows = [row for rows in pool.map(lambda one: write(one, fluidsynth, given.to), music) for row in rows]
    with open(given.to / "clips.csv", "w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        table.writeheader()
        table.writerows(rows)
    print(f"{len(rows)} clips of {len(music)} recordings in {given.to}")


if __name__ == "__main__":
    main()
