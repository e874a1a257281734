"""Programs as victims: really run, and really misbehaving."""

from __future__ import annotations

import inspect
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from subterfuge.driver import score
from subterfuge.errors import CardError, VictimError
from subterfuge.victim import Gives, Kind
from subterfuge.victims import check_victim, load_victim
from subterfuge.victims.command import CommandVictim, named_files, running
from subterfuge.victims.command.running import run

pytestmark = pytest.mark.skipif(os.name != "posix", reason="the programs of these tests are written for POSIX")

PYTHON = [sys.executable, "-I", "-S"]
READS = """
import json, struct, sys
def samples(path):
    raw = open(path, "rb").read()
    at, bits = 12, 0
    while raw[at:at + 4] != b"data":
        if raw[at:at + 4] == b"fmt ":
            code, channels, rate, _, _, bits = struct.unpack("<HHIIHH", raw[at + 8:at + 24])
            assert channels == 1 and rate == 8000, (channels, rate)
        at += 8 + struct.unpack("<I", raw[at + 4:at + 8])[0]
    data = raw[at + 8:]
    if bits == 16:
        return [one / 32768 for one in struct.unpack(f"<{len(data) // 2}h", data)]
    return struct.unpack(f"<{len(data) // 4}f", data)
def scores(path):
    wave = samples(path)
    return [max(wave), min(wave), wave[1]]
"""


def card(folder: Path, command: list[str], *, code: str = "", **keys: Any) -> Path:
    (folder / "classify.py").write_text(READS + code)
    rest = "".join(f"{key} = {json.dumps(value)}\n" for key, value in {"labels": ["a", "b", "c"], **keys}.items())
    path = folder / "card.toml"
    path.write_text(f'schema = 1\nkind = "command"\nsample_rate = 8000\ncommand = {json.dumps(command)}\n{rest}')
    return path


def python(folder: Path, code: str, *words: str, **keys: Any) -> Path:
    return card(folder, [*PYTHON, "classify.py", *(words or ("{wav}",))], code=code, **keys)


def shell(folder: Path, line: str, **keys: Any) -> Path:
    return card(folder, ["/bin/sh", "-c", line, "sh", "{wav}"], **keys)


def after(folder: Path, line: str, **keys: Any) -> CommandVictim:
    """Give a victim that answers the noise of its loading, and then does what a line says."""
    first = '[ -e asked ] || { touch asked; echo "[1, 2, 3]"; exit; }; '
    victim = load_victim(shell(folder, first + line, **keys))
    assert isinstance(victim, CommandVictim)
    return victim


def waves(rows: int = 2, length: int = 400) -> torch.Tensor:
    die = np.random.default_rng(0)
    return torch.from_numpy(np.round(die.uniform(-0.9, 0.9, (rows, length)) * 32768) / 32768).float()


def truth(wave: torch.Tensor) -> torch.Tensor:
    return torch.stack([wave.amax(-1), wave.amin(-1), wave[:, 1]], -1).double()


def refused(victim: CommandVictim, *words: str) -> str:
    with pytest.raises(VictimError) as caught:
        victim.scores(waves(1)) if victim.gives == Gives.SCORES else victim.decide(waves(1))
    assert all(word in str(caught.value) for word in words), caught.value
    assert len(str(caught.value)) < 800
    assert no_folders()
    return str(caught.value)


def no_folders() -> bool:
    return not list(Path(tempfile.gettempdir()).glob("subterfuge-command-*"))


@pytest.fixture(autouse=True)
def own_tmp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))


