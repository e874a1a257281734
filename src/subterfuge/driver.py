"""The one driver: a clip meets a victim under a threat, and the written file is judged.

The search runs on the victim's twin where it has one. Whatever the search believes, only the judge decides: the file is
written, read back as the victim's users would, and the true victim asked once. Where rounding or resampling killed a
win, the search goes on with a wider margin.
"""

from __future__ import annotations

import hashlib
import math
import os
import platform
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from subterfuge.attacks import Attack, Quietest, knobs_of, make_attack
from subterfuge.attacks.noise import levels_db, same_spectrum, white
from subterfuge.audio import Clip, hear
from subterfuge.audio.grid import BITS
from subterfuge.audio.place import check_target
from subterfuge.errors import AttackError, ClipError, OutputError, VictimError
from subterfuge.hearing.compare import compare
from subterfuge.oracle import BudgetSpent, Oracle, answer_for, dice
from subterfuge.outcome import Outcome, outcome_path
from subterfuge.threat import LeastSNR, Maximise, Threat, Unlimited
from subterfuge.victim import Gives, Kind, Victim

ROUNDS = 10
"""Most files that are judged for one clip."""
LOUDEST_MAXIMISE = LeastSNR(40.0)
"""The limit of a goal without an end, where none was given."""
QUIET = 1e-5
"""Peak below which a clip is near-silent: a change of one 16-bit step is louder."""


@dataclass(frozen=True)
class Verdict:
    """What the true victim says of a sound."""

    index: int
    label: str
    probability: float | None
    """Of the class that the goal is about."""
    probabilities: Tensor | None
    reached: bool


def attack(
    clip: Clip | str | Path,
    victim: Victim,
    threat: Threat | None = None,
    seed: int = 0,
    *,
    by: Attack | str = "quietest",
    out: str | Path | None = None,
    force: bool = False,
    keep_container: bool = False,
    control: int = 20,
    progress: Callable[[Oracle], None] | None = None,
    command: str | None = None,
) -> Outcome:
    """Change a sound as little as the threat asks for, write it, and prove the change on the written file.

    Args:
        clip: a sound, or the path of one.
        victim: whom to fool.
        threat: goal, limit and budget; by default untargeted, without a limit.
        seed: of everything random.
        by: an attack, or its name in `subterfuge.attacks.ATTACKS`.
        out: file or folder of the result; by default ``CLIP-to-TARGET.EXT`` in the current folder.
        force: overwrite an existing result (never the clip itself).
        keep_container: write a lossy source in kind, and not as 24-bit FLAC.
        control: draws of noise that the win is compared with; 0 for none.
        progress: called with the oracle a few times a second.
        command: how a user can repeat this, for the record.

    Returns:
        The outcome, which is also written beside the sound where the attack won.

    Raises:
        InputError: a clip, a threat, an attack or an output that cannot be; nothing is written.
        VictimError: the victim died or answered nonsense.
    """
    clip = clip if isinstance(clip, Clip) else Clip.read(clip)
    threat = threat or Threat()
    method = make_attack(by) if isinstance(by, str) else by
    notes = [*clip.warnings, *victim.warnings]
    if isinstance(threat.goal, Maximise) and isinstance(threat.limit, Unlimited):
        threat = Threat(threat.goal, LOUDEST_MAXIMISE, threat.budget)
        notes.append(f"the goal maximise has no end, so a limit was set: snr={LOUDEST_MAXIMISE.snr_db:g}")
    _check_fit(method, victim, threat)
    wave = _heard(clip, victim.sample_rate, notes)
    clean = torch.from_numpy(wave)[None]
    said = int(victim.decide(clean)[0])
    focus = threat.goal.focus(victim.labels, said)
    before = _ask(victim, threat, clean, focus)
    target = None if threat.goal.name == "untargeted" else victim.labels[focus]
    place = _place(clip, target, out, force, keep_container)
    if victim.twin is not None:
        notes.extend(victim.twin.warnings)
    already = before.reached and not isinstance(threat.goal, Maximise)
    search = _Search(clip, victim, threat, method, clean, focus, seed, progress)
    with tempfile.TemporaryDirectory(dir=place.parent, prefix=".subterfuge-") as folder:
        judged: _Judged | None
        if already:
            notes.append(f"the clip is {target} already: it comes back unchanged, and counts in no median")
            judged = search.judge(torch.zeros_like(clean), Path(folder), keep_container, notes)
        else:
            judged = search.run(Path(folder), keep_container, notes)
        won = judged is not None and judged.verdict.reached
        after = judged.verdict if judged is not None else _ask(victim, threat, clean + search.oracle.best, focus)
        changed = judged.clip if judged is not None else clip.add(search.oracle.best[0].numpy(), victim.sample_rate)
        difference = compare(clip, changed, victim.sample_rate)
        noise = None
        if won and not already and control:
            noise = _control(clip, victim, threat, judged, wave, focus, seed, control)
        final = None
        if won and judged is not None:
            final = place.with_suffix(judged.file.suffix)
            check_target(final, clip.path, force)
            digest = hashlib.sha256(judged.file.read_bytes()).hexdigest()
        oracle = search.oracle
        outcome = Outcome(
            won=won,
            goal=_goal_text(threat),
            target=target,
            predicted_before=before.label,
            predicted=after.label,
            probability_before=before.probability,
            probability=after.probability,
            snr_db=difference.snr_db,
            file_snr_db=difference.file_snr_db,
            peak=difference.peak or 0.0,
            zimtohrli_mos=difference.zimtohrli_mos,
            queries=oracle.queries[0],
            gradients=oracle.gradients[0],
            judgements=search.judgements,
            seconds=round(oracle.seconds, 3),
            margin=float(oracle.best_margin[0]),
            twin_gap=search.gap([clean] if judged is None else [clean, torch.from_numpy(judged.wave)[None]]),
            control=noise,
            attack=_name_of(method),
            knobs=knobs_of(method),
            limit=_limit_text(threat),
            budget=asdict(threat.budget),
            seed=seed,
            repeatable=not oracle.out_of_time,
            file=None if final is None else str(final),
            file_sha256=None if final is None else digest,
            clip=_clip_record(clip),
            victim=_victim_record(victim),
            already=already,
            warnings=tuple(dict.fromkeys(notes)),
            advice=None if won else _advice(method, threat, victim, oracle, after),
            history=tuple(asdict(step) for step in oracle.history[0]),
            versions=_versions(),
            command=command,
        )
        if final is not None and judged is not None:
            _publish(judged.file, final, outcome)
    return outcome


