"""What serve loads when it starts: a device waits for each of it, and pays for it in memory."""

import subprocess
import sys
from pathlib import Path

from patience import patient
from simulators.served import FIXTURES, Device

RUN = """
import gc, os, signal, sys
from littoral_serve.__main__ import main

enable = gc.enable

def tell():  # App does so when it has said that it is ready; who imported it would have TLS
    enable()
    print(*sorted(sys.modules), flush=True)
    os.kill(os.getpid(), signal.SIGTERM)

gc.enable = tell
code = main(sys.argv[1:])
sys.exit(code or not gc.isenabled())
"""
UNNEEDED = {  # until somebody asks for them
    *("ssl", "click", "PIL", "tuf", "cryptography", "grpc", "urllib3", "paho", "sqlite3"),
    *("difflib", "littoral.wire.messages", "littoral.wire.drift", "littoral.bundle.baseline"),
}


def loaded(*options: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", RUN, "--http=127.0.0.1:0", *options],
        capture_output=True,
        text=True,
        check=True,
        timeout=patient(60),
    )
    return set(done.stdout.split())


def test_serve_is_ready_without_what_nobody_has_asked_for(tmp_path: Path) -> None:
    device = Device(tmp_path / "data")
    device.good(device.add("digits"))
    modules = loaded(f"--data={device.tree.root}", f"--model=m={FIXTURES}/tiny_int8.tflite")
    assert {"asyncio", "numpy", "littoral.wire.journal"} <= modules
    assert not modules & UNNEEDED


def test_tls_can_be_had_by_who_wants_it() -> None:
    code = """
from littoral_serve import __main__
__main__._import_asyncio_without_tls()
import asyncio.sslproto, ssl
assert asyncio.sslproto.ssl is None
print(ssl.OPENSSL_VERSION)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert "SSL" in done.stdout


def test_whoever_loaded_tls_before_keeps_it() -> None:
    """A site may load it into every Python; whose errors would be none of a second one."""
    code = """
import ssl
from littoral_serve import __main__
__main__._import_asyncio_without_tls()
import asyncio.sslproto, sys
assert sys.modules["ssl"] is ssl is asyncio.sslproto.ssl
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=patient(60))
