"""A victim in several processes: the same answers in the same order, and no process left behind."""

from __future__ import annotations

import importlib
import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from subterfuge.errors import CardError, InputError, VictimError
from subterfuge.victims import PythonVictim, load_victim

CODE = """
import os
import signal
import time
import numpy as np

def scores(wave):
    order = round(float(wave[0]) * 100)  # what the test wants done
    if order == 1:
        raise ValueError(f"a wave of {float(wave[1]):.2f}")
    if order == 2:
        os._exit(7)
    if order == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    if order == 4:
        print("said aloud")
        os.system("echo said by another program")
    if order == 5:
        return lambda: 1
    if order == 6:
        raise SystemExit(3)
    time.sleep(max(0.0, 0.03 - 10 * abs(float(wave[2]))))
    return [float(wave.std()), float(np.abs(wave).max()), float(wave[-1])]

def where(wave):
    time.sleep(0.02)
    return [os.getpid(), 0]

def label(wave):
    return "b" if wave[-1] > 0 else "a"
"""
CARD = """
schema = 1
kind = "python"
sample_rate = 8000
labels = ["a", "b", "c"]
function = "talk_of_workers.py:scores"
"""
posix = pytest.mark.skipif(os.name != "posix", reason="signals as POSIX has them")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    place = tmp_path_factory.mktemp("workers")
    (place / "talk_of_workers.py").write_text(CODE)
    sys.path.insert(0, str(place))
    importlib.invalidate_caches()
    yield place
    sys.path.remove(str(place))


def of_card(folder: Path, name: str, extra: str) -> Any:
    path = folder / f"{name}.toml"
    path.write_text(CARD + f'name = "mine"\n{extra}\n')
    return load_victim(path)


@pytest.fixture(scope="module")
def alone(folder: Path) -> Any:
    return of_card(folder, "alone", "")


@pytest.fixture(scope="module")
def crowd(folder: Path) -> Iterator[Any]:
    victim = of_card(folder, "crowd", "workers = 2")
    yield victim
    victim.pool.close()


def waves(*orders: int) -> Tensor:
    waves = 0.2 * torch.rand(len(orders), 800, generator=torch.Generator().manual_seed(2)) - 0.1
    waves[:, 0] = torch.tensor(orders) / 100
    waves[:, 1] = torch.arange(len(orders)) / 100
    return waves


def fault_of(victim: Any, asked: Tensor) -> str:
    with pytest.raises(VictimError) as told:
        victim.scores(asked)
    return str(told.value)


def gone(pid: int) -> bool:
    """Whether a process has ended within half a minute; one that nobody waited for yet has."""
    for _ in range(600):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        status = Path(f"/proc/{pid}/stat")
        if status.exists() and status.read_text().rpartition(")")[2].split()[0] == "Z":
            return True
        time.sleep(0.05)
    return False


def test_workers_begin_with_the_first_question_of_more_than_one_clip(folder: Path) -> None:
    victim = of_card(folder, "lazy", "workers = 2")
    victim.scores(waves(0))
    victim.decide(waves(0))
    assert victim.pool.pids == []


def test_what_the_victim_prints_does_not_reach_standard_output(crowd: Any, capfd: pytest.CaptureFixture[str]) -> None:
    crowd.pool.close()  # workers print where standard error was when they began
    crowd.scores(waves(4, 0, 4))
    out, err = capfd.readouterr()
    assert out == ""
    assert err.count("said aloud") == 2
    assert err.count("said by another program") == 2


def test_the_answers_and_their_order_are_those_without_workers(alone: Any, crowd: Any) -> None:
    asked = waves(*[0] * 9)
    assert torch.equal(crowd.scores(asked), alone.scores(asked))
    assert torch.equal(crowd.decide(asked), alone.decide(asked))
    assert torch.equal(crowd.scores(asked[:1]), alone.scores(asked[:1]))
    assert len(crowd.pool.pids) == 2


def test_the_fingerprint_does_not_depend_on_workers(alone: Any, crowd: Any) -> None:
    assert crowd.fingerprint == alone.fingerprint
    assert (crowd.workers, alone.workers) == (2, 1)


@pytest.mark.parametrize("orders", [(0, 0, 1, 1), (1, 0, 0, 6), (0, 6, 1)])
def test_the_first_fault_is_told_as_without_workers(orders: tuple[int, ...], alone: Any, crowd: Any) -> None:
    asked = waves(*orders)
    told = fault_of(crowd, asked)
    assert told == fault_of(alone, asked)
    assert told.startswith("the victim mine died: ")
    assert torch.equal(crowd.scores(waves(0, 0)), alone.scores(waves(0, 0)))  # and the next question is a fresh one


def test_an_answer_that_cannot_be_sent_is_refused(crowd: Any) -> None:
    assert "the victim answered <function scores.<locals>" in fault_of(crowd, waves(0, 5))


