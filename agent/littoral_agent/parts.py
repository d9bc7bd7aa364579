"""The agent's parts, wired together for who the device is."""

import logging
import math
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from littoral import __version__
from littoral.board import kernel
from littoral.errors import DefectError, LittoralError, StorageError
from littoral.tree import Tree
from littoral.trust.clock import TrustedClock
from littoral.wire.board import Board
from littoral.wire.journal import State
from littoral.wire.messages import Status
from littoral_agent import gates, hardware, identity, sources, struck
from littoral_agent.believe import Believer
from littoral_agent.board.sampler import Sampler
from littoral_agent.channel import Auto, Channel, Ends
from littoral_agent.coming import Progress
from littoral_agent.control import Control
from littoral_agent.deeds.means import Means
from littoral_agent.hands import Hands
from littoral_agent.hosts import Hosts
from littoral_agent.https import Https
from littoral_agent.identity import Enrolment
from littoral_agent.lasting import Lasting
from littoral_agent.ledger import Ledger
from littoral_agent.life import Life
from littoral_agent.offline import Offline
from littoral_agent.origin import Origin
from littoral_agent.preflight import Preflight
from littoral_agent.promises import Promises
from littoral_agent.receipt import Receipts
from littoral_agent.refusals import Refusals, Refused, still_refused
from littoral_agent.renewer import Renewer
from littoral_agent.reports import Reports
from littoral_agent.settings import MQTT, MiB, Settings
from littoral_agent.spool import Spool
from littoral_agent.state import Bounds, running
from littoral_agent.telemetry import Speed
from littoral_agent.watcher import Watcher
from littoral_agent.wishes import Wishes
from littoral_agent.worker import Worker

if TYPE_CHECKING:
    from littoral_agent.blocks import Blocks

DAY_S: Final = 24 * 3600

log = logging.getLogger(__name__)