@pytest.mark.parametrize(
    ("code", "keys"),
    [
        ("print(json.dumps(scores(sys.argv[1])))", {}),
        ("print('loading...'); print(json.dumps(scores(sys.argv[1])))", {}),
        (
            "print(json.dumps({'r': [dict(zip('bca', [scores(sys.argv[1])[k] for k in (1, 2, 0)]))]}))",
            {"answer": "r[0]"},
        ),
        ("print(json.dumps(scores(sys.argv[1][6:])))", {"words": ["--wav={wav}"]}),
        ("print(json.dumps([scores(p) for p in sys.argv[1:]], indent=1))", {"words": ["{wavs}"]}),
        ("[print(json.dumps({'s': scores(p)})) for p in sys.argv[1:]]", {"words": ["{wavs}"], "answer": "s"}),
        ("print(json.dumps(scores(sys.argv[1])))", {"workers": 2}),
        ("print(json.dumps(scores(sys.argv[1])))", {"subtype": "FLOAT"}),
    ],
)
def test_whatever_it_prints_the_numbers_are_those_of_the_sound_to_the_last_bit(
    code: str, keys: dict[str, Any], tmp_path: Path
) -> None:
    words = keys.pop("words", ["{wav}"])
    victim = load_victim(python(tmp_path, code, *words, **keys))
    wave = waves(3)
    if keys.get("subtype") == "FLOAT":
        wave = wave * 1.7
    assert torch.equal(victim.scores(wave), truth(wave))
    assert torch.equal(victim.decide(wave), truth(wave).argmax(-1))
    assert torch.equal(victim.scores(wave[:1]), truth(wave[:1])), "one alone too"
    assert (victim.gives, victim.kind, victim.probabilities(wave)) == (Gives.SCORES, Kind.DECISION, None)
    assert no_folders()


def test_the_score_command_hears_what_the_program_says_of_the_file(tmp_path: Path) -> None:
    victim = load_victim(python(tmp_path, "print(json.dumps(scores(sys.argv[1])))"))
    wave = waves(1)[0]
    soundfile.write(tmp_path / "a.wav", wave.numpy(), 8000, subtype="PCM_16")
    said = score(tmp_path / "a.wav", victim)
    assert list(said["scores"].values()) == truth(wave[None])[0].tolist()


def test_probabilities_and_labels_are_what_the_card_says_they_are(tmp_path: Path) -> None:
    for name in ("p", "l"):
        (tmp_path / name).mkdir()
    victim = load_victim(shell(tmp_path / "p", "echo '[0.2, 0.3, 0.5]'", output="probabilities"))
    expected = torch.tensor([[0.2, 0.3, 0.5]], dtype=torch.float64)
    assert torch.equal(victim.probabilities(waves(1)), expected)
    assert torch.equal(victim.scores(waves(1)), expected.log())
    only = load_victim(shell(tmp_path / "l", """echo '{"best": "b"}'""", gives="labels", answer="best"))
    assert (only.gives, only.decide(waves(2)).tolist(), only.probabilities(waves(1))) == (Gives.LABELS, [1, 1], None)
    with pytest.raises(VictimError, match="gives labels only"):
        only.scores(waves(1))


def test_no_shell_reads_the_words_and_the_program_runs_in_the_cards_folder(tmp_path: Path) -> None:
    code = "import os; assert sys.argv[2:] == ['$HOME; *', ''] and os.path.isfile('card.toml'); print('[1, 2, 3]')"
    load_victim(python(tmp_path, code, "{wav}", "$HOME; *", ""))


def test_a_program_beside_the_card_is_named_with_a_slash(tmp_path: Path) -> None:
    program = tmp_path / "classify"
    program.write_text("#!/bin/sh\necho '[1, 2, 3]'\n")
    path = card(tmp_path, ["./classify", "{wav}"])
    with pytest.raises(CardError, match="may not be run; try chmod"):
        load_victim(path)
    program.chmod(0o755)
    first = load_victim(path).fingerprint
    assert load_victim(path).fingerprint == first
    program.write_text("#!/bin/sh\necho '[1, 2, 4]'\n")
    assert load_victim(path).fingerprint != first, "the program lies beside the card"
    with pytest.raises(CardError, match=r'beside the card it would be "./classify"'):
        load_victim(card(tmp_path, ["classify", "{wav}"]))


