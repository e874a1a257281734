"""Attacks a minute of processor time, one after another and several at once, white box, on one thread.

The same clips are attacked each way, in both orders by turns, so that what else the machine does meets all alike. What
counts is the processor's time, without the judge's noise controls. Verdicts and decibels stand beside. With `--waits`
each call of what is searched on takes so many milliseconds more, however many sounds it is asked about, as on a device
or of a service, and what counts is the time by the clock.
"""

from __future__ import annotations

import argparse
import math
import os
import resource
import tempfile
import time
from pathlib import Path
from typing import Any, cast

for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(name, "1")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--card", type=Path, help="of the victim; by default the demo's")
    parser.add_argument("--clips", type=Path, nargs="*", help="sounds of one length; by default the demo's")
    parser.add_argument("--target", default="pia")
    parser.add_argument("--attacks", type=int, default=8, help="clips of each round")
    parser.add_argument("--most", type=int, nargs="+", default=[2, 4, 8], help="attacks at once")
    parser.add_argument("--rounds", type=int, default=2, help="each in the other order")
    parser.add_argument("--race", type=int, nargs=3, default=[30, 60, 150], help="steps of the walks")
    parser.add_argument("--waits", type=float, default=0.0, help="ms that each call of the victim takes besides")
    asked = parser.parse_args()

    import torch

    from subterfuge.attacks import Quietest
    from subterfuge.audio import Clip
    from subterfuge.driver import attack
    from subterfuge.driver._joined import Lent, Method
    from subterfuge.driver.together import attack_together
    from subterfuge.outcome import Outcome
    from subterfuge.threat import Targeted, Threat
    from subterfuge.training.demo_data import embedded_card, embedded_clips
    from subterfuge.victim import Victim
    from subterfuge.victims import load_victim

    torch.set_num_threads(1)
    victim = load_victim(asked.card or embedded_card())

    def slowly(victim: Victim, method: Method, wave: torch.Tensor) -> Any:
        time.sleep(asked.waits / 1000)
        return getattr(victim, method)(wave)

    on = cast(Victim, Lent(victim.twin or victim, slowly)) if asked.waits else None
    clock = time.monotonic if asked.waits else time.process_time
    by = Quietest(starts=(math.inf, 46.0, 46.0), even=1, race=tuple(asked.race), keep=(2, 1))
    threat = Threat(Targeted(asked.target))
    clips = [Clip.read(path) for path in asked.clips or embedded_clips()]
    clips = [clip for clip in clips if clip.label != asked.target]
    spent: dict[int, float] = dict.fromkeys([1, *asked.most], 0.0)
    found: dict[int, list[Any]] = {count: [] for count in spent}

    def attacks(count: int, some: list[Clip]) -> None:
        with tempfile.TemporaryDirectory() as folder:
            began = clock()
            made: list[Any]
            if count == 1:
                made = [attack(c, victim, threat, by=by, on=on, control=0, out=f"{folder}/{c.name}.flac") for c in some]
            else:
                made = attack_together(some, victim, threat, by=by, on=on, control=0, out=folder, most=count)
            spent[count] += clock() - began
        found[count] += made

    with tempfile.TemporaryDirectory() as folder:  # imports and tables, before anything is measured
        attack(clips[0], victim, threat, by=Quietest(race=(1,), keep=(), resort=0), out=f"{folder}/", control=0)
    for round_ in range(asked.rounds):
        some = [clips[(round_ * asked.attacks + place) % len(clips)] for place in range(asked.attacks)]
        for count in list(spent)[:: 1 if round_ % 2 == 0 else -1]:
            attacks(count, some)

    total = asked.rounds * asked.attacks
    print(f"{victim.name}, {total} attacks each way, {clips[0].seconds:.1f} s of sound, one thread")
    for count, seconds in spent.items():
        pairs = [(one, two) for one, two in zip(found[1], found[count], strict=True) if isinstance(two, Outcome)]
        won = [one.snr_db - two.snr_db for one, two in pairs if one.won and two.won]
        same = sum(one.won == two.won and one.predicted == two.predicted for one, two in pairs)
        passes = sum(two.gradients for _, two in pairs)
        apart = max(map(abs, won), default=math.nan)
        print(
            f"{count} at once: {seconds / total:6.2f} s an attack, {60 * total / seconds:6.1f} attacks a "
            f"minute, {spent[1] / seconds:5.2f} times as many as alone; {1000 * seconds / passes:.2f} ms a gradient; "
            f"verdicts the same {same} of {total}, SNR apart {apart:.3f} dB at most"
        )
    print(f"most memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")


if __name__ == "__main__":
    main()
