"""What a page says of one search of one clip: a line for the list, and all the rest for who opens it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from subterfuge.campaign.rows import Row
from subterfuge.campaign.words import counted
from subterfuge.hearing.metrics import METRICS
from subterfuge.report._audit_command import repeat_of
from subterfuge.report._audit_parts import mapping, number, percent, real, sequence

MOST_POINTS = 120
"""Of a line of a chart."""
MOST_BARS = 24
"""Classes in a bar chart: those that either answer gives most."""
DIGITS = {"peak": 5, "changed_share": 3, "level_difference_lu": 2, "zimtohrli_distance": 4}
DIGITS |= {"zimtohrli_mos": 2, "visqol_mos": 2, "share_above_threshold": 4, "share_above_threshold_channels": 4}


def state_of(row: Row) -> str:
    """Say in a word what came of a search: won, already, lost, failed or left."""
    if row.outcome is None:
        return "left" if row.state == "done" else row.state
    if row.outcome.get("already"):
        return "already"
    return "won" if row.outcome.get("won") else "lost"


def line_of(place: int, row: Row) -> dict[str, Any]:
    """Say in plain JSON values what the list shows of a search, and by what it is sorted."""
    found = row.outcome or {}
    asked = [real(found.get(kind)) for kind in ("queries", "gradients")]
    won = state_of(row) == "won"
    return {
        "place": place,
        "name": row.job.name,
        "label": row.job.label or "",
        "search": row.job.probe,
        "state": state_of(row),
        "target": row.job.target or found.get("target") or "",
        "from": found.get("predicted_before") or row.job.label or "",
        "to": (found.get("predicted") if found.get("won") else row.job.target or found.get("target")) or "",
        "snr": real(found.get("snr_db")) if won else None,
        "nmr": real(found.get("nmr_db")) if won else None,
        "mos": real(found.get("zimtohrli_mos")) if won else None,
        "queries": int(sum(one or 0 for one in asked)) if found else None,
    }


def item_of(row: Row, setting: Mapping[str, Any]) -> dict[str, Any]:
    """Say in plain JSON values all of a search but its sounds and pictures; the setting is its audit's."""
    found = row.outcome or {}
    command, otherwise = repeat_of(row, setting)
    return {
        "says": _sentences(row),
        "bars": bars_of(row),
        "charts": charts_of(found),
        "metrics": metrics_of(found),
        "spent": spent_of(found),
        "survival": survival_of(mapping(row.result.get("survival"))),
        "warnings": [str(one) for one in sequence(found.get("warnings"))],
        "command": command,
        "otherwise": otherwise,
        "listen": None,
        "notes": [],
    }


def _sentences(row: Row) -> list[str]:
    found = row.outcome
    if found is None:
        return [f"This search failed: {row.error}" if row.error else "This search was not done."]
    target, before, after = found.get("target"), found.get("predicted_before"), found.get("predicted")
    about = target or before
    chances = [real(found.get(key)) for key in ("probability_before", "probability")]
    chance = ""
    if None not in chances:
        chance = f" Its probability of {about}: {_chance(chances[0])} before, {_chance(chances[1])} after."
    if found.get("already"):
        return [f"The victim says {before} of the clip as it comes, so nothing was changed. It counts in no median."]
    if found.get("won"):
        said = [f"The victim says {before} of the clip, and {after} of the changed file.{chance}"]
    else:
        still = "still says" if after == before else "says"
        said = [f"Lost: of the nearest that the search came, the victim {still} {after}.{chance}"]
    if found.get("advice"):
        said.append(f"How far it came, and what to try: {found['advice']}")
    noise = mapping(found.get("control"))
    same = mapping(noise.get("same_level_and_spectrum"))
    if same.get("draws"):
        level = real(noise.get("white_noise_snr_db"))
        alone = "never does" if level is None else f"does at {number(level, 0)} dB SNR"
        said.append(
            f"Noise of the same level and spectrum does the same in {same.get('hits')} of "
            f"{counted(int(same['draws']), 'draw')}; white noise {alone}."
        )
    return said


def _chance(value: float | None) -> str:
    return "under 0.001" if value is not None and 0 < value < 0.0005 else number(value, 3)


def bars_of(row: Row) -> dict[str, Any] | None:
    """Give what the victim says of all classes before and after: probabilities, else scores, else those on record."""
    for kind in ("probabilities", "scores"):
        pair = [mapping(row.result.get(f"{kind}{when}")) for when in ("_before", "")]
        if pair[0]:
            labels = [str(label) for label in pair[0]]
            values = [[real(one.get(label)) for label in labels] for one in pair]
            ranked = sorted(range(len(labels)), key=lambda i: -max(values[0][i] or 0, values[1][i] or 0))
            kept = sorted(ranked[:MOST_BARS])
            return {
                "kind": kind,
                "labels": [labels[i] for i in kept],
                "before": [values[0][i] for i in kept],
                "after": [values[1][i] for i in kept],
                "left_out": len(labels) - len(kept),
            }
    found = row.outcome or {}
    chances = [real(found.get(key)) for key in ("probability_before", "probability")]
    if None in chances:
        return None
    about = str(found.get("target") or found.get("predicted_before"))
    return {"kind": "probabilities", "labels": [about], "before": chances[:1], "after": chances[1:], "left_out": None}


