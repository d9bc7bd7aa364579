"""Where a release came from: an in-toto statement with SLSA's provenance, ``provenance.json``.

Subjects are the files that devices take or people judge by; what was measured on the way is a
byproduct. It is signed by whatever signs the bundle (manifest, model signature), not by itself.
Paths of the machine that converted are nobody's business: names and digests only.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any, Final

from littoral import records
from littoral.bundle.manifest import File
from littoral_converter.report import Given, Report

STATEMENT: Final = "https://in-toto.io/Statement/v1"
PREDICATE: Final = "https://slsa.dev/provenance/v1"
# What a verifier has to know of these is in docs/evidence.md.
BUILD_TYPE: Final = "urn:littoral:convert:1"
BUILDER: Final = "urn:littoral:convert"


def statement(
    report: Report,
    files: Mapping[str, File],
    *,
    byproducts: Iterable[str],
    targets: tuple[str, ...],
    started: datetime,
    finished: datetime,
) -> bytes:
    """Return the statement about ``files`` and exports; ``byproducts`` are no subjects."""
    aside, rows = frozenset(byproducts), sorted(files.items())
    return records.to_json(
        {
            "_type": STATEMENT,
            "subject": [
                *(_file(name, file.sha256) for name, file in rows if name not in aside),
                *(_file(one.path, one.sha256) for export in report.exports for one in export.files),
            ],
            "predicateType": PREDICATE,
            "predicate": {
                "buildDefinition": {
                    "buildType": BUILD_TYPE,
                    "externalParameters": {
                        "model": report.model,
                        "release": report.release,
                        "label": report.label,
                        "targets": targets,
                        "recipe": report.recipe,
                    },
                    "internalParameters": {"host": report.host},
                    "resolvedDependencies": list(_dependencies(report)),
                },
                "runDetails": {
                    "builder": {
                        "id": BUILDER,
                        "version": {"littoral": report.software["littoral"]},
                    },
                    "metadata": {"startedOn": _time(started), "finishedOn": _time(finished)},
                    "byproducts": [
                        _file(name, file.sha256) for name, file in rows if name in aside
                    ],
                },
            },
        }
    )


def _dependencies(report: Report) -> Iterator[dict[str, Any]]:
    for role, given in (
        ("source", report.source),
        ("calibration", report.calibration),
        ("evaluation", report.evaluation),
    ):
        if given is not None:
            yield _given(role, given)
    for name, version in sorted(report.software.items()):
        yield {"name": name, "uri": purl(name, version)}


def purl(name: str, version: str) -> str:
    """Return what package indexes call the software ``name``."""
    kind = "generic" if name == "python" else "pypi"
    return f"pkg:{kind}/{name.lower().replace('_', '-')}@{version}"


def _given(role: str, given: Given) -> dict[str, Any]:
    return {
        "name": given.name,
        "digest": {"sha256": given.sha256},
        "annotations": {"role": role, "kind": given.kind},
    }


def _file(name: str, sha256: str) -> dict[str, Any]:
    return {"name": name, "digest": {"sha256": sha256}}


def _time(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
