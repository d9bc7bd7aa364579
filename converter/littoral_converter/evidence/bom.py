"""What is in a release: a bill of materials in CycloneDX 1.6, with a model card, ``bom.json``.

Knows the words of CycloneDX; every figure in it is the report's. Equal releases give equal bytes,
so that its serial number is made of what it lists and not of chance.
"""

import uuid
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Final

from littoral import records
from littoral.bundle.manifest import File, Tensor
from littoral_converter.evidence.provenance import purl
from littoral_converter.report import Compiled, Given, Report

SCHEMA: Final = "http://cyclonedx.org/schema/bom-1.6.schema.json"
_MODEL: Final = "model"
_NUMBERS: Final = uuid.UUID("1be4dd2c-36c0-5b1c-9f0c-7d0f8a6f2b11")  # drawn once, for uuid5


def make(report: Report, files: Mapping[str, File], *, made: datetime) -> bytes:
    """Return the bill of ``files`` and of what they were made from and with."""
    seen = "".join(f"{name}\0{files[name].sha256}\n" for name in sorted(files))
    named = f"{report.model}:{report.release}\n{seen}"
    components = [*_data(report), *_software(report)]
    return records.to_json(
        {
            "$schema": SCHEMA,
            "bomFormat": "CycloneDX",
            "specVersion": "1.6",
            "serialNumber": f"urn:uuid:{uuid.uuid5(_NUMBERS, named)}",
            "version": 1,
            "metadata": {
                "timestamp": made.strftime("%Y-%m-%dT%H:%M:%SZ"),
                "tools": {
                    "components": [
                        {
                            "type": "application",
                            "name": "littoral",
                            "version": report.software["littoral"],
                        }
                    ]
                },
                "component": _model(report, files),
            },
            "components": components,
            "dependencies": [
                {"ref": _MODEL, "dependsOn": [one["bom-ref"] for one in components]},
                *({"ref": one["bom-ref"]} for one in components),
            ],
        }
    )


def _model(report: Report, files: Mapping[str, File]) -> dict[str, Any]:
    return {
        "type": "machine-learning-model",
        "bom-ref": _MODEL,
        "name": report.model,
        "version": report.label,
        "pedigree": {"ancestors": [_source(report.source)]},
        "modelCard": _card(report),
        "components": [
            {
                "type": "file",
                "bom-ref": f"file:{name}",
                "name": name,
                "hashes": [{"alg": "SHA-256", "content": files[name].sha256}],
            }
            for name in sorted(files)
        ],
        "properties": [
            {"name": "littoral:release", "value": str(report.release)},
            {"name": "littoral:parameters", "value": str(report.before.parameters)},
        ],
    }


def _source(given: Given) -> dict[str, Any]:
    return {
        "type": "machine-learning-model",
        "bom-ref": "source",
        "name": given.name,
        "description": given.kind,
        "hashes": [{"alg": "SHA-256", "content": given.sha256}],
    }


def _card(report: Report) -> dict[str, Any]:
    return {
        "modelParameters": {
            "task": report.task,
            "datasets": [{"ref": role} for role, _ in _given(report)],
            "inputs": [{"format": _format(one)} for one in report.inputs],
            "outputs": [{"format": _format(one)} for one in report.outputs],
        },
        "quantitativeAnalysis": {
            "performanceMetrics": [one for v in report.variants for one in _figures(v)]
        },
    }


def _figures(variant: Compiled) -> Iterator[dict[str, str]]:
    likeness, score = variant.likeness, variant.score
    found: dict[str, float | None] = {
        "agreement with the float model": likeness.agreement,
        "cosine with the float model": likeness.cosine_mean,
    }
    if score is not None:
        found |= {
            "accuracy": score.int8_accuracy,
            "accuracy of the float model": score.float_accuracy,
        }
    if variant.regression is not None:
        found["mean absolute error"] = variant.regression.int8_errors.mae
        found["mean absolute error of the float model"] = variant.regression.float_errors.mae
    for name, value in found.items():
        if value is not None:
            yield {"type": name, "value": f"{value:.6g}", "slice": variant.id}


def _format(tensor: Tensor) -> str:
    shape = "x".join(map(str, tensor.shape))
    return f"{tensor.name}: {tensor.dtype} {shape}{f' {tensor.layout}' if tensor.layout else ''}"


def _given(report: Report) -> Iterator[tuple[str, Given]]:
    yield "calibration", report.calibration
    if report.evaluation is not None:
        yield "evaluation", report.evaluation


def _data(report: Report) -> Iterator[dict[str, Any]]:
    for role, given in _given(report):
        yield {
            "type": "data",
            "bom-ref": role,
            "name": given.name,
            "hashes": [{"alg": "SHA-256", "content": given.sha256}],
            "data": [
                {
                    "type": "dataset",
                    "name": given.name,
                    "description": f"{given.samples} samples for {role}",
                }
            ],
        }


def _software(report: Report) -> Iterator[dict[str, Any]]:
    for name, version in sorted(report.software.items()):
        yield {
            "type": "platform" if name == "python" else "library",
            "bom-ref": f"software:{name}",
            "name": name,
            "version": version,
            "purl": purl(name, version),
        }
