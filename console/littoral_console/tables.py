"""What the console remembers: its tables, and nothing about how they are filled.

Types are those that SQLite and PostgreSQL both have. A time is milliseconds since 1970; a
secret is kept as its sha256; a document that devices believe is kept as the bytes they get.
A change here is a migration in ``migrations/versions``; a test compares the two.
"""

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
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

metadata: Final = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

_ID = String(64)
_SHA256 = String(64)
_SERIAL = BigInteger().with_variant(Integer, "sqlite")  # SQLite counts INTEGER keys only

# -- the console itself, and the people who use it

settings: Final = Table(
    "settings",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("value", Text, nullable=False),
)

users: Final = Table(
    "users",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", String(64), nullable=False, unique=True),
    Column("password", Text, nullable=False),  # argon2, with its salt and parameters
    Column("role", String(16), nullable=False),  # administrator, viewer
    Column("created_ms", BigInteger, nullable=False),
    Column("disabled_ms", BigInteger),
)

api_tokens: Final = Table(
    "api_tokens",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("user", ForeignKey("users.id"), nullable=False),
    Column("name", String(64), nullable=False),
    Column("digest", _SHA256, nullable=False, unique=True),
    Column("created_ms", BigInteger, nullable=False),
    Column("expires_ms", BigInteger),
    Column("used_ms", BigInteger),  # the last time, to the minute
    Column("revoked_ms", BigInteger),
)

sessions: Final = Table(
    "sessions",
    metadata,
    Column("digest", _SHA256, primary_key=True),
    Column("user", ForeignKey("users.id"), nullable=False),
    Column("csrf", String(64), nullable=False),
    Column("expires_ms", BigInteger, nullable=False),
)

audit: Final = Table(
    "audit",
    metadata,
    Column("id", _SERIAL, primary_key=True),
    Column("time_ms", BigInteger, nullable=False),
    Column("who", String(64), nullable=False),
    Column("action", String(64), nullable=False),
    Column("subject", String(200), nullable=False),
    Column("detail", JSON, nullable=False),
    Column("chain", _SHA256, nullable=False),  # of the entry before and of this one
)

# -- devices

enrolment_tokens: Final = Table(
    "enrolment_tokens",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("digest", _SHA256, nullable=False, unique=True),
    Column("device", _ID),  # the only name it may give, None: the device chooses
    Column("serial", String(128)),  # the only board that may use it, None: any
    Column("labels", JSON, nullable=False),
    Column("approve", Boolean, nullable=False),  # an operator decides on the claim
    Column("created_ms", BigInteger, nullable=False),
    Column("created_by", String(64), nullable=False),
    Column("expires_ms", BigInteger, nullable=False),
    Column("used_ms", BigInteger),
    Column("used_by", _ID),
)

claims: Final = Table(
    "claims",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("token", ForeignKey("enrolment_tokens.id"), nullable=False, unique=True),
    Column("device", _ID, nullable=False),
    Column("serial", String(128), nullable=False),
    Column("key", _SHA256, nullable=False),  # of the public key: no other may take it further
    Column("hardware", JSON, nullable=False),
    Column("software", String(64), nullable=False),
    Column("address", String(64), nullable=False),  # where it came from, as the socket says
    Column("asked_ms", BigInteger, nullable=False),
    Column("seen_ms", BigInteger, nullable=False),  # when it asked last
    Column("state", String(16), nullable=False),  # see littoral_console.claims.State
    Column("decided_ms", BigInteger),
    Column("decided_by", String(64)),
)

