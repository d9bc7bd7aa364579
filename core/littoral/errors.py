"""Every error this project raises on purpose, drawn as one tree.

LittoralError
├── MisuseError                 the caller is wrong: the door answers with exit code 2
│   ├── SettingsError           a setting is unknown, missing or of the wrong kind
│   ├── NotFoundError           there is nothing of that name
│   └── MissingExtraError       a room's own packages are not installed
├── BundleError                 this cannot be a bundle
│   ├── MalformedError          it cannot be read
│   └── UnsupportedFormatError  it is of a format that this version does not know
├── TrustError                  what arrived is not what was promised: refused, before it runs
│   ├── SignatureError          too few signatures by keys we trust
│   ├── RollbackError           older than what was accepted before
│   ├── FloorError              below the lowest release that may be newly activated
│   ├── MixError                parts that were never published together, or not named by both
│   ├── HashError               these are not the bytes that were signed
│   ├── ExpiredError            its time is over
│   ├── EndlessError            more bytes than were announced, or than are allowed
│   ├── SlowError               fewer bytes a second than a source must give
│   ├── StaleError              older than what is known, and by nobody's fault: no attack
│   ├── WrongDeviceError        meant for another device, incarnation or fleet
│   ├── WrongHardwareError      for hardware that this device does not have
│   ├── ForgottenError          the repository does not hold what its metadata names
│   └── EncodingError           an encoding was decoded, and is not the file that it is signed for
├── UnfitError                  this device cannot take it: refused, before a byte of it came
│   ├── WrongRuntimeError       its runtime is of another version than the release requires
│   ├── OperatorsError          its runtime does not know an operator, or not in that version
│   ├── ShortMemoryError        it has less free memory than the release requires
│   └── OverAllowanceError      it may not bring so many bytes in any month
├── PostponedError              not now: it waits, and is taken up again when its time comes
│   ├── ClosedError             no maintenance window is open
│   ├── MeteredError            the network is paid for by the byte: another one may come
│   └── SpentError              this month's bytes are used up
├── TrialError                  the candidate ran, and did not prove itself
│   ├── OutputsError            other outputs than its golden vectors
│   ├── LatencyError            slower than its budget
│   ├── MemoryBudgetError       larger than its budget
│   ├── CrashError              it ended its process
│   ├── DeadlineError           it did not finish in time
│   ├── ThrottledError          it was too slow while the board was slowed down
│   └── UnhealthyError          it failed while on probation
│       └── FellBackError       it was proven, and is so no longer; nobody ordered that
├── BackendError                the model cannot be run here
│   ├── NotDelegatedError       the accelerator that it is for would run nothing of it
│   └── BackendMissingError     this machine has no such runtime or accelerator
├── ConversionError             the model cannot be converted, or not as it was asked
├── UnreachableError            a server does not answer: wait, and try again
│   ├── OverloadedError         it has more to do than it takes on
│   ├── ProxyError              the proxy on the way to it does not let us through
│   └── BehindError             a copy of it does not have yet what is wanted: it will
├── DeniedError                 a server answers no: asking again will not help
│   ├── RevokedError            this device is one no more, until it is enrolled anew
│   ├── FrozenError             two claim to be this device: nobody is, until an operator looks
│   └── SupersededError         a newer certificate took the place of this one
├── WaitingError                an operator has not decided yet: the same may be asked again
├── WrongBoardError             the identity kept here is of another board
├── RefusedError                a device did not take what was pushed, and said why
├── UnfinishedError             what was waited for goes on, longer than one would wait
├── StorageError                the disk does not keep what it is given
│   ├── DiskFullError           no room
│   └── JournalError            a journal cannot be read
├── PortInUseError              another program listens where we would
├── ChildError                  a program that was asked did not answer: it ended otherwise, or late
└── DefectError                 nobody thought of this: a bug of ours

The message is for a person: what was expected, what was found, what to do.
The code is for programs: it travels in reports, stands in docs/errors.md and never changes.
A room may tell cases of one apart in a subclass of its own; its code is the one that it has here.
"""

import re
from collections.abc import Iterator
from datetime import datetime
from typing import ClassVar


