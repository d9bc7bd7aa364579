"""The console itself, and the people who use it."""

from typing import Final

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    ForeignKey,
    Integer,
    String,
    Table,
    Text,
)

from littoral_console.tables.columns import SERIAL, SHA256, metadata

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
    Column("digest", SHA256, nullable=False, unique=True),
    Column("created_ms", BigInteger, nullable=False),
    Column("expires_ms", BigInteger),
    Column("used_ms", BigInteger),  # the last time, to the minute
    Column("revoked_ms", BigInteger),
)

sessions: Final = Table(
    "sessions",
    metadata,
    Column("digest", SHA256, primary_key=True),
    Column("user", ForeignKey("users.id"), nullable=False),
    Column("csrf", String(64), nullable=False),
    Column("expires_ms", BigInteger, nullable=False),
)

audit: Final = Table(
    "audit",
    metadata,
    Column("id", SERIAL, primary_key=True),
    Column("time_ms", BigInteger, nullable=False),
    Column("who", String(64), nullable=False),
    Column("action", String(64), nullable=False),
    Column("subject", String(200), nullable=False),
    Column("detail", JSON, nullable=False),
    Column("chain", SHA256, nullable=False),  # of the entry before and of this one
)
