"""A database that fails while words are taken: none of them is lost, and all are said again."""

import pytest
from sqlalchemy.exc import OperationalError, PendingRollbackError

from console.coast import Coast
from littoral.errors import StorageError
from littoral.wire.messages import Key, Report
from littoral_console import ingest, storing
from littoral_console.ingest import Effects, Heard


def hear(coast: Coast, report: Report) -> Effects:
    context, heard = coast.context, [Heard(device=report.key.device, channel="mqtt", said=report)]
    return context.database.writer.write(
        lambda c: ingest.apply(c, heard, director=context.director, now_ms=context.clock())
    )


@pytest.mark.parametrize(
    "error",
    [
        OperationalError("INSERT", {}, Exception("database or disk is full")),
        OperationalError("INSERT", {}, Exception("gone"), connection_invalidated=True),
        PendingRollbackError("it was lost in between"),
    ],
    ids=["full", "away", "lost"],
)
def test_what_the_database_could_not_take_is_neither_acknowledged_nor_lost(
    coast: Coast, monkeypatch: pytest.MonkeyPatch, error: Exception, request: pytest.FixtureRequest
) -> None:
    stream = f"outage-{request.node.callspec.id}"
    key = Key(device="lock-west", incarnation=1, stream=stream, sequence=1)
    report = Report(key=key, once=stream, time_ms=1_000, kind="boot")

    def fails(*_: object, **__: object) -> None:
        raise error

    with monkeypatch.context() as broken:
        broken.setattr(storing, "report", fails)
        with pytest.raises(StorageError):
            hear(coast, report)
    effects = hear(coast, report)
    assert (effects.refused, effects.acks["lock-west"]) == (0, {stream: 1})
    with coast.context.database.reading() as connection:
        lost = connection.exec_driver_sql(f"SELECT lost FROM streams WHERE stream = '{stream}'")
        assert lost.scalar_one() == 0
