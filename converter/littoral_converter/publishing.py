"""``littoral publish``: a bundle becomes a release, with the encodings it may travel in."""

import sys
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from littoral.commands.output import JSON, emit, table
from littoral.errors import MisuseError
from littoral.sizes import size
from littoral_converter.terminal import progress, stoppable

if TYPE_CHECKING:
    from littoral.bundle.costs import FileCost
    from littoral.trust.drafts import Draft
    from littoral.trust.publishing import Encode, Published

_PATH: Any = click.Path(path_type=Path)
_PATCHES: Final = 3  # from so many of the newest releases


@click.command(
    epilog="Example: littoral publish digits-1 --repo repo --offline keys/offline",
)
@click.argument("bundle", type=_PATH)
@click.option("--repo", type=_PATH, required=True, help="The repository's folder.")
@click.option("--offline", type=_PATH, help="Where the model's release key lies.")
@click.option("--to", type=_PATH, help="Where a draft goes, for several people to sign, instead.")
@click.option("--floor", type=int, help="The lowest release that may be newly activated.")
@click.option(
    "--patches",
    type=click.IntRange(min=0),
    show_default=f"{_PATCHES}",
    metavar="N",
    help="Make patches from the N newest releases.",
)
@click.option("--no-encodings", is_flag=True, help="Offer the plain files alone.")
@JSON
def publish(
    *,
    bundle: Path,
    repo: Path,
    offline: Path | None,
    to: Path | None,
    floor: int | None,
    patches: int | None,
    no_encodings: bool,
    as_json: bool,
) -> None:
    """Sign the release in BUNDLE and put it into a repository, where the release keys are.

    Its files are offered plain, as zstd, and as patches from what devices have already.
    """
    if (offline is None) == (to is None):
        raise MisuseError("expected --offline with the release key, or --to for a draft")
    if no_encodings and patches is not None:
        raise MisuseError("--no-encodings offers no patches; leave out --patches")
    with stoppable(), progress(shown=not as_json and sys.stderr.isatty()) as say:
        encode: Encode | None = None
        if not no_encodings:
            from littoral_converter.encoding import Encoder

            encode = Encoder(patches=_PATCHES if patches is None else patches, say=say)
        done, draft = _publish(repo, bundle, offline=offline, to=to, floor=floor, encode=encode)
    _say(done, draft, repo=repo, as_json=as_json)


def _publish(
    repo: Path,
    bundle: Path,
    *,
    offline: Path | None,
    to: Path | None,
    floor: int | None,
    encode: "Encode | None",
) -> "tuple[Published, tuple[Path, Draft] | None]":
    if offline is not None:
        from littoral.trust import writer

        return writer.publish(repo, bundle, offline=offline, floor=floor, encode=encode), None
    from littoral.trust.drafts import save
    from littoral.trust.releasing import draft_release

    assert to is not None  # noqa: S101 (one of the two is there)
    now = datetime.now(UTC)
    draft, done = draft_release(repo, bundle, floor=floor, encode=encode, now=now)
    return done, (save(to, draft), draft)


def _say(
    done: "Published", draft: "tuple[Path, Draft] | None", *, repo: Path, as_json: bool
) -> None:
    from littoral.commands.ceremony import plain, said

    name = f"{done.model}:{done.release}"
    there = f"({done.blobs} new files, {size(done.bytes)})"
    if draft is None:
        head = f"{name} is signed and in {repo} {there}"
        onward = f"next: littoral fleet releases upload {repo}"
    else:
        path, _ = draft
        head = f"{name} is in {repo} {there}, for others to sign\n\n{said(*draft)}\n"
        onward = f"next: littoral repo sign {path} --key KEY"
    lines = [head, costs(done.files), *(f"left out: {one}" for one in done.left_out), onward]
    drafts = [] if draft is None else [plain(*draft)]
    emit({**asdict(done), "drafts": drafts}, as_json=as_json, text="\n".join(lines))


def costs(files: "tuple[FileCost, ...]") -> str:
    """Return what each file costs a device, as a table."""
    older = sorted({since.release for file in files for since in file.patches}, reverse=True)
    rows = []
    for file in files:
        patches = {since.release: since.bytes for since in file.patches}
        ways = [file.zstd, *(patches.get(release) for release in older)]
        rows.append((file.name, size(file.plain), *(_share(way, file.plain) for way in ways)))
    return table(("FILE", "PLAIN", "ZSTD", *(f"FROM {release}" for release in older)), rows)


def _share(bytes_: int | None, plain: int) -> str | None:
    return None if bytes_ is None else f"{size(bytes_)} ({bytes_ / plain:.1%})"
