"""Keys on tokens, with SoftHSM as the token."""

import subprocess
import sys
from pathlib import Path
from urllib.parse import quote

import pytest
from securesystemslib.exceptions import UnverifiedSignatureError
from securesystemslib.signer import SSlibKey

from littoral.errors import MissingExtraError, MisuseError
from littoral.trust import passphrases, pkcs11
from littoral.trust.pkcs11 import TokenSigner, find_public, make, parse
from simulators.token import address, token, tokens

__all__ = ["token", "tokens"]


def test_a_key_is_made_on_the_token_found_and_signs(token: str) -> None:
    public = SSlibKey.from_crypto(make(token))
    assert SSlibKey.from_crypto(find_public(token)) == public
    signature = TokenSigner.open(token, public).sign(b"payload")
    public.verify_signature(signature, b"payload")
    with pytest.raises(UnverifiedSignatureError):
        public.verify_signature(signature, b"another")


def test_each_signature_of_many_verifies(token: str) -> None:
    """Also those whose numbers are short: r and s are padded to 32 bytes on the token."""
    public = SSlibKey.from_crypto(make(token))
    signer = TokenSigner.open(token, public)
    for n in range(64):
        payload = str(n).encode()
        public.verify_signature(signer.sign(payload), payload)


def test_a_key_that_is_there_is_never_overwritten(token: str) -> None:
    make(token)
    with pytest.raises(MisuseError, match="never overwritten"):
        make(token)


def test_the_key_beside_the_address_is_the_one_on_the_token(token: str, tokens: Path) -> None:
    make(token)
    other = SSlibKey.from_crypto(make(address(pin=tokens, on="bert")))
    with pytest.raises(MisuseError, match="not the key"):
        TokenSigner.open(token, other)


def test_what_the_token_has_not_is_named(token: str, tokens: Path, tmp_path: Path) -> None:
    with pytest.raises(MisuseError, match="found 0"):
        find_public(token)
    with pytest.raises(MisuseError, match="on token 'carl'"):
        find_public(address(pin=tokens, on="carl"))
    wrong = tmp_path / "pin"
    wrong.write_text("00000")
    with pytest.raises(MisuseError, match="PinIncorrect"):
        find_public(token.replace(str(tokens), str(wrong)))
    with pytest.raises(MisuseError, match="the token says"):
        find_public(token.replace("libsofthsm2", "libnone"))


def test_the_pin_and_the_module_may_be_named_by_the_environment(
    token: str, tokens: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    passphrases.forget()
    bare, _, query = token.partition("?")
    module = query.partition("&")[0].removeprefix("module-path=")
    with pytest.raises(MisuseError, match=pkcs11.MODULE):
        find_public(bare)
    monkeypatch.setenv(pkcs11.MODULE, module)
    with pytest.raises(MisuseError, match=passphrases.PIN_FILE):
        make(bare)
    monkeypatch.setenv(passphrases.PIN_FILE, str(tokens))
    assert make(bare) == find_public(token)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("hsm:2", "expected pkcs11:"),
        ("pkcs11:token=anna", "an object"),
        ("pkcs11:object=root", "expected a token"),
        ("pkcs11:token=a;object=b?module-path=/x&pin-value=1234", "read by many"),
        ("pkcs11:token=a;object=b;colour=red?module-path=/x", "colour"),
        ("pkcs11:token=a;object=b?module-path=/x&pin-source=|cat%20pin", "pin-source=file:"),
    ],
)
def test_what_is_no_address_is_refused(text: str, said: str) -> None:
    with pytest.raises(MisuseError, match=said):
        parse(text)


def test_names_are_percent_encoded() -> None:
    found = parse(f"pkcs11:token={quote('a;b?c')};id=%02%FF?module-path=/x&pin-source=/pin")
    assert (found.token, found.id, found.pin_source) == ("a;b?c", b"\x02\xff", Path("/pin"))


def test_without_the_library_it_is_said_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "pkcs11", None)
    with pytest.raises(MissingExtraError, match=r"littoral\[pkcs11\]"):
        find_public("pkcs11:token=a;object=b?module-path=/x")


def test_nothing_loads_it_that_needs_it_not() -> None:
    code = "import sys, littoral.trust.writer; sys.exit('littoral.trust.pkcs11' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