def one_line(text: str) -> str:
    """Return ``text`` as one line that a terminal only shows: a server's words may be in it."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


class LittoralError(Exception):
    code: ClassVar[str] = "error"
    exit_code: ClassVar[int] = 1

    @property
    def line(self) -> str:
        """Return what a command prints of it: one line, whatever the message holds."""
        return f"error: {one_line(str(self))} [{self.code}]"


class MisuseError(LittoralError):
    code = "usage"
    exit_code = 2


class SettingsError(MisuseError):
    code = "setting"


class NotFoundError(MisuseError):
    code = "not-found"


class MissingExtraError(MisuseError):
    code = "missing-extra"

    def __init__(self, what: str, *, extra: str, missing: str, then: str = "") -> None:
        super().__init__(
            f"{what} needs the Python package {missing!r}, which is not installed; "
            f"run: pip install 'littoral[{extra}]'{f', then: {then}' if then else ''}"
        )
        self.extra, self.missing = extra, missing


class BundleError(LittoralError):
    code = "bundle"


class MalformedError(BundleError):
    code = "malformed"


class UnsupportedFormatError(BundleError):
    code = "unsupported-format"

    def __init__(self, what: str, *, found: object, known: int) -> None:
        super().__init__(
            f"{what}: expected format {known}, found {found!r}; "
            "install a newer littoral, or publish for this one"
        )
        self.found, self.known = found, known


class TrustError(LittoralError):
    code = "untrusted"


class SignatureError(TrustError):
    code = "signature"


class RollbackError(TrustError):
    code = "rollback"

    def __init__(self, what: str, *, offered: int, accepted: int, counted: str = "version") -> None:
        super().__init__(
            f"{what}: {counted} {offered} was offered, but {counted} {accepted} was accepted before"
        )
        self.what, self.offered, self.accepted = what, offered, accepted


class FloorError(TrustError):
    code = "floor"

    def __init__(self, model: str, *, release: int, floor: int) -> None:
        super().__init__(
            f"{model}: release {release} may not be newly activated; the floor is {floor}"
        )
        self.release, self.floor = release, floor


class MixError(TrustError):
    code = "mix"


class HashError(TrustError):
    code = "hash"

    def __init__(self, what: str, *, signed: str, found: str, kind: str = "sha256") -> None:
        super().__init__(f"{what}: expected {kind} {_brief(signed)}, found {_brief(found)}")
        self.signed, self.found = signed, found


class ExpiredError(TrustError):
    code = "expired"

    def __init__(self, what: str, *, expires: datetime, now: datetime) -> None:
        super().__init__(
            f"{what}: expired at {expires:%Y-%m-%d %H:%M}Z; it is {now:%Y-%m-%d %H:%M}Z here"
        )
        self.expires, self.now = expires, now


class EndlessError(TrustError):
    code = "endless"

    def __init__(self, what: str, *, limit: int) -> None:
        super().__init__(f"{what}: more than the {limit} bytes that it may have")
        self.limit = limit


class SlowError(TrustError):
    code = "slow"


class StaleError(TrustError):
    code = "stale"


class WrongDeviceError(TrustError):
    code = "wrong-device"

    def __init__(self, *, named: str, here: str) -> None:
        super().__init__(f"the document is for {named}; this is {here}")
        self.named, self.here = named, here


class WrongHardwareError(TrustError):
    code = "wrong-hardware"


class ForgottenError(TrustError):
    code = "forgotten"


class EncodingError(TrustError):
    code = "encoding"


class UnfitError(LittoralError):
    code = "unfit"


class WrongRuntimeError(UnfitError):
    code = "wrong-runtime"


class OperatorsError(UnfitError):
    code = "operators"


class ShortMemoryError(UnfitError):
    code = "short-memory"


class OverAllowanceError(UnfitError):
    code = "over-allowance"


class PostponedError(LittoralError):
    code = "postponed"

    def __init__(self, words: str, *, until: datetime | None) -> None:
        super().__init__(words)
        self.until = until  # None: nobody can tell yet


class ClosedError(PostponedError):
    code = "window"


class MeteredError(PostponedError):
    code = "metered"


class SpentError(PostponedError):
    code = "allowance"


class TrialError(LittoralError):
    code = "trial"


class OutputsError(TrialError):
    code = "outputs"


class LatencyError(TrialError):
    code = "latency"

    def __init__(self, *, p95_us: float, budget_us: float) -> None:
        super().__init__(
            f"p95 of the CPU time is {p95_us:.0f} µs; the budget is {budget_us:.0f} µs"
        )
        self.p95_us, self.budget_us = p95_us, budget_us


class MemoryBudgetError(TrialError):
    code = "memory"


class CrashError(TrialError):
    code = "crash"


class DeadlineError(TrialError):
    code = "deadline"


class ThrottledError(TrialError):
    code = "throttled"


class UnhealthyError(TrialError):
    code = "unhealthy"


class FellBackError(UnhealthyError):
    code = "fell-back"


class BackendError(LittoralError):
    code = "backend"


class NotDelegatedError(BackendError):
    code = "not-delegated"


class BackendMissingError(BackendError):
    code = "backend-missing"


class ConversionError(LittoralError):
    code = "conversion"


class UnreachableError(LittoralError):
    code = "unreachable"


class OverloadedError(UnreachableError):
    code = "overloaded"


class ProxyError(UnreachableError):
    code = "proxy"


class BehindError(UnreachableError):
    code = "behind"


class DeniedError(LittoralError):
    code = "denied"


class RevokedError(DeniedError):
    code = "revoked"


class FrozenError(DeniedError):
    code = "frozen"


class SupersededError(DeniedError):
    code = "superseded"


class WaitingError(LittoralError):
    code = "waiting"


class WrongBoardError(LittoralError):
    code = "wrong-board"

    def __init__(self, device: str, *, enrolled: str, here: str) -> None:
        super().__init__(
            f"{device!r} is the board {enrolled}, and this is {here or 'one without a number'}: "
            "the card was moved or copied; make a token for this board and run 'littoral enroll'"
        )
        self.device, self.enrolled, self.here = device, enrolled, here


class RefusedError(LittoralError):
    code = "refused"


class UnfinishedError(LittoralError):
    code = "unfinished"


class StorageError(LittoralError):
    code = "storage"


class DiskFullError(StorageError):
    code = "disk-full"


class JournalError(StorageError):
    code = "journal"


class PortInUseError(LittoralError):
    code = "port-in-use"

    def __init__(self, where: str) -> None:
        super().__init__(
            f"cannot listen on {where}: another program does; stop it or choose another port"
        )


def _brief(text: str) -> str:
    """Return the beginning of a digest, and words as they are."""
    return f"{text[:12]}…" if re.fullmatch(r"[0-9a-f]{32,}", text) else text


class ChildError(LittoralError):
    code = "child"


class DefectError(LittoralError):
    code = "defect"

    def __init__(self, cause: Exception) -> None:
        super().__init__(
            f"{type(cause).__name__}: {cause}; this is a defect of littoral: "
            "run it again as 'littoral --debug …' and report what that shows"
        )
        self.cause = cause


def every(root: type[LittoralError] = LittoralError) -> Iterator[type[LittoralError]]:
    """Walk the tree: ``root``, then all below it."""
    yield root
    for below in root.__subclasses__():
        yield from every(below)
