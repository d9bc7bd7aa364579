"""``python -m littoral_serve``: ``littoral serve`` without the time that its command line takes.

A device starts serve often and waits for it. So plain options are read here by hand; anything
else (``--help``, a misuse) is left to the command that documents them. What is made while a
program starts stays: no collector looks for garbage among it, until App says that it is ready.
"""

import gc
import os
import sys
from pathlib import Path
from typing import Final

_VALUED: Final = ("--data", "--http", "--grpc", "--settings", "--model")


def main(argv: list[str]) -> int:
    plain = _plain(argv)
    if plain is None:
        from littoral.door import main as door

        return door(["serve", *argv])
    gc.disable()
    _import_asyncio_without_tls()
    from littoral import unforeseen
    from littoral.tree import VARIABLE
    from littoral_serve.app import Options
    from littoral_serve.app import main as serve

    data = plain.get("--data", [os.environ.get(VARIABLE, "")])[-1]
    try:
        return serve(
            Options(
                data=Path(data) if data else None,
                http=plain.get("--http", [None])[-1],
                grpc=plain.get("--grpc", [None])[-1],
                settings=Path(plain["--settings"][-1]) if "--settings" in plain else None,
                models=tuple(plain.get("--model", ())),
                json="--json" in plain,
            )
        )
    except Exception as e:  # noqa: BLE001 (as littoral.door does)
        error = unforeseen.told(e)
        print(error.line, file=sys.stderr)  # noqa: T201 (this is serve's own door)
        return error.exit_code


def _import_asyncio_without_tls() -> None:
    """Import asyncio as in a Python that was built without OpenSSL, which nothing here needs.

    Serve has no TLS: what listens beyond this device stands behind a proxy. asyncio loads it all
    the same, where it finds it: 7 ms of a start. Who wants it later can have it.
    """
    if "ssl" in sys.modules:  # a site may load it into every Python, and two would not agree
        return
    sys.modules["ssl"] = None  # type: ignore[assignment] # as the import system says: there is none
    import asyncio  # noqa: F401

    del sys.modules["ssl"]


def _plain(argv: list[str]) -> dict[str, list[str]] | None:
    """Return the values by option; None where there is more to it."""
    found: dict[str, list[str]] = {}
    words = iter(argv)
    for word in words:
        name, equals, value = word.partition("=")
        if word == "--json":
            found[word] = []
            continue
        if not equals:
            value = next(words, "-")
        if name not in _VALUED or not value or value.startswith("-"):
            return None
        found.setdefault(name, []).append(value)
    return found


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
