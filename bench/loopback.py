"""One black-box attack three times: in process, over loopback, and over a loopback that fails a share of the questions.

The same model answers each time, with 32-bit sounds, so all three should be one attack: the same queries and file.
A table says so, or does not, with what was paid and what a query took.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(name, "1")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--card", type=Path, help="of the model; by default the demo's")
    parser.add_argument("--clip", type=Path, help="a sound; by default the demo's cello")
    parser.add_argument("--target", default="pia")
    parser.add_argument("--attack", default="guided")
    parser.add_argument("--queries", type=int, default=250)
    parser.add_argument("--fault-rate", type=float, default=0.2)
    asked = parser.parse_args()

    from subterfuge.driver import attack
    from subterfuge.serving import Faults, Told, serving
    from subterfuge.threat import Budget, Targeted, Threat
    from subterfuge.training.demo_data import embedded_card, embedded_clips
    from subterfuge.victim import Gives, Kind, Victim
    from subterfuge.victims import load_victim

    model = load_victim(asked.card or embedded_card())
    clip = asked.clip or next(path for path in embedded_clips() if path.name.startswith("[cel]"))

    @dataclass(frozen=True)
    class Asked:
        """The model as a stranger has it: probabilities, one sound at a time."""

        twin: None = None
        gives: Gives = Gives.SCORES
        kind: Kind = Kind.LOG_PROBABILITY
        at_once: int = 1
        answers_most_probable: bool = False
        jumps: bool = True

        def __getattr__(self, key: str) -> Any:
            return getattr(model, key)

        def scores(self, wave: Any) -> Any:
            found = model.probabilities(wave)
            assert found is not None
            return found.double().clamp_min(2.3e-308).log()

    def run(victim: Victim, out: Path) -> tuple[Any, float]:
        began = time.perf_counter()
        threat = Threat(Targeted(asked.target), budget=Budget(queries=asked.queries))
        found = attack(clip, victim, threat, by=asked.attack, out=out, control=0)
        return found, 1000 * (time.perf_counter() - began) / max(1, found.queries)

    rows = []
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        rows.append(("in process", *run(Asked(), place / "a.flac"), None))
        for name, faults in (
            ("loopback", None),
            (f"{asked.fault_rate:.0%} faults", Faults(rate=asked.fault_rate, seed=0, retry_after_seconds=0)),
        ):
            answered: list[Told] = []
            with serving(model, faults=faults, tell=answered.append) as url:
                labels = ", ".join(f'"{label}"' for label in model.labels)
                (place / "served.toml").write_text(
                    f'schema = 1\nkind = "http"\nsample_rate = {model.sample_rate}\nlabels = [{labels}]\n'
                    f'url = "{url}/score"\nanswer = "probabilities"\noutput = "probabilities"\nlabel = "label"\n'
                    'subtype = "FLOAT"\nretries = 20\nprobe_seconds = 0\n'
                )
                found, ms = run(load_victim(place / "served.toml"), place / f"{len(rows)}.flac")
            rows.append((name, found, ms, sum(one.status == 200 and one.fault is None for one in answered)))
    print(f"{'':12} won  queries  SNR dB              file          paid  cached  retries  answered  ms/query")
    for name, found, ms, answered_well in rows:
        bill = found.service or {"queries": "", "cached": "", "retries": ""}
        print(
            f"{name:12} {'yes' if found.won else 'no':4} {found.queries:7}  {found.snr_db!r:18}  "
            f"{str(found.file_sha256)[:12]}  {bill['queries']:>4}  {bill['cached']:>6}  {bill['retries']:>7}  "
            f"{'' if answered_well is None else answered_well:>8}  {ms:8.1f}"
        )


if __name__ == "__main__":
    main()