@dataclass(frozen=True)
class _Judged:
    clip: Clip
    file: Path
    wave: NDArray[np.float32]
    verdict: Verdict


class _Search:
    """One clip's search: the oracle, and the judge that sends it back."""

    def __init__(
        self,
        clip: Clip,
        victim: Victim,
        threat: Threat,
        method: Attack,
        clean: Tensor,
        focus: int,
        seed: int,
        progress: Callable[[Oracle], None] | None,
    ) -> None:
        self.clip, self.victim, self.threat, self.method = clip, victim, threat, method
        self.clean, self.focus, self.seed = clean, focus, seed
        self.judgements = 0
        self.on = victim.twin if victim.twin is not None else victim
        same_rate = clip.sample_rate == victim.sample_rate
        bits = BITS.get(clip.container().subtype) if same_rate else None
        grid = 0.0 if bits is None or bits > 24 else 2.0 ** (1 - bits) / clip.channels
        cutoff = None if same_rate else 0.9 * min(clip.sample_rate, victim.sample_rate) / 2
        self.oracle = Oracle(
            self.on,
            threat,
            clean,
            torch.tensor([focus]),
            grid=[grid],
            cutoff_hz=cutoff,
            seeks="margin" if isinstance(threat.goal, Maximise) else method.seeks,
            progress=progress,
        )

    def run(self, folder: Path, keep_container: bool, notes: list[str]) -> _Judged | None:
        """Search and judge until a file wins, or the budget or the rounds end; give the last file judged."""
        oracle, row = self.oracle, 0
        needed = self._first_margin()
        oracle.needed[row] = needed
        start, judged = oracle.start[row], None
        for round_ in range(ROUNDS):
            spent = False
            try:
                self.method(oracle, self.clean, dice(f"{self.seed}/{round_}/{self.clip.fingerprint}", 1))
            except BudgetSpent:
                spent = True
            if not bool(oracle.won[row]):
                break
            judged = self.judge(oracle.best[row : row + 1], folder, keep_container, notes)
            if judged.verdict.reached or spent:
                break
            with torch.no_grad():
                answer = answer_for(self.threat.goal, self.on, torch.from_numpy(judged.wave)[None])
            if answer is None:
                break
            margin = float(self.threat.goal.margin(answer, torch.tensor([self.focus]))[0])
            needed = max(2 * needed, needed + 1.5 * (float(oracle.best_margin[row]) - margin))
            start = oracle.best[row].clone()
            if not bool(oracle.open().any()):
                break
            notes.append("a win died in the written file: the search went on with a wider margin")
            oracle.raise_bar(row, needed, start)
        return judged

    def judge(self, delta: Tensor, folder: Path, keep_container: bool, notes: list[str]) -> _Judged:
        """Write the file, read it back as the victim's users do, ask the true victim once."""
        self.judgements += 1
        changed = self.clip.add(delta[0].cpu().numpy(), self.victim.sample_rate)
        notes.extend(note for note in changed.warnings if note not in notes)
        name = f"{self.judgements}{self.clip.output_suffix(keep_container)}"
        file = changed.write(folder / name, keep_container=keep_container, announce=notes.append)
        wave = hear(file, self.victim.sample_rate)
        verdict = _ask(self.victim, self.threat, torch.from_numpy(wave)[None], self.focus)
        return _Judged(Clip.read(file, max_seconds=math.inf), file, wave, verdict)

    def gap(self, waves: list[Tensor]) -> float | None:
        """Give the largest difference between the twin's scores and the victim's."""
        twin = self.victim.twin
        if twin is None or self.victim.gives < Gives.SCORES or twin.kind != self.victim.kind:
            return None
        with torch.no_grad():
            return max(float((twin.scores(wave) - self.victim.scores(wave)).abs().max()) for wave in waves)

    def _first_margin(self) -> float:
        with torch.no_grad():
            answer = answer_for(self.threat.goal, self.on, self.clean)
        if answer is None:
            raise AttackError(
                f"the goal {self.threat.goal.name} needs probabilities, and the victim {self.victim.name} has none; "
                "use the goal targeted"
            )
        if self.threat.goal.asks == "probabilities":
            return 0.01
        return 0.0025 * float(answer.double().std())


