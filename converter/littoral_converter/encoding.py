"""Makes the encodings of a release: reads what the plan names, and hands on what is worth it."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from littoral.bundle.manifest import Encoding, File, Manifest
from littoral.errors import HashError
from littoral.trust.publishing import Encoded
from littoral_converter import bases
from littoral_converter.bases import Try
from littoral_converter.offers import offers
from littoral_converter.worker import Progress, Say

Blob = Callable[[str], Path]


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoder:
    """What littoral.trust.publishing is handed: patches from how many releases, and who listens."""

    patches: int = bases.RELEASES
    say: Say

    def __call__(self, manifest: Manifest, older: Sequence[Manifest], blob: Blob) -> Encoded:
        """Return the encodings that are worth it, each made when it is asked for.

        A base that is not at hand is passed over, and said.
        """
        plan = bases.plan(manifest, older, patches=self.patches)
        here = [t for t in plan.tries if t.base is None or blob(t.base.sha256).exists()]
        absent = [
            f"{t.name} from {t.release}: its base is not in the repository"
            for t in plan.tries
            if t not in here
        ]
        return Encoded(made=self._made(here, blob), left_out=(*plan.left_out, *absent))

    def _made(self, tries: Sequence[Try], blob: Blob) -> Iterator[tuple[str, Encoding, bytes]]:
        done, total = 0, sum(t.file.size for t in tries)
        for name, group in groupby(tries, key=lambda t: t.name):
            first, *patched = group
            self.say(Progress(stage=f"{name}: zstd", done=done, of=total))
            done += first.file.size
            for offer in offers(
                _read(blob, first.file), self._bases(patched, blob, done=done, total=total)
            ):
                yield name, offer.encoding, offer.data
            done += sum(t.file.size for t in patched)

    def _bases(self, tries: Sequence[Try], blob: Blob, *, done: int, total: int) -> Iterator[bytes]:
        """Walk the bases of one file, each read when it is its turn: one at a time is held."""
        for t in tries:
            if t.base is not None:
                said = f"{t.name}: patch from release {t.release}"
                self.say(Progress(stage=said, done=done, of=total))
                yield _read(blob, t.base)
                done += t.file.size


def _read(blob: Blob, file: File) -> bytes:
    data = blob(file.sha256).read_bytes()
    found = hashlib.sha256(data).hexdigest()
    if found != file.sha256:
        raise HashError(f"blobs/{file.sha256}", signed=file.sha256, found=found)
    return data
