"""Talk to a serve, NumPy in and NumPy out; pictures go in as they are.

with Client("unix:///run/littoral/serve.sock") as client:
    scores = client.predict("digits", images)  # images: [n, 8, 8, 1]
    birds = client.look("birds", "parrot.jpg")  # birds["classes"][0, 0]: "Ara macao"

Over serve's Unix socket it speaks frames; over HTTP the Open Inference Protocol with binary
tensors. What an array has to be is asked once: integers that fit become the type of the model's
input, and real numbers never become integers.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import urlsplit

import numpy as np
from numpy.typing import ArrayLike

from littoral.asking.question import Array, Line, Look, Question
from littoral.errors import DeniedError, MisuseError, StorageError
from littoral.wire.frames import Described, Signature, Spec

Arrays = Array | dict[str, Array]
Picture = bytes | str | Path

DEFAULT: Final = "serving_default"


class Client:
    """One connection, kept open. Not safe to share between threads."""

    def __init__(self, url: str = "http://127.0.0.1:8501", *, timeout_s: float = 30.0) -> None:
        """Open nothing yet. ``url`` is ``http://host:port`` or ``unix:///path/of/serve.sock``."""
        self._line = _line(url, timeout_s)
        self._known: dict[tuple[str, int | None], Described] = {}

    def predict(
        self,
        model: str,
        inputs: ArrayLike | Mapping[str, ArrayLike],
        *,
        release: int | None = None,
        signature: str | None = None,
    ) -> Arrays:
        """Return the outputs for a batch of ``inputs``; of several, by name.

        Real outputs come as float32, stored ones (signature ``raw``) as integers.

        Raises:
            DeniedError: There is no such model or release, or it does not take such inputs.
            OverloadedError: It has more to do than it takes on.
            DeadlineError: It did not come to it in time.
            BackendError: The model failed.
            UnreachableError: The server does not answer.
            MalformedError: It answers something else.

        """
        known = self._known.get((model, release))
        if known is not None:
            try:
                return self._ask(known, inputs, release, signature)
            except DeniedError:
                # It may be another release by now, which takes other inputs.
                if self.describe(model, release=release) == known:
                    raise
        known = self.describe(model, release=release)
        return self._ask(known, inputs, release, signature)

    def look(
        self,
        model: str,
        pictures: Picture | Sequence[Picture],
        *,
        release: int | None = None,
        top: int | None = None,
        threshold: float | None = None,
    ) -> dict[str, Array]:
        """Return what ``model`` sees in ``pictures``: the outputs of its task, by name.

        A picture is the bytes of its file (JPEG, PNG or BMP), or the path of one. Each output has
        a row for every picture, also where there is one. ``top``: so many classes or objects;
        ``threshold``: none with a lower score. docs/tasks.md says which outputs there are.

        Raises as ``predict``, and:
            StorageError: A picture cannot be read.

        """
        many = [pictures] if isinstance(pictures, str | bytes | Path) else pictures
        return self._line.look(
            Look(
                model=model,
                release=release,
                files=tuple(_file(one) for one in many),
                top=top,
                threshold=threshold,
            )
        )

    def describe(self, model: str, *, release: int | None = None) -> Described:
        """Return what there is to know of a release of ``model``. Raises as ``predict``.

        A shape begins with -1 where any number of instances may come.
        """
        known = self._line.describe(model, release)
        self._known[model, release] = known
        return known

    def release(self, model: str) -> int:
        """Return the release of ``model`` that answers now. Raises as ``predict``."""
        return self.describe(model).release

    def close(self) -> None:
        self._line.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _ask(
        self,
        known: Described,
        inputs: ArrayLike | Mapping[str, ArrayLike],
        release: int | None,
        signature: str | None,
    ) -> Arrays:
        asked = _question(known, inputs, release, signature or DEFAULT)
        answered, outputs = self._line.run(asked)
        if answered != known.release:
            self._known.pop((known.model, release), None)
        return outputs if len(outputs) != 1 else next(iter(outputs.values()))


def _question(
    known: Described,
    inputs: ArrayLike | Mapping[str, ArrayLike],
    release: int | None,
    name: str,
) -> Question:
    signature = known.signatures.get(name)
    if signature is None:
        raise DeniedError(
            f"{known.model}: no signature {name!r}; there are: {', '.join(known.signatures)}"
        )
    given = dict(inputs) if isinstance(inputs, Mapping) else {_only(known, signature): inputs}
    if given.keys() != {spec.name for spec in signature.inputs}:
        want, got = sorted(spec.name for spec in signature.inputs), sorted(given)
        raise DeniedError(f"{known.model}: expected the inputs {want}, found {got}")
    reals = "float" if "float" in known.signatures else None
    arrays = tuple(_fit(given[spec.name], spec, reals) for spec in signature.inputs)
    specs = tuple(
        Spec(spec.name, spec.dtype, array.shape)
        for spec, array in zip(signature.inputs, arrays, strict=True)
    )
    return Question(known.model, release, name, specs, arrays)


def _file(picture: Picture) -> bytes:
    if isinstance(picture, bytes):
        return picture
    try:
        return Path(picture).read_bytes()
    except OSError as e:
        raise StorageError(f"{picture}: {e.strerror or e}") from e


def _only(known: Described, signature: Signature) -> str:
    if len(signature.inputs) != 1:
        names = ", ".join(spec.name for spec in signature.inputs)
        raise DeniedError(f"{known.model}: it takes several inputs by name: {names}")
    return signature.inputs[0].name


def _fit(value: ArrayLike, spec: Spec, reals: str | None) -> Array:
    """Return ``value`` in the type of ``spec``, where no number becomes another.

    ``reals`` is the signature that takes real numbers, where there is one.
    """
    array = np.asarray(value)
    want = np.dtype(spec.dtype)
    if array.dtype != want:
        if want.kind == "f" and array.dtype.kind in "fiub":
            with np.errstate(over="ignore"):
                array = array.astype(want)
        elif want.kind in "iu" and array.dtype.kind in "iu" and _holds(want, array):
            array = array.astype(want)
        else:
            hint = ""
            if reals is not None and array.dtype.kind == "f":
                hint = f"; signature={reals!r} takes real numbers"
            raise DeniedError(f"{spec.name}: expected {want}, found {_shown(array)}{hint}")
    return array if array.flags.c_contiguous else array.copy(order="C")


def _holds(want: np.dtype[Any], array: Array) -> bool:
    most = np.iinfo(want)
    return not array.size or (most.min <= int(array.min()) and int(array.max()) <= most.max)


def _shown(array: Array) -> str:
    if array.dtype.kind not in "iu" or not array.size:
        return str(array.dtype)
    return f"{array.dtype} from {array.min()} to {array.max()}"


def _line(url: str, timeout_s: float) -> Line:
    parts = urlsplit(url)
    try:
        if parts.scheme == "unix" and parts.path:
            from littoral.asking.framed import FrameLine

            return FrameLine(Path(parts.path), timeout_s=timeout_s)
        if parts.scheme == "http" and parts.hostname:
            from http.client import HTTPConnection

            from littoral.asking.http import HttpLine

            connection = HTTPConnection(parts.hostname, parts.port, timeout=timeout_s)
            where = f"http://{parts.hostname}:{parts.port or 80}"
            return HttpLine(connection, where, timeout_s=timeout_s)
    except ValueError as e:
        raise MisuseError(f"{url!r}: {e}") from e
    raise MisuseError(f"expected http://host:port or unix:///path, found {url!r}")