class Parts:
    """Everything that knows who the device is, wired together."""

    def __init__(
        self,
        tree: Tree,
        settings: Settings,
        enrolment: Enrolment | None,
        *,
        instance: str = "",
        alone: bool = False,
    ) -> None:
        """Make them; ``alone``, they speak with nobody."""
        self._tree, self._settings, self._enrolment = tree, settings, enrolment
        self._boot, self._instance = kernel.boot(Path("/")) or "unknown", instance
        self._hardware = settings.hardware or hardware.detect()
        self._clock = TrustedClock(tree.clock)
        self._spool: Spool | None = None
        self._origin: Origin | None = None
        self._hosts = Hosts.of(settings)
        self._renewer: Renewer | None = None
        self._blocks: Blocks | None = None
        self._receipts: Receipts | None = None
        control = Control(tree.control)
        believer: Believer | None = None
        if enrolment is not None:
            self._spool = Spool(
                tree.spool,
                device=enrolment.device,
                incarnation=enrolment.incarnation,
                cap_bytes=settings.spool_cap_bytes,
            )
            self._origin = Origin(
                enrolment.url, ca=identity.of(tree).console_ca, proxy=settings.through
            )
            self._renewer = Renewer(tree, enrolment, now=self._clock.now)
            self._receipts = Receipts(self._spool, status=self.status, pair=self._renewer.pair)
            believer = self._believer(enrolment, self._origin, control)
        self._reports = Reports(self._spool, now_ms=self._now_ms)
        self._refusals = Refusals(self._reports)
        self._gates = gates.of(settings, tree.usage, now=self._clock.now, sure=self._knows_time)
        means = Means(
            tree=tree,
            settings=settings,
            control=control,
            sources=believer.sources if believer else None,
            struck=struck.telling(self._reports),
            gates=self._gates,
        )
        self._means = means
        self._lasting = Lasting(self._now_ms)
        promises, hands = Promises(Ledger(tree), self._reports, settings), Hands()
        self._life = Life(promises, means, hands, boot=self._boot, named=self._named)
        self._wishes: Wishes | None = None
        if believer is not None:
            self._wishes = Wishes(means, believer, self._life, self._refusals, hands)
        self._worker = Worker(self._life, self._wishes, hands, changed=self._changed)
        self._sampler = Sampler(tree.root, disk_low_mib=settings.disk_low_bytes / MiB)
        self._sampler.look()
        self._watcher = self._watching(control)
        self.offline = self._without_network(believer)
        self.channel = None if alone else self._channel()
        if self._renewer is not None and self.channel is not None:
            self._renewer.wake, self._renewer.anew = self.channel.wake, self.channel.anew

    def _believer(self, enrolment: Enrolment, origin: Origin, control: Control) -> Believer:
        names = self._settings.sources
        if MQTT in names:
            from littoral_agent.blocks import Blocks

            self._blocks = Blocks()
        return Believer(
            self._tree,
            enrolment,
            sources=sources.of(names, origin, hosts=self._hosts, blocks=self._blocks),
            clocks=sources.clocks(names, origin, blocks=self._blocks),
            clock=self._clock,
            hardware=self._hardware,
            preflight=Preflight(ask=control.runtime, free_bytes=kernel.free_bytes),
        )

    def _watching(self, control: Control) -> Watcher:
        return Watcher(
            control,
            self._settings,
            self._spool,
            started=self._worker.serve_started,
            changed=self._changed,
            busy=self._watched,
            ahead_s=lambda: self._clock.system_ahead_s,
            sampler=self._sampler,
        )

    def _without_network(self, believer: Believer | None) -> Offline:
        return Offline(
            self._tree,
            self._enrolment.device if self._enrolment else None,
            believer.sources if believer else None,
            worker=self._worker,
            wishes=self._wishes,
            life=self._life,
            watcher=self._watcher,
            receipts=self._receipts,
            reports=self._reports,
            unheard=self._unheard,
            every_s=self._settings.poll_every_s,
        )

    def start(self) -> None:
        """Start every thread."""
        if self._enrolment is not None:
            once = f"boot/{self._enrolment.incarnation}/{self._boot}"
            self._reports.tell("boot", f"littoral {__version__}, boot {self._boot}", once=once)
        if self._spool is not None:
            self._spool.waiting = self._changed
        self._worker.start()
        self._watcher.start()
        self.offline.start()
        if self.channel is not None:
            self.channel.start()

    def stop(self) -> None:
        """Stop them, the channel last: it says goodbye."""
        self.offline.stop()
        self._worker.stop()
        self._watcher.stop()
        if self.channel is not None:
            self.channel.stop()
        if self._spool is not None:
            self._spool.close()
        if self._origin is not None:
            self._origin.close()
        self._hosts.close()

    def tick(self) -> None:
        """See that all threads live, and let the channel take note of the time.

        Raises:
            DefectError: One does not.

        """
        if not self._worker.alive or not self._watcher.alive:
            raise DefectError(RuntimeError("a thread of the agent ended; its log says why"))
        self._reports.flush()
        self.offline.tick()
        if self._lasting.see(self.unreached):
            self._changed()
        if self.channel is not None:
            self.channel.tick()
        if self._renewer is not None:
            self._renewer.tick()
        if self._clock.source == "signed" and abs(self._clock.system_ahead_s) > DAY_S:
            ahead = self._clock.system_ahead_s
            self._reports.tell(
                "clock",
                f"the system's clock is {ahead / DAY_S:+.1f} days off the console's",
                once=f"clock/{self._boot}",
            )

    def check(self) -> None:
        """Return when the spool answers, which it does at once or, when it hangs, never."""
        self._lowest()

    def _channel(self) -> Channel | None:
        enrolment, spool, origin = self._enrolment, self._spool, self._origin
        if enrolment is None or spool is None or origin is None:
            return None
        who = identity.of(self._tree)
        ends = Ends(
            device=enrolment.device,
            incarnation=enrolment.incarnation,
            spool=spool,
            status=self.status,
            heard=self._worker.hear,
            version=lambda: self._wishes.version if self._wishes else 0,
            listening=self._reports.dropped,
            unheard=self._unheard,
            status_every_s=self._settings.status_every_s,
            keepalive_s=self._settings.keepalive_s,
            poll_every_s=self._settings.poll_every_s,
            retry_first_s=self._settings.retry_first_s,
            retry_most_s=self._settings.retry_most_s,
            denied_retry_s=self._settings.denied_retry_s,
            renewer=self._renewer,
            moved=self._moved,
            blocks=self._blocks,
        )
        if self._settings.channel == "https" or enrolment.broker is None:
            return Https(ends, who, origin=origin)
        from littoral_agent.mqtt import Mqtt

        broker = Mqtt(ends, who, broker=enrolment.broker, proxy=self._settings.through)
        if self._settings.channel == "mqtt":
            return broker
        return Auto(
            broker,
            lambda: Https(ends, who, origin=origin),
            fallback_after_s=self._settings.fallback_after_s,
        )

    def _unheard(self, error: LittoralError) -> None:
        """Tell that the director's word came in a way that nobody can take."""
        self._refusals.document(error, version=self._wishes.version if self._wishes else 0)

    def _moved(self, broker: str) -> None:
        """Remember that the console's broker is elsewhere: the agent begins anew with that."""
        known = self._enrolment
        if known is None or known.broker == broker:
            return
        who = identity.of(self._tree)
        try:
            with who.settling():
                if who.read() == known:
                    who.write(replace(known, broker=broker))
                    log.info("the console's broker is at %s", broker)
        except StorageError as e:
            log.warning("where the broker is cannot be kept: %s [%s]", e, e.code)

    def status(self) -> Status:
        """Return what the device is and runs now, as far as serve says."""
        serving, enrolment = self._watcher.serving, self._enrolment
        return Status(
            device=enrolment.device if enrolment else "nobody",
            incarnation=enrolment.incarnation if enrolment else 1,
            online=True,
            time_ms=self._now_ms(),
            software=__version__,
            hardware=self._hardware,
            models=running(dict(self._life.journals).values(), serving, self.coming),
            trust=enrolment.trust if enrolment else "first-use",
            clock=self._clock.source,
            director=self._wishes.version if self._wishes else 0,
            spool=self._lowest(),
            serving=serving is not None,
            instance=self._instance,
            certificate=self._renewer.using if self._renewer else "",
            receipts=self._left(),
            heard_every_s=math.ceil(self._settings.telemetry_window_s),
            board=self._sampler.board,
            unreached=self._lasting.told,
        )

    @property
    def coming(self) -> dict[str, Progress]:
        """Return by model how far the files of its candidate are, while they come."""
        known = self._means.coming
        return {
            one.model: found
            for one in dict(self._life.journals).values()
            if one.state is State.FETCHING and one.candidate is not None
            if (found := known.progress(one.model, one.candidate.manifest)) is not None
        }

    @property
    def clock(self) -> str:
        return self._clock.source

    @property
    def speeds(self) -> tuple[Speed, ...]:
        return self._watcher.speeds

    @property
    def refused(self) -> dict[str, Refused]:
        """Return by model what is named now and was refused before its first byte."""
        if self._wishes is None:
            return {}
        known, version = dict(self._wishes.refused), self._wishes.version
        return still_refused(known, self._life.journals.copy(), version=version)

    @property
    def unreached(self) -> LittoralError | None:
        """Return why what is wanted could not be looked at to its end, or does not come."""
        known = self._wishes.unreached if self._wishes is not None else None
        return known or self._life.agenda.unfetched

    @property
    def board(self) -> Board:
        return self._sampler.board

    @property
    def bounds(self) -> Bounds:
        usage, rate = self._gates.usage, self._gates.rate
        return Bounds(
            used_bytes=usage.promised_bytes if usage else 0,
            month_bytes=usage.most_bytes if usage else 0,
            rate_bytes_per_s=rate.bytes_per_s if rate else 0.0,
        )

    def waiting(self) -> dict[str, int]:
        """Return by kind how many messages the console has not acknowledged."""
        try:
            return self._spool.held() if self._spool else {}
        except StorageError:
            return {}

    def _lowest(self) -> dict[str, int]:
        try:
            return self._spool.lowest() if self._spool else {}
        except StorageError:
            return {}

    def _left(self) -> int:
        try:
            return self._receipts.many if self._receipts else 0
        except StorageError:
            return 0

    def _knows_time(self) -> bool:
        return self._clock.source != "floor-only"

    def _now_ms(self) -> int:
        return int(self._clock.now().timestamp() * 1000)

    def _watched(self) -> bool:
        """Whether any candidate is on probation."""
        held = self._life.journals.copy()
        return any(one.state is State.PROBATION for one in held.values())

    def _named(self) -> frozenset[str]:
        return self._wishes.named if self._wishes else frozenset()

    def _changed(self) -> None:
        self.offline.changed()
        if self.channel is not None:
            self.channel.wake()
