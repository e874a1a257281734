"""Files that are no models, or no longer, are refused in a clear paragraph, and bombs do not go off."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import os
import pickle
import tracemalloc
import zipfile
import zlib
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
import skops.io
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.preprocessing import StandardScaler

from subterfuge.errors import CardError, InputError
from subterfuge.victims import modelfile
from subterfuge.victims.modelfile import load_model

SCALER = StandardScaler().fit(np.arange(12.0).reshape(4, 3))


def complaint(path: Path) -> str:
    with pytest.raises(CardError) as caught:
        load_model(path)
    message = str(caught.value)
    assert str(path) in message
    assert "Expected is a scikit-learn model" in message
    return message


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "model"


def test_a_missing_file_is_named(path: Path) -> None:
    assert "cannot be read (No such file or directory)" in complaint(path)


def test_a_folder_is_no_model(tmp_path: Path) -> None:
    assert "is a folder" in complaint(tmp_path)


def test_a_pipe_is_not_waited_for(path: Path) -> None:
    os.mkfifo(path)
    assert "is not a plain file" in complaint(path)


@pytest.mark.parametrize(
    "content",
    [
        b"# a text\nwith lines\n",
        b"Plain text\n",
        b"class,feature\n0,1\n",
        b"import os\nimport sys\n",
        b"\x93NUMPY\x01\x00",
        b"\x89HDF\r\n\x1a\n",
        b"\x80",
        b"\x80\x04",
        b"\x80\x09N.",
        b".",
        b"PK\x05\x06" + b"\0" * 18,
        b"PK\x03\x04 and nothing",
        b"ZF0x10              old joblib",
        b"\x78\x9c\x00",
        b"\x1f\x8b\x08",
        b"BZh9",
        b"\xfd7zXZ\x00",
        b"\x5d\x00\x00\x80\x00",
        b"\x04\x22\x4d\x18",
    ],
)
def test_what_is_no_model_is_refused_with_advice(content: bytes, path: Path) -> None:
    path.write_bytes(content)
    assert "skops.io.dump(model, 'model.skops')" in complaint(path)


def test_an_empty_file_is_said_to_be_empty(path: Path) -> None:
    path.touch()
    assert "is empty" in complaint(path)


@cache
def whole(form: str) -> bytes:
    if form == "pickle":
        return pickle.dumps(SCALER)
    if form == "skops":
        return skops.io.dumps(SCALER, compression=zipfile.ZIP_DEFLATED)
    stream = io.BytesIO()
    joblib.dump(SCALER, stream, compress=3 if form == "compressed" else 0)
    return stream.getvalue()


FORMS = ["pickle", "joblib", "compressed", "skops"]


@pytest.mark.parametrize("form", FORMS)
def test_a_file_that_was_cut_short_anywhere_is_refused(form: str, path: Path) -> None:
    content = whole(form)
    for length in {*range(1, len(content), len(content) // 40), len(content) - 1}:
        path.write_bytes(content[:length])
        complaint(path)


@pytest.mark.parametrize("form", FORMS)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_file_with_wrong_bytes_loads_or_is_refused_and_nothing_else(form: str, path: Path, data: Any) -> None:
    content = bytearray(whole(form))
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    with suppress(InputError):
        load_model(path)


PRESSES = {
    "zlib": zlib.compress,
    "gzip": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "lzma": lambda raw: lzma.compress(raw, lzma.FORMAT_ALONE),
}


@pytest.mark.parametrize("form", PRESSES)
def test_a_bomb_is_not_unpacked_beyond_the_limit(form: str, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(modelfile, "MOST_BYTES", 2**20)
    path.write_bytes(PRESSES[form](bytes(2**25)))
    tracemalloc.start()
    try:
        assert "it unpacks to more than 1 MiB" in complaint(path)
        assert tracemalloc.get_traced_memory()[1] < 2**24
    finally:
        tracemalloc.stop()


def test_the_limit_of_size_is_two_gibibytes() -> None:
    assert modelfile.MOST_BYTES == 2**31


def test_a_file_beyond_the_limit_is_not_read(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(modelfile.MOST_BYTES + 1)
    assert "is larger than 2048 MiB" in complaint(path)


def test_a_zip_bomb_is_not_unpacked(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(modelfile, "MOST_BYTES", 2**20)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as pack:
        pack.writestr("schema.json", "{}")
        pack.writestr("bomb.npy", bytes(2**24))
    assert "it unpacks to 16 MiB, more than 1 MiB" in complaint(path)


def test_a_part_of_a_zip_that_is_named_again_and_again_counts_each_time(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(modelfile, "MOST_BYTES", 2**20)
    node = {"__class__": "ndarray", "__module__": "numpy", "__loader__": "NdArrayNode", "type": "numpy"}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as pack:
        pack.writestr("a.npy", bytes(2**16))
        pack.writestr("schema.json", json.dumps({"protocol": 2, "content": [{**node, "file": "a.npy"}] * 17}))
    assert "it unpacks to more than 1 MiB" in complaint(path)


@pytest.mark.parametrize(
    "stream",
    [
        b"\x96" + b"\xff" * 7 + b"\x3f.",  # BYTEARRAY8
        b"\x8e" + b"\xff" * 7 + b"\x3f.",  # BINBYTES8
        b"\x8d" + b"\xff" * 7 + b"\x3f.",  # BINUNICODE8
        b"\x95" + b"\xff" * 7 + b"\x3f.",  # FRAME
        b"N\x85" + b"\x85" * 200_000 + b"}2\x8c\x01a" + b"s.",
        b"}" + b"N" + b"\x85" * 200_000 + b"Ns.",  # a deep tuple as a key
        b"L" + b"9" * 100_000 + b"L\n.",  # a long number in decimal
        b"h\x07.",  # an unknown memo
    ],
)
def test_a_stream_that_claims_much_or_goes_deep_is_damaged(stream: bytes, path: Path) -> None:
    path.write_bytes(b"\x80\x04" + stream)
    complaint(path)


def test_an_array_that_claims_more_than_there_is_is_damaged(path: Path) -> None:
    for claim in (b"\xff\xff\xff\x7f", b"\x05\x00\x00\x00"):
        joblib.dump(np.arange(4.0), path)
        content = path.read_bytes()
        assert b"K\x04\x85" in content
        path.write_bytes(content.replace(b"K\x04\x85", b"J" + claim + b"\x85"))
        complaint(path)