def test_a_function_in_hand_is_asked_in_as_many_processes_as_told(folder: Path) -> None:
    talk = importlib.import_module("talk_of_workers")
    victim = PythonVictim.of(talk.where, labels=["a", "b"], sample_rate=8000, workers=2)
    pids = victim.scores(waves(*[0] * 6))[:, 0].long().tolist()
    assert set(pids) == set(victim.pool.pids)  # type: ignore[union-attr]
    assert len(set(pids)) == 2
    assert os.getpid() not in pids
    del victim
    assert all(gone(pid) for pid in pids)  # they end with the victim


@pytest.mark.parametrize(
    ("extra", "told"),
    [
        ("workers = 0", "workers = 0; a whole number from 1 to 256 was expected"),
        ("workers = 1000", "workers = 1000; a whole number"),
        ("workers = 2.5", "workers = 2.5, where a whole number was expected"),
        ("workers = 2\nbatch = true", "workers = 2 has no meaning where batch = true"),
    ],
)
def test_workers_that_make_no_sense_are_refused(extra: str, told: str, folder: Path) -> None:
    with pytest.raises(CardError, match=told):
        of_card(folder, "wrong", extra)


def in_main(wave: Any) -> list[float]:
    return [1.0, 2.0]


def test_a_function_that_cannot_be_sent_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def local(wave: Any) -> list[float]:
        return [1.0, 2.0]

    fields: dict[str, Any] = {"labels": ["a", "b"], "sample_rate": 8000}
    refused: list[Callable[..., Any]] = [local, lambda wave: [1.0, 2.0]]
    for function in refused:
        with pytest.raises(InputError, match=r"workers=2, but the function cannot be sent .* in a module"):
            PythonVictim.of(function, **fields, workers=2)
    for workers in (0, -1, True, 2.0):
        with pytest.raises(InputError, match="a whole number from 1 to 256 was expected"):
            PythonVictim.of(in_main, **fields, workers=workers)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="has no meaning where batch = true"):
        PythonVictim.of(np.sum, **fields, workers=2, batch=True)
    monkeypatch.setattr(in_main, "__module__", "__main__")
    monkeypatch.setattr(sys.modules["__main__"], "in_main", in_main, raising=False)
    with pytest.raises(InputError, match="it stands in the script that runs"):
        PythonVictim.of(in_main, **fields, workers=2)


def test_code_that_changed_since_it_was_loaded_is_refused(folder: Path) -> None:
    (folder / "fickle.py").write_text("def scores(wave):\n    return [1, 2, 3]\n")
    path = folder / "fickle.toml"
    path.write_text(CARD.replace("talk_of_workers", "fickle") + "workers = 2\n")
    victim: Any = load_victim(path)
    (folder / "fickle.py").write_text("def scores(wave):\n    return [3, 2, 1]\n")
    job = pickle.loads(victim.pool.job)
    with pytest.raises(VictimError, match="its code has changed since it was loaded"):
        job()


@posix
def test_a_worker_that_is_killed_is_told_and_the_next_question_starts_others(crowd: Any) -> None:
    crowd.scores(waves(0, 0))
    before = crowd.pool.pids
    assert (
        fault_of(crowd, waves(0, 2, 0))
        == "a worker process of the victim mine ended at clip 2 of 3 without an answer (exit code 7)"
    )
    assert crowd.pool.pids == []
    assert all(gone(pid) for pid in before)
    assert "at clip 3 of 3 without an answer (SIGKILL, often a lack of memory" in fault_of(crowd, waves(0, 0, 3))


def test_a_victim_with_workers_can_be_pickled(crowd: Any) -> None:
    again = pickle.loads(pickle.dumps(crowd.pool))
    assert again.pids == []


PARENT = """
import sys
sys.path.insert(0, {folder!r})
import numpy as np, pickle, talk_of_workers
from functools import partial
from subterfuge.victims._workers import Workers

pool = Workers(pickle.dumps(partial(partial, talk_of_workers.where)), 1, "mine")
print(pool.ask(np.zeros((2, 3), np.float32))[0][0], flush=True)
{then}
"""


@posix
@pytest.mark.parametrize("how", ["SIGKILL", "SIGINT", "the end"])
def test_no_worker_outlives_its_parent(how: str, folder: Path) -> None:
    then = "" if how == "the end" else "pool.ask(np.zeros((3000, 3), np.float32))"
    command = [sys.executable, "-c", PARENT.format(folder=str(folder), then=then)]
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    parent = subprocess.Popen(command, start_new_session=True, **pipes)
    with parent:
        assert parent.stdout is not None
        assert parent.stderr is not None
        pid = int(parent.stdout.readline())
        if how != "the end":
            time.sleep(0.1)
            if how == "SIGINT":
                os.killpg(parent.pid, signal.SIGINT)  # as a terminal does
            else:
                parent.kill()
        parent.wait(60)
        assert gone(pid)
        said = parent.stderr.read()
    assert ("KeyboardInterrupt" in said) == (how == "SIGINT")
    assert said.count("Traceback") == (how == "SIGINT")
