"""What may run, what was asked for, and what shall run."""

from typing import Final

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
)

from littoral_console.tables.columns import ID, SHA256, metadata

models: Final = Table(
    "models",
    metadata,
    Column("name", ID, primary_key=True),
    Column("floor", BigInteger, nullable=False),
)

releases: Final = Table(
    "releases",
    metadata,
    Column("model", ID, primary_key=True),
    Column("release", BigInteger, primary_key=True),
    Column("label", Text, nullable=False),
    Column("task", String(32), nullable=False),
    Column("manifest", SHA256, nullable=False),
    Column("length", BigInteger, nullable=False),  # of the manifest
    Column("size", BigInteger, nullable=False),  # of its files, as they lie on a device
    Column("hardware", JSON, nullable=False),  # in the publisher's order of preference
    Column("document", LargeBinary, nullable=False),  # the manifest itself
    Column("added_ms", BigInteger, nullable=False),
    Column("withdrawn", Boolean, nullable=False),  # the newest signed targets name it no more
)

rollouts: Final = Table(
    "rollouts",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("model", ID, nullable=False),
    Column("release", BigInteger, nullable=False),
    Column("selector", Text, nullable=False),
    Column("force", Boolean, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Column("created_by", String(64), nullable=False),
)

rollout_devices: Final = Table(
    "rollout_devices",
    metadata,
    Column("rollout", ForeignKey("rollouts.id"), primary_key=True),
    Column("device", ForeignKey("devices.id"), primary_key=True),
    Column("hardware", String(32), nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("outcome", String(16), nullable=False),  # see littoral_console.outcomes.Outcome
    Column("step", String(16), nullable=False),  # the last event that the device reported
    Column("state", String(16), nullable=False),  # of the model after it; empty before the first
    Column("until_ms", BigInteger),  # when its probation should end
    Column("code", String(32)),
    Column("detail", Text, nullable=False),
    Column("updated_ms", BigInteger, nullable=False),
    Index("ix_rollout_devices_device", "device", "outcome"),
)

desired: Final = Table(
    "desired",
    metadata,
    Column("device", ForeignKey("devices.id"), primary_key=True),
    Column("model", ID, primary_key=True),
    Column("release", BigInteger, nullable=False),
    Column("manifest", SHA256, nullable=False),
    Column("length", BigInteger, nullable=False),
    Column("hardware", String(32), nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("rollout", ForeignKey("rollouts.id"), nullable=False),
)

director: Final = Table(
    "director",
    metadata,
    Column("device", ForeignKey("devices.id"), primary_key=True),
    Column("version", BigInteger, nullable=False),
    Column("expires_ms", BigInteger, nullable=False),
    Column("document", LargeBinary, nullable=False),
)
