"""What wakes after a power cut, again and again in one process: an agent, and a serve beside it.

python -m faults.crash_wakes REPO ONLINE BAD    # a line of JSON on stdin for each folder

The agent is the one of faults.victim, to its end; the console and the repository are read where
they lie, for a network has nothing to do with what a disk held.
"""

import io
import json
import logging
import signal
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from types import FrameType
from typing import Any
from urllib.parse import parse_qs, urlsplit

from faults import victim
from faults.job import Job
from faults.teeth import break_
from littoral import records
from littoral.errors import LittoralError
from littoral.tree import Tree
from littoral.trust.keyfiles import load_signer
from littoral.trust.keys import sign_time
from littoral.wire.control import Tried
from littoral_agent import parts
from littoral_agent.reply import Reply, forgotten
from littoral_agent.streams import CHUNK_BYTES, Stream
from simulators.serve import ServeSimulator


@dataclass(frozen=True, slots=True)
class Woken:
    """How it went: what serves then, and what was wrong."""

    stuck: str | None
    serving: dict[str, int]


class Near:
    """A console and a repository that are read where they lie: as littoral_agent.origin.Origin."""

    repo = online = Path()
    url = "https://near"

    def __init__(self, *_: object, **__: object) -> None:
        self._time = load_signer(self.online / "time.pem")

    def close(self) -> None:
        """Nothing is open."""

    def get(self, path: str, *, limit: int, **_: object) -> Reply:
        parts_ = urlsplit(path)
        if parts_.path == "time":
            nonce = parse_qs(parts_.query)["nonce"][0]
            return Reply(
                200,
                records.to_json(sign_time(self._time, nonce, utc_ms=time.time_ns() // 1_000_000)),
            )
        try:
            return Reply(200, self._path(path).read_bytes()[: limit + 1])
        except FileNotFoundError:
            return Reply(404, b"")

    @contextmanager
    def stream(self, path: str, *, start: int = 0) -> Iterator[Stream]:
        try:
            data = self._path(path).read_bytes()
        except FileNotFoundError:
            raise forgotten(path, Reply(404, b"")) from None
        rest = range(start, len(data), CHUNK_BYTES)
        yield Stream(start, len(data), (data[at : at + CHUNK_BYTES] for at in rest))

    def _path(self, name: str) -> Path:
        return self.repo / name.removeprefix("repo/")


class LateError(BaseException):
    """It took too long: no handler of errors may survive it."""


def main(repo: str, online: str, bad: str) -> int:
    """Wake what lies in each folder that is named, and say what came of it."""
    Near.repo, Near.online = Path(repo), Path(online)
    break_(parts, "Origin", Near)
    words = io.StringIO()
    logging.basicConfig(stream=words, level=logging.INFO, format="%(levelname)s %(message)s")
    signal.signal(signal.SIGALRM, _late)
    serve: ServeSimulator | None = None
    for line in sys.stdin:
        job = records.from_json(Job, line.encode(), limit=65536)
        if serve is None:
            serve = ServeSimulator(Tree(Path(job.root)))
            serve.tree.make()
            for manifest, how in json.loads(bad).items():
                (serve.tried if how == "test" else serve.probed)[manifest] = Tried(code="outputs")
            serve.start()
        words.seek(0)
        words.truncate()
        serve.crash()
        stuck = _live(job)
        said = Woken(f"{stuck}\n{words.getvalue()[-3000:]}" if stuck else None, serve.running)
        sys.stdout.write(json.dumps(asdict(said)) + "\n")
        sys.stdout.flush()
    if serve is not None:
        serve.stop()
    return 0


def _live(job: Job) -> str | None:
    """Live to the end; return what keeps it from there."""
    signal.setitimer(signal.ITIMER_REAL, job.limit_s)
    try:
        victim._live(job)
    except LateError:
        return "it is not done in time"
    except (LittoralError, Exception):  # noqa: BLE001 (whatever it is, the harness is told)
        return traceback.format_exc()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    return None


def _late(_: int, __: FrameType | None) -> Any:
    raise LateError


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
