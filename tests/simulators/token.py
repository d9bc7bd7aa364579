"""Tokens that keep keys and give none away: SoftHSM, as hardware tokens behave.

    from simulators.token import token, tokens  # both, for pytest to find them

    def test_x(token: str) -> None: ...  # the address of a key, to be made, on the token "anna"

The library reads its settings once, when it is loaded: so the tokens are those of the process,
"anna" and "bert", and each test has keys of its own on them.
"""

import itertools
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

MODULE: Final = Path("/usr/lib/softhsm/libsofthsm2.so")
PIN: Final = "98765"
TOKENS: Final = ("anna", "bert")
_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def tokens(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Make the tokens; return the file that holds their PIN."""
    if shutil.which("softhsm2-util") is None or not MODULE.exists():
        pytest.skip("needs softhsm2 (apt-get install softhsm2)")
    pytest.importorskip("pkcs11", reason="needs python-pkcs11: pip install 'littoral[pkcs11]'")
    folder = tmp_path_factory.mktemp("softhsm")
    (folder / "tokens").mkdir()
    (folder / "softhsm.conf").write_text(f"directories.tokendir = {folder / 'tokens'}\n")
    (folder / "pin").write_text(f"{PIN}\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOFTHSM2_CONF", str(folder / "softhsm.conf"))
        for name in TOKENS:
            subprocess.run(
                [
                    *("softhsm2-util", "--init-token", "--free", "--label", name),
                    *("--so-pin", "1234", "--pin", PIN),
                ],
                check=True,
                capture_output=True,
            )
        yield folder / "pin"


@pytest.fixture
def token(tokens: Path) -> str:
    """Return the address of a key, to be made, on the token "anna"."""
    return address(pin=tokens)


def address(*, pin: Path, on: str = "anna") -> str:
    """Return the address of a key that no other test has."""
    label = f"key%20{next(_numbers)}"
    return f"pkcs11:token={on};object={label}?module-path={MODULE}&pin-source=file:{pin}"
