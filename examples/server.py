"""A model behind an address, as one would deploy it: any card, one FastAPI app.

    python examples/server.py tuned.toml 8000
    curl -F file=@flute.wav http://127.0.0.1:8000/score

`subterfuge serve CARD` is the same with the edges rounded off: other ways to send a sound, faults to test with.
"""

import sys
import threading
from pathlib import Path
from tempfile import TemporaryDirectory

import uvicorn
from fastapi import FastAPI, HTTPException, Request, Response, UploadFile

from subterfuge.audio import Clip
from subterfuge.driver import score as ask
from subterfuge.errors import ClipError
from subterfuge.victim import Victim
from subterfuge.victims import load_victim

MOST_BYTES = 16_000_000


def app_of(victim: Victim) -> FastAPI:
    """Give the app that answers for a victim."""
    one_at_a_time = threading.Lock()  # a victim is not thread-safe, and FastAPI calls a plain function in threads
    app = FastAPI(title=victim.name)

    @app.middleware("http")
    async def refuse_the_large(request: Request, go_on):  # before anything of it is read
        size = request.headers.get("content-length", "" if request.method == "POST" else "0")
        if not size.isdecimal():
            return Response("a Content-Length was expected", 411)
        return await go_on(request) if int(size) <= MOST_BYTES else Response(f"more than {MOST_BYTES} bytes", 413)

    @app.post("/score")
    def score(file: UploadFile) -> dict[str, float]:
        """Give the probability (of a model without: the score, or the votes) of each label; of labels alone, a 1."""
        with TemporaryDirectory() as folder, one_at_a_time:
            path = Path(folder, "sound")
            path.write_bytes(file.file.read())
            try:
                said = ask(Clip.read(path, max_seconds=60), victim)
            except ClipError:
                raise HTTPException(400, "a sound file of up to 60 s was expected") from None
        only = {label: float(label == said["predicted"]) for label in victim.labels}
        return said["probabilities"] or said["scores"] or only

    return app


if __name__ == "__main__":
    uvicorn.run(app_of(load_victim(sys.argv[1])), host="127.0.0.1", port=int([*sys.argv, 8000][2]))