def test_the_fingerprint_covers_words_files_and_what_is_read(tmp_path: Path) -> None:
    def fingerprint(code: str = "", *words: str, **keys: Any) -> str:
        place = Path(tempfile.mkdtemp(dir=tmp_path))
        return load_victim(python(place, f"print('[0.5, 0.25, 0.25]'){code}", *words, **keys)).fingerprint

    same = fingerprint()
    assert fingerprint() == fingerprint(timeout_seconds=5.0, workers=2) == same
    others = [
        fingerprint("; 1"),
        fingerprint("", "{wav}", "-x"),
        fingerprint(labels=["a", "b", "d"]),
        fingerprint(output="probabilities"),
        fingerprint(subtype="FLOAT"),
        fingerprint(answer="$"),
    ]
    assert len({same, *others}) == 7


@pytest.mark.parametrize(
    ("command", "keys", "says"),
    [
        ([], {}, "command is empty"),
        ([""], {}, "command is empty"),
        (["python", 3, "{wav}"], {}, "entry 2 of command is 3"),
        (["sh", "a\0b", "{wav}"], {}, "command holds 'a\\x00b'"),
        (["python classify.py {wav}"], {}, "is one word; no shell"),
        (["python", "classify.py"], {}, 'no word with "{wav}"'),
        (["python", "{wavs}", "{wav}"], {}, 'holds "{wavs}"'),
        (["python", "--in={wavs}"], {}, 'holds "{wavs}"'),
        (["{wav}", "x"], {}, "the program must come first"),
        (["no-such-program", "{wav}"], {}, "no program no-such-program where the system looks"),
        (["./none", "{wav}"], {}, "there is no file"),
        (["./tmp", "{wav}"], {}, "that is a folder"),
        (["sh", "{wav}"], {"gives": "score"}, 'gives = "score"; did you mean scores'),
        (["sh", "{wav}"], {"output": "odds"}, 'output = "odds"'),
        (["sh", "{wav}"], {"output": "logits", "gives": "labels"}, "output has no meaning"),
        (["sh", "{wav}"], {"subtype": "PCM_8"}, 'subtype = "PCM_8"'),
        (["sh", "{wav}"], {"answer": "a..b"}, "answer: 'a..b' cannot be read at '..b'"),
        (["sh", "{wav}"], {"timeout_seconds": 0}, "timeout_seconds = 0"),
        (["sh", "{wav}"], {"workers": 0}, "workers = 0"),
        (["sh", "{wavs}"], {"workers": 2}, 'workers = 2 has no meaning with "{wavs}"'),
        (["sh", "{wav}"], {"probe_seconds": 0}, "probe_seconds = 0"),
    ],
)
def test_a_card_that_makes_no_sense_is_refused_before_anything_is_run(
    command: list[Any], keys: dict[str, Any], says: str, tmp_path: Path
) -> None:
    with pytest.raises(CardError) as caught:
        load_victim(card(tmp_path, command, **keys))
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("echo '[0.5, 0.5, 0.5]'", 'output = "probabilities"'),
        ("echo 'no module named x' >&2; exit 3", "ended with exit code 3; it said: no module named x"),
    ],
)
def test_what_fails_on_noise_is_told_when_the_card_is_loaded(line: str, says: str, tmp_path: Path) -> None:
    with pytest.raises(CardError) as caught:
        load_victim(shell(tmp_path, line, output="probabilities"))
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("printf '%400s' | tr ' ' x >&2; echo the end >&2; exit 7", ["exit code 7", "; it said: ...xxx", "xthe end"]),
        ("exit 1", ["exit code 1", "it said nothing"]),
        ("kill -SEGV $$", ["was killed by SIGSEGV"]),
        ("true", ["answered nothing", "JSON was expected"]),
        ("echo '<html>oops</html>'; echo trouble >&2", ["<html>oops", "a web page", "it said: trouble"]),
        ("echo '[1, 2'", ["JSON was expected"]),
        ("echo '[1, NaN, 3]'", ["NaN", "'b'"]),
        ("echo '[1, 2]'", ["a list of 2 entries", "3 numbers"]),
        ("""echo '{"a": 1, "b": 2, "d": 3}'""", ["lacks 'c' and it has 'd'"]),
        ("yes", ["printed more than 16 MB"]),
    ],
)
def test_a_program_that_goes_wrong_later_is_a_victim_error_in_words(line: str, says: list[str], tmp_path: Path) -> None:
    refused(after(tmp_path, line), "the ", "card ", *says)