devices: Final = Table(
    "devices",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("serial", String(128), nullable=False, unique=True),
    Column("incarnation", Integer, nullable=False),
    Column("labels", JSON, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Column("revoked_ms", BigInteger),
    Column("frozen_ms", BigInteger),
    Column("frozen_why", Text),
    Column("sightings", JSON),  # see littoral_console.clones
    Column("rotate_ms", BigInteger),  # a newer key was asked for, and it was not heard by it yet
    Column("renewal", _ID),  # how messages name the certificate that waits to be heard
    # what the device says of itself
    Column("online", Boolean, nullable=False),
    Column("last_seen_ms", BigInteger),
    Column("channel", String(8)),  # mqtt, https
    Column("software", String(64), nullable=False),
    Column("hardware", JSON, nullable=False),
    Column("trust", String(16)),
    Column("clock", String(16)),
    Column("serving", Boolean, nullable=False),
    Column("director", BigInteger, nullable=False),  # version of the document it believes
    Column("heard_every_s", BigInteger),  # how often it says something at least, over MQTT
    Column("board", JSON),  # littoral.wire.board.Board
)

incarnations: Final = Table(
    "incarnations",
    metadata,
    Column("device", ForeignKey("devices.id"), primary_key=True),
    Column("incarnation", Integer, primary_key=True),
    Column("certificate", String(64), nullable=False),  # its serial number, hex
    Column("certificate_sha256", _SHA256, nullable=False),
    Column("chain", Text, nullable=False),  # PEM, as the device got it
    Column("created_ms", BigInteger, nullable=False),
)

renewals: Final = Table(
    "renewals",  # certificates after an incarnation's first; that incarnation's row has the present
    metadata,
    Column("device", ForeignKey("devices.id"), primary_key=True),
    Column("incarnation", Integer, primary_key=True),
    Column("key", _SHA256, primary_key=True),  # of the public key: one key, one answer
    Column("certificate", String(64), nullable=False),  # its serial number, hex
    Column("certificate_sha256", _SHA256, nullable=False),
    Column("chain", Text, nullable=False),
    Column("issued_ms", BigInteger, nullable=False),
    Column("heard_ms", BigInteger),  # the device spoke by it: it took the other's place
    Column("replaced", String(64)),  # the serial number of that other one
    Column("dropped_ms", BigInteger),  # another key was asked for before it was heard
)

device_models: Final = Table(
    "device_models",
    metadata,
    Column("device", ForeignKey("devices.id"), primary_key=True),
    Column("model", _ID, primary_key=True),
    Column("state", String(16), nullable=False),
    Column("release", BigInteger),
    Column("manifest", _SHA256),
    Column("variant", _ID),
    Column("good", BigInteger),
    Column("candidate", BigInteger),
    Index("ix_device_models_release", "model", "release"),
)

# -- what may run, and what shall

models: Final = Table(
    "models",
    metadata,
    Column("name", _ID, primary_key=True),
    Column("floor", BigInteger, nullable=False),
)

releases: Final = Table(
    "releases",
    metadata,
    Column("model", _ID, primary_key=True),
    Column("release", BigInteger, primary_key=True),
    Column("label", Text, nullable=False),
    Column("task", String(32), nullable=False),
    Column("manifest", _SHA256, nullable=False),
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
    Column("model", _ID, nullable=False),
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
    Column("model", _ID, primary_key=True),
    Column("release", BigInteger, nullable=False),
    Column("manifest", _SHA256, nullable=False),
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

# -- what devices said

streams: Final = Table(
    "streams",
    metadata,
    Column("device", ForeignKey("devices.id"), primary_key=True),
    Column("incarnation", Integer, primary_key=True),
    Column("stream", _ID, primary_key=True),
    Column("acked", BigInteger, nullable=False),  # all up to here is committed, or was lost
    Column("highest", BigInteger, nullable=False),
    Column("lost", BigInteger, nullable=False),  # sequences that the device said will never come
)

received: Final = Table(
    "received",  # only what lies above its stream's acked: below it, all is received
    metadata,
    Column("device", _ID, primary_key=True),
    Column("incarnation", Integer, primary_key=True),
    Column("stream", _ID, primary_key=True),
    Column("sequence", BigInteger, primary_key=True),
)

reports: Final = Table(
    "reports",
    metadata,
    Column("id", _SERIAL, primary_key=True),
    Column("device", ForeignKey("devices.id"), nullable=False),
    Column("incarnation", Integer, nullable=False),
    Column("stream", _ID, nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("time_ms", BigInteger, nullable=False),  # by the device's clock
    Column("received_ms", BigInteger, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("detail", Text, nullable=False),
    # of an update
    Column("model", _ID),
    Column("event", String(16)),
    Column("state", String(16)),
    Column("release", BigInteger),
    Column("manifest", _SHA256),
    Column("good", BigInteger),
    Column("running", BigInteger),
    Column("code", String(32)),
    Column("figures", JSON, nullable=False),
    UniqueConstraint("device", "incarnation", "stream", "sequence"),
    Index("ix_reports_device_id", "device", "id"),
    Index("ix_reports_model_id", "model", "id"),
)

telemetry: Final = Table(
    "telemetry",
    metadata,
    Column("id", _SERIAL, primary_key=True),
    Column("device", ForeignKey("devices.id"), nullable=False),
    Column("incarnation", Integer, nullable=False),
    Column("stream", _ID, nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("start_ms", BigInteger, nullable=False),
    Column("duration_ms", BigInteger, nullable=False),
    Column("model", _ID, nullable=False),
    Column("release", BigInteger, nullable=False),
    Column("variant", _ID, nullable=False),
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
    Column("stream", _ID, primary_key=True),
    Column("sequence", BigInteger, primary_key=True),
    Column("model", _ID, primary_key=True),
    Column("release", BigInteger, primary_key=True),
    Column("start_ms", BigInteger, nullable=False),
    Column("errors", BigInteger, nullable=False),
)

board_windows: Final = Table(
    "board_windows",
    metadata,
    Column("device", ForeignKey("devices.id"), primary_key=True),
    Column("incarnation", Integer, primary_key=True),
    Column("stream", _ID, primary_key=True),
    Column("sequence", BigInteger, primary_key=True),
    Column("start_ms", BigInteger, nullable=False),
    Column("ends_ms", BigInteger, nullable=False),
    Column("figures", LargeBinary, nullable=False),  # a littoral.wire.board.BoardWindow, encoded
    Index("ix_board_windows_device_ends_ms", "device", "ends_ms"),
)
