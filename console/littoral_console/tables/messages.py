"""What devices said, and up to where."""

from typing import Final

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from littoral_console.tables.columns import ID, SERIAL, SHA256, metadata

streams: Final = Table(
    "streams",
    metadata,
    Column("device", ForeignKey("devices.id"), primary_key=True),
    Column("incarnation", Integer, primary_key=True),
    Column("stream", ID, primary_key=True),
    Column("acked", BigInteger, nullable=False),  # all up to here is committed, or was lost
    Column("highest", BigInteger, nullable=False),
    Column("lost", BigInteger, nullable=False),  # sequences that the device said will never come
)

received: Final = Table(
    "received",  # only what lies above its stream's acked: below it, all is received
    metadata,
    Column("device", ID, primary_key=True),
    Column("incarnation", Integer, primary_key=True),
    Column("stream", ID, primary_key=True),
    Column("sequence", BigInteger, primary_key=True),
)

reports: Final = Table(
    "reports",
    metadata,
    Column("id", SERIAL, primary_key=True),
    Column("device", ForeignKey("devices.id"), nullable=False),
    Column("incarnation", Integer, nullable=False),
    Column("stream", ID, nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("once", String(64), nullable=False),  # what counts: a key may come again with another
    Column("time_ms", BigInteger, nullable=False),  # by the device's clock
    Column("received_ms", BigInteger, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("detail", Text, nullable=False),
    # of an update
    Column("model", ID),
    Column("event", String(16)),
    Column("state", String(16)),
    Column("release", BigInteger),
    Column("manifest", SHA256),
    Column("good", BigInteger),
    Column("running", BigInteger),
    Column("code", String(32)),
    Column("figures", JSON, nullable=False),
    UniqueConstraint("device", "once"),
    Index("ix_reports_device_id", "device", "id"),
    Index("ix_reports_model_id", "model", "id"),
)

telemetry: Final = Table(
    "telemetry",
    metadata,
    Column("id", SERIAL, primary_key=True),
    Column("device", ForeignKey("devices.id"), nullable=False),
    Column("incarnation", Integer, nullable=False),
    Column("stream", ID, nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("start_ms", BigInteger, nullable=False),
    Column("duration_ms", BigInteger, nullable=False),
    Column("model", ID, nullable=False),
    Column("release", BigInteger, nullable=False),
    Column("variant", ID, nullable=False),
    Column("stage", String(32), nullable=False),
    Column("count", BigInteger, nullable=False),
    Column("sketch", LargeBinary, nullable=False),
    UniqueConstraint(
        "device", "incarnation", "stream", "sequence", "model", "release", "variant", "stage"
    ),
    Index("ix_telemetry_start_ms_model", "start_ms", "model"),
)

model_errors: Final = Table(
    "model_errors",
    metadata,
    Column("device", ForeignKey("devices.id"), primary_key=True),
    Column("incarnation", Integer, primary_key=True),
    Column("stream", ID, primary_key=True),
    Column("sequence", BigInteger, primary_key=True),
    Column("model", ID, primary_key=True),
    Column("release", BigInteger, primary_key=True),
    Column("start_ms", BigInteger, nullable=False),
    Column("errors", BigInteger, nullable=False),
)

board_windows: Final = Table(
    "board_windows",
    metadata,
    Column("device", ForeignKey("devices.id"), primary_key=True),
    Column("incarnation", Integer, primary_key=True),
    Column("stream", ID, primary_key=True),
    Column("sequence", BigInteger, primary_key=True),
    Column("start_ms", BigInteger, nullable=False),
    Column("ends_ms", BigInteger, nullable=False),
    Column("figures", LargeBinary, nullable=False),  # a littoral.wire.board.BoardWindow, encoded
    Index("ix_board_windows_device_ends_ms", "device", "ends_ms"),
)