def test_a_program_for_several_must_answer_for_each(tmp_path: Path) -> None:
    victim = load_victim(python(tmp_path, "print('[[1, 2, 3]]')", "{wavs}"))
    assert victim.scores(waves(1)).tolist() == [[1, 2, 3]]
    with pytest.raises(VictimError, match=r"answered a list of 1 entry .* about 2 sounds; a list of 2 answers"):
        victim.scores(waves(2))


def test_probabilities_that_the_card_does_not_call_so_are_doubted(tmp_path: Path) -> None:
    (said,) = load_victim(python(tmp_path, "print('[0.5, 0.25, 0.25]')")).warnings
    assert said.endswith('is it output = "probabilities"?')


def test_of_many_sounds_a_program_for_several_is_given_thirty_two_at_once(tmp_path: Path) -> None:
    code = "n = len(sys.argv) - 1; open('asked', 'a').write(f'{n} '); print(json.dumps([[n, 0, 2]] * n))"
    victim = load_victim(python(tmp_path, code, "{wavs}"))
    assert isinstance(victim, CommandVictim)
    assert victim.at_once == 32
    assert victim.scores(waves(40))[:, 0].tolist() == [32.0] * 32 + [8.0] * 8
    assert (tmp_path / "asked").read_text() == "1 32 8 "


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def gone(pids: list[int]) -> bool:
    until = time.monotonic() + 10
    while any(alive(pid) for pid in pids) and time.monotonic() < until:
        time.sleep(0.01)
    return not any(alive(pid) for pid in pids)


def pids_in(path: Path, count: int) -> list[int]:
    until = time.monotonic() + 30
    while not path.exists() or len(path.read_text().split()) < count:
        assert time.monotonic() < until
        time.sleep(0.01)
    return [int(word) for word in path.read_text().split()]


SLEEPS = "echo $$ >> pids; sleep 60 & echo $! >> pids; echo waiting >&2; wait"
needs_proc = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc to see who lives")


@needs_proc
@pytest.mark.parametrize("workers", [1, 2])
def test_a_program_that_hangs_is_killed_with_its_children(workers: int, tmp_path: Path) -> None:
    victim = after(tmp_path, SLEEPS, timeout_seconds=0.3, workers=workers)
    with pytest.raises(VictimError, match=r"did not end within timeout_seconds = 0\.3, and was killed; it said: wait"):
        victim.scores(waves(3))
    assert gone(pids_in(tmp_path / "pids", 2))
    assert no_folders()


@needs_proc
def test_a_child_that_is_left_behind_neither_delays_the_answer_nor_lives_on(tmp_path: Path) -> None:
    victim = after(tmp_path, "sleep 60 & echo $! >> pids; echo '[3, 2, 1]'", timeout_seconds=50.0)
    begun = time.monotonic()
    assert victim.scores(waves(1)).tolist() == [[3, 2, 1]]
    assert time.monotonic() - begun < 30
    assert gone(pids_in(tmp_path / "pids", 1))


def test_a_program_that_closes_its_streams_and_goes_on_is_waited_for(tmp_path: Path) -> None:
    victim = after(tmp_path, "echo '[3, 2, 1]'; exec >&- 2>&-; sleep 0.1; exit 5", timeout_seconds=20.0)
    refused(victim, "exit code 5")


@needs_proc
@pytest.mark.parametrize("workers", [1, 2])
def test_an_interrupt_leaves_no_process_and_no_file(workers: int, tmp_path: Path) -> None:
    victim, pids = after(tmp_path, SLEEPS, workers=workers), tmp_path / "pids"
    main = threading.main_thread().ident
    assert main is not None

    def interrupt() -> None:
        pids_in(pids, 2 * workers)
        signal.pthread_kill(main, signal.SIGINT)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # whoever runs the tests may ignore it
    try:
        ctrl_c = threading.Thread(target=interrupt)
        ctrl_c.start()
        with pytest.raises(KeyboardInterrupt):
            victim.scores(waves(3))
        ctrl_c.join()
    finally:
        signal.signal(signal.SIGINT, before)
    assert gone(pids_in(pids, 2 * workers))
    assert no_folders()


