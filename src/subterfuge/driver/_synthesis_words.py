"""What a search for a sound advises when it is lost."""

from __future__ import annotations

from dataclasses import asdict

from subterfuge.audio import Clip
from subterfuge.driver.judge import Verdict
from subterfuge.driver.record import limit_text
from subterfuge.outcome import Outcome
from subterfuge.threat import Threat


def advice(verdict: Verdict, target: str, threat: Threat, source: Clip | None) -> str:
    return _told(
        verdict.label,
        verdict.probability,
        target,
        [*_more(threat), "another --seed", "--level", "--from a clip" if source is None else "--from noise"],
    )


def advice_near(made: Outcome, threat: Threat) -> str:
    limit = f"a looser --limit than {limit_text(threat)}"
    ways = [limit, *_more(threat), "another --seed", "another --target"]
    return _told(made.predicted, made.probability, str(made.target), ways)


def _more(threat: Threat) -> list[str]:
    return ["a larger budget"] if any(value is not None for value in asdict(threat.budget).values()) else []


def _told(label: str, probability: float | None, target: str, ways: list[str]) -> str:
    came = "" if probability is None else f", and gives {target} a probability of {probability:.3f}"
    return f"the victim says {label} of the best sound{came}; try: {', '.join(ways)}"
