"""What the console remembers: its tables, and nothing about how they are filled.

Types are those that SQLite and PostgreSQL both have. A time is milliseconds since 1970; a
secret is kept as its sha256; a document that devices believe is kept as the bytes they get.
A change here is a migration in ``migrations/versions``; a test compares the two.
"""

from littoral_console.tables.columns import metadata
from littoral_console.tables.enrolled import (
    claims,
    device_models,
    devices,
    enrolment_tokens,
    incarnations,
    renewals,
)
from littoral_console.tables.messages import (
    board_windows,
    model_errors,
    received,
    reports,
    streams,
    telemetry,
)
from littoral_console.tables.people import (
    api_tokens,
    audit,
    sessions,
    settings,
    users,
)
from littoral_console.tables.wanted import (
    desired,
    director,
    models,
    releases,
    rollout_devices,
    rollouts,
)

__all__ = [
    "api_tokens",
    "audit",
    "board_windows",
    "claims",
    "desired",
    "device_models",
    "devices",
    "director",
    "enrolment_tokens",
    "incarnations",
    "metadata",
    "model_errors",
    "models",
    "received",
    "releases",
    "renewals",
    "reports",
    "rollout_devices",
    "rollouts",
    "sessions",
    "settings",
    "streams",
    "telemetry",
    "users",
]