def metrics_of(outcome: Mapping[str, Any]) -> list[list[str]]:
    """Give rows of measure, value, unit, what is good."""
    if not outcome:
        return []
    rows = []
    for key, metric in METRICS.items():
        value = real(outcome.get(key))
        if value is not None:
            rows.append([metric.title, number(value, DIGITS.get(key, 1)), metric.unit, metric.good])
    return rows


def spent_of(outcome: Mapping[str, Any]) -> list[list[str]]:
    """Give rows of what a search took: what, value, unit."""
    kinds = (
        ("queries", "queries", 0, "sounds that the search asked about"),
        ("gradients", "gradients", 0, "backward passes"),
        ("judgements", "judgements", 0, "written files that the true victim judged"),
        ("seconds", "time", 1, "s"),
        ("margin", "margin reached", 4, "of scores; above 0 wins"),
    )
    return [
        [title, number(value, digits), unit]
        for key, title, digits, unit in kinds
        if (value := real(outcome.get(key))) is not None
    ]


def survival_of(survival: Mapping[str, Any]) -> dict[str, Any] | None:
    """Give what survives: a sentence, and rows of transform, came through, answer, its probability, clean answer."""
    trials = [mapping(one) for one in sequence(survival.get("trials"))]
    if not trials:
        return None
    rows = []
    for one in trials:
        if one.get("why_not"):
            rows.append([str(one.get("transform")), "not tried", str(one["why_not"]), "", ""])
            continue
        through = "tells nothing" if one.get("alone") else "yes" if one.get("reached") else "no"
        heard = [str(one.get("answer") or "–"), number(one.get("probability"), 2), str(one.get("clean_answer") or "–")]
        rows.append([str(one.get("transform")), through, *heard])
    share = percent(survival.get("share"))
    return {"says": f"Survives {survival.get('survived')} of {survival.get('telling')} ({share}).", "rows": rows}


def charts_of(outcome: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Give the story of a search as line charts: titles, and lines of points."""
    history = [mapping(step) for step in sequence(outcome.get("history"))]
    spent = [sum(real(step.get(kind)) or 0 for kind in ("queries", "gradients")) for step in history]
    quiet = [real(step.get("snr_db")) if (real(step.get("margin")) or 0) > 0 else None for step in history]
    if not any(value is not None for value in quiet):
        quiet = []
    asked = "queries and gradients"
    charts = [
        _chart("Quietest win so far", asked, "SNR, dB", {"SNR": (spent, _best(quiet))}),
        _chart(
            "Margin at each step on record",
            asked,
            "margin, above 0 wins",
            {"margin": (spent, [real(step.get("margin")) for step in history])},
            zero=True,
        ),
    ]
    findings = mapping(outcome.get("findings"))
    bred = [mapping(one) for one in sequence(findings.get("generations"))]
    queries = [real(one.get("queries")) for one in bred]
    for title, unit, keys in (
        ("Fitness of a generation", "", ("best", "mean")),
        ("Margin of a generation", "margin, above 0 wins", ("best_margin", "mean_margin")),
        ("Quietest win of the population", "SNR, dB", ("quietest_win_db",)),
        ("Diversity", "mean distance of the genomes", ("diversity",)),
    ):
        kinds = dict.fromkeys(str(one.get("measure") or "") for one in bred) or {"": None}
        for kind in kinds:
            here = [i for i, one in enumerate(bred) if str(one.get("measure") or "") == kind]
            x = [queries[i] for i in here]
            lines = {key.split("_")[0]: (x, [real(bred[i].get(key)) for i in here]) for key in keys}
            said = unit or {"": "target's probability", "hill": "height of the goal"}.get(kind, "SNR of a win, dB")
            charts.append(_chart(title, "queries", said, lines, zero="margin" in said))
    steps = [mapping(one) for one in sequence(findings.get("steps"))]
    walk = ([real(one.get("queries")) for one in steps], [real(one.get("snr_db")) for one in steps])
    charts.append(_chart("Along the border of the answers", "queries", "SNR, dB", {"SNR": walk}))
    front = [mapping(one) for one in sequence(findings.get("front"))]
    ends = ([real(one.get("snr_db")) for one in front], [real(one.get("margin")) for one in front])
    charts.append(
        _chart("The front: quiet against sure", "SNR, dB", "margin, above 0 wins", {"front": ends}, zero=True)
    )
    return [chart for chart in charts if chart]


def _best(values: Sequence[float | None]) -> list[float | None]:
    best: float | None = None
    told = []
    for value in values:
        best = value if best is None else best if value is None else max(best, value)
        told.append(best)
    return told


Line = tuple[Sequence[float | None], Sequence[float | None]]


def _chart(title: str, x: str, y: str, lines: Mapping[str, Line], *, zero: bool = False) -> dict[str, Any] | None:
    """Give a chart, or None of lines that have no two points."""
    told = []
    for name, (across, up) in lines.items():
        points = [(a, b) for a, b in zip(across, up, strict=False) if a is not None and b is not None]
        stride = -(-len(points) // MOST_POINTS) or 1
        kept = points[::stride] + (points[-1:] if len(points) % stride != 1 and stride > 1 else [])
        if len(points) > 1:
            told.append({"name": name, "points": [[round(a, 1), float(f"{b:.5g}")] for a, b in kept]})
    return {"title": title, "x": x, "y": y, "zero": zero, "lines": told} if told else None