@needs_proc
def test_the_end_of_the_process_ends_what_its_threads_asked(tmp_path: Path) -> None:
    code = (
        "import importlib.util, threading, time\n"
        "from pathlib import Path\n"
        f"spec = importlib.util.spec_from_file_location('it', {inspect.getsourcefile(run)!r})\n"
        "it = importlib.util.module_from_spec(spec); spec.loader.exec_module(it)\n"
        "stop = threading.Event()\n"
        f"job = lambda: it.run(['/bin/sh', '-c', {SLEEPS!r}], Path('.'), 50, stop)\n"
        "threading.Thread(target=it.together, args=([job], 1, stop), daemon=True).start()\n"
        "pids = Path('pids')\n"
        "while not pids.exists() or len(pids.read_text().split()) < 2: time.sleep(0.01)\n"
    )
    begun = time.monotonic()
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, timeout=60)
    assert time.monotonic() - begun < 40, "it did not wait for them"
    assert gone(pids_in(tmp_path / "pids", 2))


def test_the_file_is_wav_of_the_subtype_and_holds_the_very_steps(tmp_path: Path) -> None:
    victim = load_victim(shell(tmp_path, 'cp "$1" kept.wav; echo "[1, 2, 3]"'))
    wave = waves(1, 100)
    victim.decide(wave)
    kept, rate = soundfile.read(tmp_path / "kept.wav", dtype="int16")
    assert (soundfile.info(tmp_path / "kept.wav").subtype, rate) == ("PCM_16", 8000)
    assert kept.tolist() == (wave[0] * 32768).int().tolist()


COUNTS = "open('runs', 'a').write('x'); print(json.dumps([random.random() for _ in range(3)]))"


def runs(folder: Path) -> int:
    return len((folder / "runs").read_text())


def test_all_that_is_asked_of_one_sound_is_of_one_run(tmp_path: Path) -> None:
    code = "import random; " + COUNTS.replace("random.random() for _ in range(3)", "0.2, 0.3, 0.5")
    victim = load_victim(python(tmp_path, code, output="probabilities"))
    first = runs(tmp_path)
    wave = waves(2)
    answers = victim.decide(wave), victim.scores(wave), victim.probabilities(wave)
    assert runs(tmp_path) == first + 2, "one for each sound"
    assert answers[0].tolist() == [2, 2]
    victim.scores(wave[:1])
    assert runs(tmp_path) == first + 3, "another question"


def test_a_random_program_is_judged_on_one_answer_and_is_found_out_when_asked_again(tmp_path: Path) -> None:
    victim = load_victim(python(tmp_path, "import random; " + COUNTS))
    assert isinstance(victim, CommandVictim)
    wave = waves(3)
    assert torch.equal(victim.decide(wave), victim.scores(wave).argmax(-1))
    assert not torch.equal(victim.scores(wave), victim.scores(wave)), "the same asked twice is asked twice"
    assert not torch.equal(victim.scores(wave), victim.afresh().scores(wave))
    levels = {one.name: one.level for one in check_victim(victim).findings}
    assert (levels["determinism"], levels["agreement"]) == ("failure", "ok")


@pytest.mark.parametrize(("line", "hint"), [("flu", True), ("'flu'", True), ("cat", False)])
def test_a_label_that_is_printed_as_it_is_gets_a_hint_to_quote_it(line: str, hint: bool, tmp_path: Path) -> None:
    with pytest.raises(CardError) as caught:
        load_victim(shell(tmp_path, f'echo loading; echo "{line}"', gives="labels", labels=["cel", "flu"]))
    assert ('in JSON a label stands in double quotes: print "flu"' in str(caught.value)) == hint


