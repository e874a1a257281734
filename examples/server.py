"""A model behind an address, as one would deploy it: any card, one FastAPI app.

    python examples/server.py tuned.toml 8000
    curl -F file=@flute.wav http://127.0.0.1:8000/score

`subterfuge serve CARD` is the same with the edges rounded off: limits, other ways to send a sound, faults to test with.
"""

import sys
import threading
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
import uvicorn
from fastapi import FastAPI, HTTPException, UploadFile

from subterfuge.audio import Clip
from subterfuge.errors import ClipError
from subterfuge.victims import load_victim

victim = load_victim(sys.argv[1])
one_at_a_time = threading.Lock()  # a victim is not thread-safe, and FastAPI calls a plain function in threads
app = FastAPI(title=victim.name)


@app.post("/score")
def score(file: UploadFile) -> dict[str, float]:
    """Give the probability (or, of a model without, the score) of each label."""
    with TemporaryDirectory() as folder, one_at_a_time:
        path = Path(folder, "sound")
        path.write_bytes(file.file.read())
        try:
            clip = Clip.read(path, max_seconds=60)
        except ClipError:
            raise HTTPException(400, "a sound file of up to 60 s was expected") from None
        wave = torch.from_numpy(clip.mono(victim.sample_rate))[None]
        with torch.no_grad():
            chances = victim.probabilities(wave)
            numbers = victim.scores(wave) if chances is None else chances
    return dict(zip(victim.labels, numbers[0].tolist(), strict=True))


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[2]) if len(sys.argv) > 2 else 8000)
