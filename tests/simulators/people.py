"""People who hold the keys of one repository, each on a machine of their own.

people = People(tmp_path)                      # anna, bert, carl: root; dora: targets
people.found()                                 # they sign the first root and targets
drafts = ceremony.draft_targets(people.repo, people.trusting(birds="emil"), now=NOW)
people.sign(drafts, "dora", "emil")            # through files, as a stick carries them
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from securesystemslib.signer import Key, SSlibKey

from littoral.trust import collecting, founding, keyfiles, writer
from littoral.trust.ceremony import Changes
from littoral.trust.drafts import OWNER, Draft, load, merge, save, write

NOW: Final = datetime(2027, 6, 1, tzinfo=UTC)
ROOT: Final = ("anna", "bert", "carl")
TARGETS: Final = ("dora",)


class People:
    """Machines are folders in ``base``; nobody's secret key is in another's."""

    def __init__(self, base: Path) -> None:
        self.base, self.repo = base, base / "repo"
        self.offline, self.online = base / "offline", base / "online"

    def key(self, who: str) -> Path:
        """Return the key file of ``who``, made at first sight: a key on a token is one too."""
        path = keyfiles.held(self.base / who, who) or self.base / who / f"{who}.pem"
        if not path.exists():
            keyfiles.new(path)
        return path

    def public(self, who: str) -> Key:
        key = keyfiles.read(self.key(who)).public
        return SSlibKey(key.keyid, key.keytype, key.scheme, key.keyval, {OWNER: who})

    def keyid(self, who: str) -> str:
        return self.public(who).keyid

    def trusting(self, **roles: str) -> Changes:
        return Changes(trust=tuple((role, self.public(who)) for role, who in roles.items()))

    def first(self) -> tuple[Draft, ...]:
        return founding.draft(
            self.repo,
            {"root": [*map(self.public, ROOT)], "targets": [*map(self.public, TARGETS)]},
            thresholds={},
            offline=self.offline,
            online=self.online,
            fleet="shore",
            now=NOW,
        )

    def sign(self, drafts: Iterable[Draft], *who: str) -> tuple[Draft, ...]:
        """Return what comes back when each of ``who`` was sent a copy of ``drafts``."""
        sent, back = list(drafts), []
        for one in who:
            for draft in sent:
                path = save(self.base / one / "inbox", draft)
                copy = load(path)
                if copy.wants(self.keyid(one)):
                    write(path, copy.signed_by(keyfiles.load_signer(self.key(one))))
                back.append(load(path))
        return merge(back)

    def collect(self, drafts: Iterable[Draft], *who: str) -> None:
        collecting.collect(self.repo, self.sign(drafts, *who), now=NOW)

    def found(self) -> None:
        self.collect(self.first(), "anna", "bert", "dora")

    def renew(self) -> None:
        writer.renew(self.repo, online=self.online, now=NOW)

    def versions(self) -> dict[str, int]:
        """Return the versions of all roles, if all of it holds."""
        return {row.role: row.version for row in writer.verify(self.repo, now=NOW)}