def test_the_fingerprint_covers_files_after_an_equals_sign_files_elsewhere_and_folders(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    weights, beside, folder = home / "w.pt", tmp_path / "other.py", tmp_path / "model"
    (folder / "deep" / "__pycache__").mkdir(parents=True)
    for place in (weights, beside, folder / "a.bin", folder / "deep" / "b.bin"):
        place.write_text("1")
    words = ["--weights=w.pt", "../other.py", f"--model={folder}"]
    path = card(home, ["/bin/sh", "-c", "echo '[1, 2, 3]'", "sh", "{wav}", *words])

    def fingerprint() -> str:
        victim = load_victim(path)
        assert not victim.warnings
        return victim.fingerprint

    seen = [fingerprint()]
    (folder / "deep" / "__pycache__" / "x.pyc").write_text("made by running it")
    assert fingerprint() == seen[0]
    for place in (weights, beside, folder / "a.bin", folder / "deep" / "b.bin"):
        place.write_text("2")
        seen.append(fingerprint())
    (folder / "a.bin").rename(folder / "c.bin")
    seen.append(fingerprint())
    assert len(set(seen)) == 6


def test_a_folder_that_the_fingerprint_cannot_cover_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(named_files, "MOST_FILES", 1)
    (tmp_path / "many").mkdir()
    for name in "ab":
        (tmp_path / "many" / name).write_text("")
    path = card(tmp_path, ["/bin/sh", "-c", "echo '[1, 2, 3]'", "sh", "{wav}", "many", "--out=."])
    many, own = load_victim(path).warnings
    assert re.search(r"does not cover the folder many, .*more than 1 files", many)
    assert re.search(r"does not cover the folder \., .*the card itself lies in it", own)


@pytest.mark.parametrize("words", [("{wav}",), ("{wavs}",)])
def test_what_programs_answered_before_one_went_wrong_is_known_and_no_program_runs_for_it_again(
    words: tuple[str, ...], tmp_path: Path
) -> None:
    code = """
print(sys.argv[1:], file=open("asked", "a"))
all = [scores(path) for path in sys.argv[1:]]
print(json.dumps([one if one[2] < 0.85 else None for one in all] if len(sys.argv) > 2 else all[0]))
sys.exit(all[0][2] > 0.85)
"""
    many = {} if words == ("{wavs}",) else {"workers": 2}
    victim = load_victim(python(tmp_path, code, *words, **many))
    assert isinstance(victim, CommandVictim)
    wave = waves(7)
    wave[:, 1] = torch.tensor([0.0, 0.125, 0.25, 0.375, 0.875, 0.0, 0.0])
    with pytest.raises(VictimError):
        victim.scores(wave)
    known = victim.answered(wave)
    assert known[:3] == [0, 1, 2]
    assert 4 not in known
    runs = len((tmp_path / "asked").read_text().splitlines())
    for place in known:
        assert torch.equal(victim.scores(wave[place : place + 1]), truth(wave[place : place + 1]))
        assert torch.equal(victim.decide(wave[place : place + 1]), truth(wave[place : place + 1]).argmax(-1))
    assert len((tmp_path / "asked").read_text().splitlines()) == runs
    victim.scores(wave[:1])  # is viewed so a second time
    assert len((tmp_path / "asked").read_text().splitlines()) == runs + 1
    assert victim.answered(wave) == []


@pytest.mark.skipif(not hasattr(os, "waitid"), reason="there is no waitid to look without waiting")
@pytest.mark.parametrize(
    "line", ["echo '[3, 2, 1]'", "exec >&- 2>&-; sleep 0.05", "exit 3", "sleep 60 & echo '[3, 2, 1]'"]
)
def test_no_group_is_killed_whose_number_may_be_anothers(
    line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed, killpg = [], os.killpg

    def kills(group: int, number: int) -> None:
        os.waitid(os.P_PID, group, os.WEXITED | os.WNOHANG | os.WNOWAIT)  # raises where it was waited for
        killed.append(group)
        killpg(group, number)

    monkeypatch.setattr(os, "killpg", kills)
    ended = run(["/bin/sh", "-c", line], tmp_path, 10.0, threading.Event())
    assert ended.code == (3 if "exit" in line else 0)
    assert len(killed) == 1
    process = subprocess.Popen(["/bin/sh", "-c", "exit 0"])
    process.wait()
    running.kill(process)
    assert len(killed) == 1
