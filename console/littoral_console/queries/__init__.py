"""What the console knows, as frozen dataclasses: all that pages, REST and relay read.

Each function takes a connection that ``Database.reading`` lends, and changes nothing. Times
are milliseconds since 1970. What a device runs is what it reported, never what was wanted.
"""

from littoral_console.queries.answers import Answered, answered
from littoral_console.queries.boards import (
    BoardPoint,
    board_windows,
    newest_boards,
)
from littoral_console.queries.devices import (
    Device,
    DeviceDetail,
    Incarnation,
    Running,
    Stream,
    Wanted,
    device,
    devices,
)
from littoral_console.queries.enrolment import (
    Claim,
    EnrolmentToken,
    claims_made,
    claims_waiting,
    enrolment_tokens,
)
from littoral_console.queries.history import (
    Change,
    Entry,
    Summary,
    audit,
    fleet_name,
    history,
    summary,
)
from littoral_console.queries.identities import Certificate, Happened
from littoral_console.queries.latency import (
    Errors,
    Latency,
    LatencyPoint,
    Spread,
    errors,
    latency,
    latency_series,
    spreads,
)
from littoral_console.queries.people import ApiToken, User, api_tokens, users
from littoral_console.queries.releases import (
    Release,
    ReleaseFile,
    Rollout,
    RolloutDetail,
    RolloutDevice,
    costs,
    release,
    releases,
    rollout,
    rollouts,
)

__all__ = [
    "Answered",
    "ApiToken",
    "BoardPoint",
    "Certificate",
    "Change",
    "Claim",
    "Device",
    "DeviceDetail",
    "EnrolmentToken",
    "Entry",
    "Errors",
    "Happened",
    "Incarnation",
    "Latency",
    "LatencyPoint",
    "Release",
    "ReleaseFile",
    "Rollout",
    "RolloutDetail",
    "RolloutDevice",
    "Running",
    "Spread",
    "Stream",
    "Summary",
    "User",
    "Wanted",
    "answered",
    "api_tokens",
    "audit",
    "board_windows",
    "claims_made",
    "claims_waiting",
    "costs",
    "device",
    "devices",
    "enrolment_tokens",
    "errors",
    "fleet_name",
    "history",
    "latency",
    "latency_series",
    "newest_boards",
    "release",
    "releases",
    "rollout",
    "rollouts",
    "spreads",
    "summary",
    "users",
]