def _check_fit(method: Attack, victim: Victim, threat: Threat) -> None:
    name = _name_of(method)
    on = victim.twin if victim.twin is not None else victim
    if on.gives < method.needs:
        why = getattr(victim, "no_twin", None)
        because = f" ({why})" if why else ""
        raise AttackError(
            f"the attack {name} needs {method.needs.name.lower()}, and the victim {victim.name} gives "
            f"{on.gives.name.lower()} only{because}; try an attack that needs less, such as noise"
        )
    if name == "pgd" and isinstance(threat.limit, Unlimited):
        raise AttackError("pgd looks for the largest margin inside a limit, and there is none; add --limit snr=40")


def _heard(clip: Clip, rate: int, notes: list[str]) -> NDArray[np.float32]:
    top = float(np.max(np.abs(clip.samples), initial=0.0))
    if clip.is_silent or top == 0:
        raise ClipError(f"{clip.name} is digital silence: every sample is zero, so no change is quiet beside it")
    if top < QUIET:
        raise ClipError(
            f"{clip.name} is near-silent: its peak is {20 * math.log10(top):.0f} dB of full scale, and {QUIET:g} "
            f"({20 * math.log10(QUIET):.0f} dB) or more was expected; raise its level first"
        )
    wave = clip.mono(rate)
    if not np.any(wave):
        raise ClipError(f"{clip.name}: its channels cancel, so the mono fold that the victim hears is silence")
    if clip.channels > 1:
        notes.append(f"the victim hears the mean of {clip.channels} channels")
    if clip.sample_rate != rate:
        notes.append(f"the victim hears {clip.sample_rate} Hz resampled to {rate} Hz")
    return wave


def _ask(victim: Victim, threat: Threat, wave: Tensor, focus: int) -> Verdict:
    index = victim.decide(wave)
    if not 0 <= int(index[0]) < len(victim.labels):
        raise VictimError(f"the victim answered class {int(index[0])}; it has {len(victim.labels)} labels")
    with torch.no_grad():
        probabilities = victim.probabilities(wave)
    reached = threat.goal.reached(index, probabilities, torch.tensor([focus]))
    return Verdict(
        int(index[0]),
        victim.labels[int(index[0])],
        None if probabilities is None else float(probabilities[0, focus]),
        probabilities,
        bool(reached[0]),
    )


def _place(clip: Clip, target: str | None, out: str | Path | None, force: bool, keep_container: bool) -> Path:
    """Say where the result goes, and refuse what cannot be before any work is done."""
    suffix = clip.output_suffix(keep_container)
    stem = clip.path.stem if clip.path is not None else clip.name
    name = f"{stem}-to-{target or 'other'}{suffix}"
    where = Path.cwd() / name if out is None else Path(out)
    if out is not None and (where.is_dir() or str(out).endswith(("/", os.sep))):
        where = where / name
    if where.suffix.lower() != suffix.lower():
        where = where.with_name(where.name + suffix)
    check_target(where, clip.path, force)
    try:
        where.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=where.parent):
            pass
    except OSError as error:
        raise OutputError(
            f"{where.parent} cannot be written: {error.strerror or error}. Choose another place with --out."
        ) from None
    return where


def _publish(judged: Path, final: Path, outcome: Outcome) -> None:
    """Move the judged file and its record into place, the record first, so that no sound stands without one."""
    record = outcome.write(outcome_path(final))
    try:
        os.replace(judged, final)
    except OSError as error:
        record.unlink(missing_ok=True)
        raise OutputError(f"{final} cannot be written: {error.strerror or error}. Choose another place.") from None


