"""The REST API below ``/api/v1``: queries and orders, as programs and our own pages ask them."""

from fastapi import APIRouter

from littoral_console.rest import (
    claims,
    devices,
    exports,
    people,
    receipts,
    releases,
    reports,
    tokens,
    users,
)

router = APIRouter(prefix="/api/v1")
for part in (people, users, devices, tokens, claims, releases, exports, receipts, reports):
    router.include_router(part.router)
