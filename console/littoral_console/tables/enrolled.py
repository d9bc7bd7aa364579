"""Who is admitted, which devices there are, and what they say of themselves."""

from typing import Final

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    String,
    Table,
    Text,
)

from littoral_console.tables.columns import ID, SHA256, metadata

enrolment_tokens: Final = Table(
    "enrolment_tokens",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("digest", SHA256, nullable=False, unique=True),
    Column("device", ID),  # the only name it may give, None: the device chooses
    Column("serial", String(128)),  # the only board that may use it, None: any
    Column("labels", JSON, nullable=False),
    Column("approve", Boolean, nullable=False),  # an operator decides on the claim
    Column("created_ms", BigInteger, nullable=False),
    Column("created_by", String(64), nullable=False),
    Column("expires_ms", BigInteger, nullable=False),
    Column("used_ms", BigInteger),
    Column("used_by", ID),
)

claims: Final = Table(
    "claims",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("token", ForeignKey("enrolment_tokens.id"), nullable=False, unique=True),
    Column("device", ID, nullable=False),
    Column("serial", String(128), nullable=False),
    Column("key", SHA256, nullable=False),  # of the public key: no other may take it further
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
    Column("id", ID, primary_key=True),
    Column("serial", String(128), nullable=False, unique=True),
    Column("incarnation", Integer, nullable=False),
    Column("labels", JSON, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Column("revoked_ms", BigInteger),
    Column("frozen_ms", BigInteger),
    Column("frozen_why", Text),
    Column("sightings", JSON),  # see littoral_console.clones
    Column("rotate_ms", BigInteger),  # a newer key was asked for, and it was not heard by it yet
    Column("renewal", ID),  # how messages name the certificate that waits to be heard
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
    Column("unreached", JSON),  # littoral.wire.messages.Unreached
    # of its receipts, which are carried here by hand
    Column("receipts", BigInteger),  # the number of the newest that is known
    Column("carried_ms", BigInteger),  # when it said what is known of it, if that was carried
    Column("brought_ms", BigInteger),  # when that was brought
)

incarnations: Final = Table(
    "incarnations",
    metadata,
    Column("device", ForeignKey("devices.id"), primary_key=True),
    Column("incarnation", Integer, primary_key=True),
    Column("certificate", String(64), nullable=False),  # its serial number, hex
    Column("certificate_sha256", SHA256, nullable=False),
    Column("chain", Text, nullable=False),  # PEM, as the device got it
    Column("created_ms", BigInteger, nullable=False),
)

renewals: Final = Table(
    "renewals",  # certificates after an incarnation's first; that incarnation's row has the present
    metadata,
    Column("device", ForeignKey("devices.id"), primary_key=True),
    Column("incarnation", Integer, primary_key=True),
    Column("key", SHA256, primary_key=True),  # of the public key: one key, one answer
    Column("certificate", String(64), nullable=False),  # its serial number, hex
    Column("certificate_sha256", SHA256, nullable=False),
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
    Column("model", ID, primary_key=True),
    Column("state", String(16), nullable=False),
    Column("release", BigInteger),
    Column("manifest", SHA256),
    Column("variant", ID),
    Column("good", BigInteger),
    Column("candidate", BigInteger),
    Column("waits", String(32)),  # for what the candidate goes on later: a code
    Column("waits_until_ms", BigInteger),
    Column("done_bytes", BigInteger),  # of the candidate's files, when that was said last
    Column("total_bytes", BigInteger),
    Column("since_ms", BigInteger, nullable=False),  # all of that is as it is now
    Index("ix_device_models_release", "model", "release"),
)
