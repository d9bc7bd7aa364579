"""``python -m littoral_agent.join DATA FILE`` asks once to enrol by the credential in FILE.

A process of its own: what it loads to make a key and to check certificates would stay in the
agent for ever, and the token stands in no list of processes. It says on its standard output
how it went, as one Outcome.
"""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from littoral import records
from littoral.errors import LittoralError, WaitingError

if TYPE_CHECKING:
    from littoral.tree import Tree

MOST_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    code: str | None = None  # of littoral.errors; None: this board is a device now
    words: str = ""
    retry_s: float = 0.0  # as the console wants it, while an operator has not decided


def ask(tree: "Tree", file: Path) -> Outcome:
    """Ask once, unless somebody enrolled this board meanwhile."""
    from littoral_agent import credential, settings
    from littoral_agent.enroll import Applicant, undecided
    from littoral_agent.identity import Enrolment

    applicant: Applicant | None = None
    try:
        given = credential.read(file)
        proxy = settings.read(tree).through
        applicant = Applicant(given.url, given.token, tree, name=given.name, proxy=proxy)
        answer = applicant.ask(anew=False)
    except LittoralError as e:
        return Outcome(code=e.code, words=str(e))
    finally:
        if applicant is not None:
            applicant.close()
    if isinstance(answer, Enrolment):
        return Outcome(words=answer.device)
    words = str(undecided(answer, applicant.fingerprint or ""))
    return Outcome(code=WaitingError.code, words=words, retry_s=answer.retry_s)


if __name__ == "__main__":
    from littoral.tree import Tree

    sys.stdout.buffer.write(records.to_json(ask(Tree(Path(sys.argv[1])), Path(sys.argv[2]))))
