"""Sending what was published, from a browser.

Where scripts run, ``static/upload.js`` asks the REST API what is missing and sends only that.
Without them the form sends every file here, and the same steps are taken.
"""

import re
from collections.abc import AsyncIterator, Sequence
from functools import partial
from hashlib import sha256
from pathlib import PurePosixPath
from typing import Final

from fastapi import APIRouter, Response
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile

from littoral.bundle.manifest import MAX_BYTES, Manifest, target_path
from littoral.errors import MisuseError
from littoral_console import catalogue, queries, uploads
from littoral_console.access import check_administrator
from littoral_console.pages.frame import Entered, PageRoute, Visit, check_form

router = APIRouter(route_class=PageRoute, include_in_schema=False)

_CHUNK: Final = 2**20
_IN_REPOSITORY: Final = re.compile(r"(?:.*/)?((?:metadata|targets|blobs)/.+)")
_MANIFEST: Final = re.compile(r"[0-9a-f]{64}\.manifest\.json")
_BLOB: Final = re.compile(r"[0-9a-f]{64}")


@router.get("/upload")
def form(visit: Entered) -> Response:
    return visit.show("upload.html", section="/releases", added=None)


@router.post("/upload")
async def upload(visit: Entered) -> Response:
    async with visit.request.form(max_files=uploads.MOST_FILES, max_fields=10) as sent:
        check_form(visit, str(sent.get("csrf", "")))
        check_administrator(visit.who)
        files = [file for file in sent.getlist("files") if isinstance(file, UploadFile)]
        added = await _adopt(visit, [file for file in files if file.filename])
    return visit.show("upload.html", section="/releases", added=added)


def name_of(path: str, content: bytes) -> str:
    """Return a file's name in a repository, by its path or, of a lone file, by what it is.

    Raises:
        MalformedError: It is called a manifest and is none.

    """
    found = _IN_REPOSITORY.fullmatch(path)
    if found is not None:
        return found[1]
    name = PurePosixPath(path).name
    if _BLOB.fullmatch(name):
        return f"blobs/{name}"
    if _MANIFEST.fullmatch(name):
        manifest = Manifest.from_json(content)
        folder = PurePosixPath(target_path(manifest.model, manifest.release)).parent
        return f"targets/{folder}/{name}"
    return f"metadata/{name}"


def nothing_of_ours(files: int) -> str:
    """Return what is wrong with ``files`` files of which none belongs to a repository."""
    wrong = (
        "there is no file in what was chosen"
        if files == 0
        else f"{'the file is not' if files == 1 else f'none of the {files} files is'} of a "
        "publisher's repository"
    )
    return f"{wrong}; choose the folder that littoral publish wrote"


async def _adopt(visit: Visit, files: Sequence[UploadFile]) -> tuple[queries.Release, ...]:
    context, found = visit.context, await _named(files)
    if not found:
        raise MisuseError(nothing_of_ours(len(files)))
    offers = [offer for offer, _ in found.values()]
    begun = await run_in_threadpool(context.repository.begin, offers, who=visit.name)
    try:
        for name in begun.missing:
            await uploads.receive(begun, name, _chunks(found[name][1]))
        known = await context.look(catalogue.known)
        admitted = await run_in_threadpool(context.repository.commit, begun.id, known=known)
    finally:
        await run_in_threadpool(context.repository.discard, begun.id)
    return await context.write(
        partial(catalogue.record, admitted=admitted, who=visit.name, now_ms=context.clock())
    )


async def _named(files: Sequence[UploadFile]) -> dict[str, tuple[uploads.Offer, UploadFile]]:
    found = {}
    for file in files:
        head = await file.read(MAX_BYTES)
        name = name_of(file.filename or "", head)
        if uploads.is_name(name):
            digest, size = await _digest(file)
            found[name] = uploads.Offer(name=name, sha256=digest, size=size), file
    return found


async def _digest(file: UploadFile) -> tuple[str, int]:
    digest, size = sha256(), 0
    async for chunk in _chunks(file):
        digest.update(chunk)
        size += len(chunk)
    return digest.hexdigest(), size


async def _chunks(file: UploadFile) -> AsyncIterator[bytes]:
    await file.seek(0)
    while chunk := await file.read(_CHUNK):
        yield chunk
