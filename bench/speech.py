"""Speech victims: one voice accepted as another (Resemblyzer), speech unheard and music heard as speech (Silero VAD).

    python bench/speech.py                       # some 22 attacks, a quarter of an hour on one core

Six voices of espeak-ng say six sentences, at 16 kHz in 16-bit files; the music is embedded clips. Each attack is white
box, with the default knobs, and judged on the written file; the wheel's own program and rules are asked too where it is
Silero. What is finished is kept in bench/out/speech; the same command goes on.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from statistics import median
from types import ModuleType
from typing import Any

import numpy as np
import soundfile
import soxr
import torch

from subterfuge.audio import Clip
from subterfuge.driver import attack
from subterfuge.threat import Targeted, Threat
from subterfuge.training.demo_data import embedded_clips
from subterfuge.victims import load_victim
from subterfuge.victims._speech_wheel import wheel_file
from subterfuge.victims.resemblyzer import THRESHOLD, ResemblyzerVictim
from subterfuge.victims.resemblyzer.net import embed, unit
from subterfuge.victims.silero_vad.net import load_program

ROOT = Path(__file__).resolve().parent
RATE = 16000
VOICES = ("en-us", "en-us+f3", "en-us+m3", "en-us+f2", "en+Andrea", "en+m7")
SENTENCES = (
    "Good morning, the train to London leaves at nine.",
    "She sells sea shells by the shore every summer.",
    "My voice is my password, please let me in.",
    "The quick brown fox jumps over the lazy dog.",
    "Nobody knows how much snow will fall tonight.",
    "Turn off the lights when you leave the room.",
)
ENROLS = 2
"""The first sentences enrol a speaker, the others are asked about."""


def by_path(path: Path) -> ModuleType:
    spec = spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def say(folder: Path) -> dict[tuple[str, int], Path]:
    """Write what each voice says."""
    speak = by_path(ROOT.parent / "tools" / "speak.py").speak
    found = {}
    for voice in VOICES:
        for place, text in enumerate(SENTENCES):
            path = found[voice, place] = folder / f"{voice.replace('+', '-')}-{place}.wav"
            if not path.is_file():
                wave, rate = speak(text, voice)
                soundfile.write(path, soxr.resample(wave, rate, RATE, quality="VHQ"), RATE, subtype="PCM_16")
    return found


def heard(path: Path) -> torch.Tensor:
    return torch.from_numpy(Clip.read(path).mono(RATE).copy())


def card(folder: Path, name: str, kind: str, more: str = "") -> Path:
    path = folder / f"{name}.toml"
    path.write_text(f'schema = 1\nkind = "{kind}"\nsample_rate = {RATE}\n{more}', encoding="utf-8")
    return path


def enrolled_card(folder: Path, voice: str, said: dict[tuple[str, int], Path]) -> Path:
    clips = [str(said[voice, place]) for place in range(ENROLS)]
    return card(folder, voice.replace("+", "-"), "resemblyzer", f"enrolled = {json.dumps(clips)}\n")


def clean_voices(
    encoder: ResemblyzerVictim, said: dict[tuple[str, int], Path]
) -> tuple[list[str], list[tuple[str, str]]]:
    """Say how often a voice is turned away, or another let in; give the pairs of whom none of the sentences is."""
    embeds = {key: embed(encoder.encoder, heard(path)[None], normalise=True)[0] for key, path in said.items()}
    speakers = {voice: unit(sum(embeds[voice, place] for place in range(ENROLS))) for voice in VOICES}
    asked = range(ENROLS, len(SENTENCES))
    cosine = {(a, b, n): float(embeds[a, n] @ speakers[b]) for a in VOICES for b in VOICES for n in asked}
    own = np.array([each for (a, b, _), each in cosine.items() if a == b])
    others = np.array([each for (a, b, _), each in cosine.items() if a != b])
    lines = [
        f"Resemblyzer, clean: cosines of a voice with itself {own.min():.2f} to {own.max():.2f} (median "
        f"{np.median(own):.2f}), with others {others.min():.2f} to {others.max():.2f} (median {np.median(others):.2f})"
    ]
    lines += [
        f"  threshold {each:.2f}: {(own <= each).sum()} of {len(own)} turned away, "
        f"{(others > each).sum()} of {len(others)} others let in"
        for each in (0.7, 0.75, THRESHOLD, 0.85, 0.9)
    ]
    shut = [(a, b) for a in VOICES for b in VOICES if a != b and all(cosine[a, b, n] <= THRESHOLD for n in asked)]
    return lines, shut


def spoken_in(path: Path, program: Any, rules: ModuleType) -> bool:
    """Say whether the wheel's own program and rules find speech in a file."""
    with torch.no_grad():
        return bool(rules.get_speech_timestamps(heard(path), program))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, default=ROOT / "out" / "speech")
    parser.add_argument("--pairs", type=int, default=10)
    parser.add_argument("--clips", type=int, default=6, help="sentences to hide, and clips of music")
    given = parser.parse_args()
    out: Path = given.out.absolute()
    out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    said = say(out)
    doors = {voice: enrolled_card(out, voice, said) for voice in VOICES}
    vad = load_victim(card(out, "vad", "silero-vad"))
    program = load_program(wheel_file("silero_vad", "silero-vad", "data/silero_vad.jit"))
    rules = by_path(wheel_file("silero_vad", "silero-vad", "utils_vad.py"))

    encoder = load_victim(doors[VOICES[0]])
    assert isinstance(encoder, ResemblyzerVictim)
    lines, shut = clean_voices(encoder, said)
    music = embedded_clips()
    found = [[spoken_in(path, program, rules) for path in paths] for paths in (said.values(), music)]
    told = f"speech in {sum(found[0])} of {len(said)} sentences, in {sum(found[1])} of {len(music)} clips of music"
    lines.append(f"Silero VAD, clean: {told}")
    print("\n".join(lines), flush=True)

    pairs = shut[:: max(1, len(shut) // given.pairs)][: given.pairs]
    spread = len(SENTENCES) - ENROLS
    jobs = [("voice as another", said[a, ENROLS + n % spread], b, "enrolled") for n, (a, b) in enumerate(pairs)]
    jobs += [("speech unheard", said[VOICES[n % 6], n % 6], "vad", "no speech") for n in range(given.clips)]
    jobs += [
        ("music as speech", path, "vad", "speech")
        for path in music[:: max(1, len(music) // given.clips)][: given.clips]
    ]
    rows = run(jobs, doors, vad, out, lambda path: spoken_in(path, program, rules))
    lines += table(rows)
    (out / "table.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines))


def run(
    jobs: Sequence[tuple[str, Path, str, str]], doors: dict[str, Path], vad: Any, out: Path, speech: Any
) -> list[Any]:
    """Do each attack that is not done, and give a row of figures for each."""
    ledger, rows = out / "rows.jsonl", []
    done = {row["name"]: row for row in map(json.loads, ledger.read_text().splitlines())} if ledger.is_file() else {}
    for what, path, door, target in jobs:
        name = f"{what}: {path.stem} to {door} {target}"
        if name not in done:
            victim = vad if door == "vad" else load_victim(doors[door])
            result = out / f"{path.stem}-as-{door.replace('+', '-')}-{target.replace(' ', '-')}.wav"
            won = attack(path, victim, Threat(goal=Targeted(target)), out=result, force=True, control=0)
            files = [each for each in out.iterdir() if each.stem == result.stem and each.suffix in (".wav", ".flac")]
            done[name] = {
                "name": name,
                "what": what,
                "won": won.won,
                "snr_db": won.file_snr_db,
                "mos": won.zimtohrli_mos,
                "nmr_db": won.nmr_db,
                "gradients": won.gradients,
                "seconds": won.seconds,
                "wheel": won.won and door == "vad" and speech(files[0]) == (target == "speech"),
            }
            with ledger.open("a", encoding="utf-8") as file:
                file.write(json.dumps(done[name]) + "\n")
        rows.append(done[name])
        print(json.dumps(rows[-1]), flush=True)
    return rows


def table(rows: Sequence[Any]) -> list[str]:
    lines = [
        "",
        "| attack | won | wheel agrees | median SNR dB | least | median MOS | gradients | s |",
        "|" + "---|" * 8,
    ]
    for what in dict.fromkeys(row["what"] for row in rows):
        mine = [row for row in rows if row["what"] == what]
        won = [row for row in mine if row["won"]]
        cells = [what, f"{len(won)} of {len(mine)}", str(sum(row["wheel"] for row in won) or "")]
        for key, digits in (("snr_db", 1), ("mos", 2), ("gradients", 0), ("seconds", 0)):
            numbers = [row[key] for row in won if row[key] is not None]
            cells.append(f"{median(numbers):.{digits}f}" if numbers else "")
            if key == "snr_db":
                cells.append(f"{min(numbers):.1f}" if numbers else "")
        lines.append("| " + " | ".join(cells) + " |")
    return lines


if __name__ == "__main__":
    sys.exit(main())