def _control(
    clip: Clip,
    victim: Victim,
    threat: Threat,
    judged: _Judged | None,
    wave: NDArray[np.float32],
    focus: int,
    seed: int,
    draws: int,
) -> dict[str, Any]:
    """Ask the true victim about noise as loud and of the same spectrum, and about white noise, rising."""
    assert judged is not None
    die = dice(f"control/{seed}/{clip.fingerprint}", 1)[0]
    clean, rate = torch.from_numpy(wave), victim.sample_rate
    change = torch.from_numpy(judged.wave) - clean
    queries = 0

    def wins(noise: Tensor) -> bool:
        nonlocal queries
        queries += 1
        noisy = clip.add(noise.numpy(), rate).mono(rate)
        return _ask(victim, threat, torch.from_numpy(noisy)[None], focus).reached

    hits = sum(wins(same_spectrum(change, die)) for _ in range(draws))
    level: float | None = None
    for db in levels_db(70, 0, 2):
        noise = white(clean, die)
        if wins(noise / noise.norm() * clean.norm() * 10 ** (-db / 20)):
            level = float(db)
            break
    return {
        "same_level_and_spectrum": {"hits": hits, "draws": draws},
        "white_noise_snr_db": level,
        "queries": queries,
    }


def _goal_text(threat: Threat) -> str:
    p = getattr(threat.goal, "p", None)
    return threat.goal.name if p is None else f"{threat.goal.name}={p:g}"


def _limit_text(threat: Threat) -> str:
    value = getattr(threat.limit, "snr_db", None) or getattr(threat.limit, "peak", None)
    return threat.limit.name if value is None else f"{threat.limit.name}={value:g}"


def _name_of(method: Attack) -> str:
    return type(method).__name__.lower()


def _clip_record(clip: Clip) -> dict[str, Any]:
    path = clip.path
    return {
        "name": clip.name,
        "label": clip.label,
        "path": None if path is None else str(path),
        "sha256": None if path is None else hashlib.sha256(path.read_bytes()).hexdigest(),
        "fingerprint": clip.fingerprint,
        "sample_rate": clip.sample_rate,
        "channels": clip.channels,
        "frames": clip.frames,
        "format": clip.format,
        "subtype": clip.subtype,
    }


def _victim_record(victim: Victim) -> dict[str, Any]:
    return {
        "name": victim.name,
        "fingerprint": victim.fingerprint,
        "card": getattr(victim, "card", None),
        "sample_rate": victim.sample_rate,
        "labels": list(victim.labels),
        "searched_on": "its twin" if victim.twin is not None else "itself",
    }


def _advice(method: Attack, threat: Threat, victim: Victim, oracle: Oracle, after: Verdict) -> str:
    came = f"best margin {float(oracle.best_margin[0]):.3g} (above 0 wins)"
    if after.probability is not None:
        came += f", probability {after.probability:.3f}"
    tries = []
    if threat.limit.name != "none":
        tries.append(f"loosen the limit {_limit_text(threat)}")
    budget = threat.budget
    if any(value is not None for value in asdict(budget).values()):
        tries.append("allow more queries, gradients or seconds")
    if isinstance(method, Quietest):
        tries.append("more climbing (-o climb=600), another --seed")
    elif method.needs > Gives.LABELS or victim.twin is not None:
        tries.append("--attack quietest")
    if threat.goal.name == "confident":
        tries.append("a lower probability")
    tries.append("another target")
    return f"{came}; try: {'; '.join(tries)}"


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for package in ("sonic-subterfuge", "torch", "librosa", "scikit-learn", "numpy", "soundfile", "zimtohrli"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def score(clip: Clip | str | Path, victim: Victim, *, max_seconds: float = 600.0) -> dict[str, Any]:
    """Say what a victim says of one sound: label, probabilities and scores by label, as plain JSON values.

    Raises:
        ClipError: the sound cannot be read.
        VictimError: the victim died or answered nonsense.
    """
    clip = clip if isinstance(clip, Clip) else Clip.read(clip, max_seconds=max_seconds)
    wave = torch.from_numpy(clip.mono(victim.sample_rate))[None]
    with torch.no_grad():
        index = int(victim.decide(wave)[0])
        probabilities = victim.probabilities(wave)
        scores = victim.scores(wave)[0] if victim.gives >= Gives.SCORES else None
    if scores is not None and scores.ndim == 2:
        scores = (scores > 0).sum(1)
    by_label = [
        None if row is None else dict(zip(victim.labels, row.tolist(), strict=True))
        for row in (scores, None if probabilities is None else probabilities[0])
    ]
    kind = None if scores is None else "votes" if victim.kind is Kind.DUELS else str(victim.kind)
    return {
        "clip": clip.name,
        "label": clip.label,
        "predicted": victim.labels[index],
        "probabilities": by_label[1],
        "scores": by_label[0],
        "kind": kind,
        "warnings": list(clip.warnings),
    }
