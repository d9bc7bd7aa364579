"""What a reason code means, for a person who reads the console. Words only.

Every code of ``littoral.errors`` stands here; a test compares the two. A code that a newer
device sends and this console does not know is shown as it is.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

Tone = Literal["good", "busy", "bad", "calm"]


@dataclass(frozen=True, slots=True)
class Reason:
    title: str
    meaning: str
    tone: Tone = "bad"


_REASONS: Final[dict[str, Reason]] = {
    # what arrived is not what was promised
    "untrusted": Reason(
        "Not trusted", "What arrived is not what was promised. Nothing of it was run."
    ),
    "signature": Reason(
        "Not signed by a trusted key",
        "Too few of the keys that this fleet's root trusts signed it. Somebody else made it, or "
        "it was changed after it was signed.",
    ),
    "rollback": Reason(
        "Older than what was accepted before",
        "Signed metadata with a lower version was offered: an old copy, or an attacker replaying "
        "one. Push the older release by its number instead; that is allowed.",
    ),
    "floor": Reason(
        "Below the floor",
        "The publisher raised the model's floor for security: this release may not be newly "
        "activated.",
    ),
    "mix": Reason(
        "Parts that do not belong together",
        "The repository and the director do not name the same manifest, or parts of different "
        "versions were put together. A device activates only what both name.",
    ),
    "hash": Reason(
        "Not the bytes that were signed",
        "A file's digest is another than the signed one: damaged on the way, or changed.",
    ),
    "expired": Reason(
        "Signatures have expired",
        "The metadata's time is over. Renew it where its key is; what runs goes on running.",
    ),
    "endless": Reason(
        "More bytes than were announced",
        "The source sent more than the signed size allows; the download was cut off.",
    ),
    "slow": Reason(
        "Fewer bytes than a source must give",
        "The download was slower than the device's lowest rate, so it was given up.",
        "busy",
    ),
    "stale": Reason(
        "An older copy of the releases",
        "The medium or server that it asks is behind what it knows. No attack: copy anew.",
        "busy",
    ),
    "wrong-device": Reason(
        "Meant for another device",
        "The director's document names another device, incarnation or fleet.",
    ),
    "wrong-hardware": Reason(
        "Made for other hardware",
        "No variant of this release runs on what the device has.",
    ),
    "forgotten": Reason(
        "A file is missing from the repository",
        "The signed metadata names a file that the repository does not hold. Upload it again.",
    ),
    "encoding": Reason(
        "An encoding that is not the file",
        "What a patch or a compressed file was decoded to is not the file that was signed. The "
        "device took another way: the update goes on, for more bytes.",
        "busy",
    ),
    # what arrived cannot be read
    "bundle": Reason("Not a bundle", "What arrived cannot be a release."),
    "malformed": Reason(
        "It cannot be read", "The document is not of the form that littoral writes."
    ),
    "unsupported-format": Reason(
        "A newer format",
        "It is of a format that this version does not know: install a newer littoral, or publish "
        "for this one.",
    ),
    # the device cannot take it, or not now
    "unfit": Reason("This device cannot take it", "It lacks what the release requires."),
    "wrong-runtime": Reason(
        "Another version of the runtime",
        "The release requires versions of the runtime that the device does not have. Nothing of "
        "it was downloaded.",
    ),
    "operators": Reason(
        "Operators that its runtime does not know",
        "The model uses an operator, or a version of one, that came after the device's runtime. "
        "Nothing of it was downloaded.",
    ),
    "short-memory": Reason(
        "Too little free memory",
        "The release requires more memory than the device has free. It is looked at again.",
    ),
    "over-allowance": Reason(
        "More than a month's bytes",
        "The download is larger than all that the device may bring in a month.",
    ),
    "postponed": Reason("Not now", "The device takes it up again when its time comes.", "calm"),
    "window": Reason(
        "Waits for its window",
        "No maintenance window of the device is open. It goes on by itself when one is.",
        "calm",
    ),
    "metered": Reason(
        "Waits for another network",
        "The device's network is paid for by the byte. It goes on when it has another one, or "
        "when it has waited long enough.",
        "calm",
    ),
    "allowance": Reason(
        "Waits for next month",
        "The device has used up the bytes that it may bring in a month (of UTC).",
        "calm",
    ),
    # the candidate ran, and did not prove itself
    "trial": Reason("Failed its trial", "The candidate ran on the device and did not pass."),
    "outputs": Reason(
        "Other outputs than its golden ones",
        "On the device the model's answers lie further from the golden outputs than allowed. Its "
        "bytes are quarantined there.",
    ),
    "latency": Reason(
        "Slower than its budget",
        "The 95th percentile of the model's CPU time on the device is over the release's budget.",
    ),
    "memory": Reason("Larger than its memory budget", "It took more memory than it may have."),
    "crash": Reason("It crashed", "The model ended the process that tried it."),
    "throttled": Reason(
        "Too slow, on a slowed board", "Heat or a weak supply slowed the board down meanwhile."
    ),
    "deadline": Reason("Not done in time", "The trial did not end before its deadline."),
    "unhealthy": Reason(
        "Failed on probation",
        "It passed its trial but did badly on live requests; the last good release took over.",
    ),
    "fell-back": Reason(
        "Proven no longer",
        "The device had proven this release, and calls another one good now, though nobody "
        "ordered that: its journal was lost, or its card was restored from an older copy.",
    ),
    # the model cannot be run or made
    "backend": Reason("It cannot be run here", "The runtime on the device refused the model."),
    "not-delegated": Reason(
        "Not compiled for this accelerator", "It would have run on the processor instead."
    ),
    "backend-missing": Reason(
        "Runtime or accelerator missing",
        "The device has no runtime for this variant, or its accelerator does not answer.",
    ),
    "conversion": Reason("It cannot be converted", "The converter refused the model."),
    # the world around it
    "overloaded": Reason(
        "Too much to do",
        "It has more to do than it takes on just now. It is tried again by itself.",
        "busy",
    ),
    "unreachable": Reason(
        "No answer", "A server did not answer. The device waits and tries again.", "busy"
    ),
    "behind": Reason(
        "A copy is behind",
        "The copy of the repository that it asks does not have the release yet. The device tries "
        "again by itself: bring the copy up to date, before a release is pushed.",
        "busy",
    ),
    "proxy": Reason(
        "Its proxy says no",
        "The proxy on the device's way out did not let it through. It tries again by itself.",
        "busy",
    ),
    "refused": Reason(
        "Devices said no",
        "A device that was asked refused the release, or it did not prove itself.",
    ),
    "unfinished": Reason(
        "Not finished yet", "It goes on; whoever waited for it waited no longer.", "busy"
    ),
    "denied": Reason("Denied", "A server said no; asking again will not help."),
    "revoked": Reason(
        "Revoked", "An operator ended the device's identity. A token made for its name begins anew."
    ),
    "frozen": Reason(
        "Frozen",
        "Two processes claimed to be this device in turn: a copy of its key is about. Neither is "
        "heard until an operator thaws it or it is enrolled anew.",
    ),
    "superseded": Reason(
        "Superseded",
        "A newer certificate took the place of the one that was shown: a restored card, or an old "
        "key in other hands.",
    ),
    "waiting": Reason(
        "Waits for an operator", "Somebody has to approve the claim of this device.", "busy"
    ),
    "wrong-board": Reason(
        "Another board",
        "The identity on this card is of another board: the card was moved, or copied.",
    ),
    "storage": Reason("The disk does not keep what it is given", "Look after the disk."),
    "disk-full": Reason(
        "No room on the disk",
        "The release does not fit beside the reserve that the device keeps free.",
    ),
    "journal": Reason(
        "A journal could not be read",
        "The file that remembers an update was damaged. It was put aside; the device started anew.",
    ),
    "port-in-use": Reason("Port in use", "Another program listens where littoral would."),
    # a caller's mistake, a defect of ours
    "usage": Reason("Not a request that can be met", "Something was asked for in a wrong way."),
    "not-found": Reason("Not here", "There is nothing of that name."),
    "setting": Reason("A wrong setting", "A setting is unknown, missing or of the wrong kind."),
    "missing-extra": Reason("Packages are missing", "Python packages of this part are missing."),
    "error": Reason("An error", "Its message says more."),
    "child": Reason(
        "Not answered",
        "A program that the device asked crashed or took too long; it is asked again.",
    ),
    "defect": Reason("A defect of littoral", "Nobody thought of this. Please report it."),
}


def reason(code: str) -> Reason:
    """Return the words for ``code``, also where there are none."""
    return _REASONS.get(code, Reason(code, "A code that this console has no words for."))


def codes() -> tuple[str, ...]:
    """Return every code there are words for."""
    return tuple(_REASONS)


@dataclass(frozen=True, slots=True)
class Word:
    """How a state, a step or an outcome is called, and how it feels."""

    text: str
    tone: Tone


_WORDS: Final[dict[str, Word]] = {
    # outcomes of a rollout on a device
    "pending": Word("under way", "busy"),
    "healthy": Word("healthy", "good"),
    "refused": Word("refused", "bad"),
    "failed": Word("failed", "bad"),
    "superseded": Word("superseded", "calm"),
    # states of a model on a device
    "idle": Word("steady", "good"),
    "fetching": Word("fetching", "busy"),
    "testing": Word("on trial", "busy"),
    "probation": Word("in probation", "busy"),
    # steps of an update's life
    "": Word("waiting", "calm"),
    "asked": Word("asked for", "calm"),
    "console": Word("not asked", "calm"),
    "desired": Word("asked for", "calm"),
    "dropped": Word("called off", "calm"),
    "removed": Word("removed", "calm"),
    "fetched": Word("files arrived", "busy"),
    "postponed": Word("waits", "calm"),
    "passed": Word("passed its trial", "busy"),
    "stumbled": Word("cut short", "busy"),
    "woke": Word("woke up", "calm"),
    # reports of other kinds
    "boot": Word("started", "calm"),
    "journal": Word("journal", "bad"),
    "clock": Word("clock", "calm"),
    "director": Word("director's document refused", "bad"),
    "encoding": Word("encoding given up", "busy"),
    # what was done about who a device is
    "device.enroll": Word("enrolled", "good"),
    "device.revoke": Word("revoked", "bad"),
    "device.freeze": Word("frozen", "bad"),
    "device.thaw": Word("thawed", "calm"),
    "device.rotate": Word("newer key asked for", "busy"),
    "device.renew": Word("newer key heard", "good"),
}


def word(name: str) -> Word:
    """Return how ``name`` is called, as it is where there is no other word."""
    return _WORDS.get(name, Word(name, "calm"))


def tally(counts: Mapping[str, int]) -> str:
    """Return outcomes and how many devices had each, for who cannot see the bar."""
    return ", ".join(f"{many} {word(name).text}" for name, many in counts.items()) or "no device"
