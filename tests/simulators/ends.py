"""The agent's side of a channel: what it was told over it, and what it has to say."""

from dataclasses import replace

from littoral.errors import LittoralError
from littoral.wire.messages import Key, Report, Status
from littoral_agent.channel import Ends
from littoral_agent.spool import Spool


class AgentsSide:
    """What the agent was told over a channel, and what it has to say."""

    def __init__(self, spool: Spool) -> None:
        self.documents: list[bytes] = []
        self.unheard: list[LittoralError] = []
        self.listened = 0
        self.version = 0
        self.status = Status(device="pi-7", incarnation=1, online=True, software="test")
        self.spool = spool
        self.ends = Ends(
            device="pi-7",
            incarnation=1,
            spool=spool,
            status=lambda: replace(self.status, spool=spool.lowest()),
            heard=self.documents.append,
            version=lambda: self.version,
            listening=self._listening,
            unheard=self.unheard.append,
            status_every_s=60.0,
            keepalive_s=60.0,
            poll_every_s=60.0,
            retry_first_s=0.05,
            retry_most_s=0.3,
        )

    def _listening(self) -> None:
        self.listened += 1

    def report(self, many: int = 1) -> None:
        def body(key: Key) -> bytes:
            return Report(
                key=key, once=f"{key.sequence}", time_ms=1, kind="boot", detail=f"{key.sequence}"
            ).to_json()

        for _ in range(many):
            self.spool.add("report", body)

    @property
    def waiting(self) -> int:
        return len(self.spool.messages({}, limit=10_000))
