"""The pages' own files: style, scripts, pictures. Open to anybody, and nothing of the fleet."""

from mimetypes import guess_type
from typing import Final

from fastapi import APIRouter, Response
from fastapi.responses import FileResponse

from littoral.errors import NotFoundError
from littoral_console.pages.frame import STATIC, PageRoute

router = APIRouter(route_class=PageRoute, include_in_schema=False)

_FILES: Final = {
    path.relative_to(STATIC).as_posix(): path for path in STATIC.rglob("*.*") if path.is_file()
}
_FOR_EVER: Final = "public, max-age=31536000, immutable"


@router.get("/static/{name:path}")
def static(name: str, v: str = "") -> Response:
    path = _FILES.get(name)
    if path is None:
        raise NotFoundError(f"there is no file {name[:100]!r}")
    return FileResponse(
        path,
        media_type=guess_type(name)[0],
        headers={"Cache-Control": _FOR_EVER if v else "no-cache"},
    )
