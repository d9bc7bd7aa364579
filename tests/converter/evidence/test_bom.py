"""The bill of materials, held against the schema that CycloneDX publishes."""

import json
from typing import Any

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from converter.conftest import Converted
from littoral.bundle.manifest import Manifest


def text(digits: Converted) -> str:
    return (digits.bundle / "bom.json").read_text()


def found(digits: Converted) -> Any:
    return json.loads(text(digits))


def test_it_keeps_to_cyclonedx_1_6(digits: Converted) -> None:
    validator = JsonStrictValidator(SchemaVersion.V1_6)
    assert validator.validate_str(text(digits)) is None
    wrong = text(digits).replace('"machine-learning-model"', '"clever"')
    assert validator.validate_str(wrong) is not None


def test_its_model_card_has_the_reports_figures(digits: Converted) -> None:
    component = found(digits)["metadata"]["component"]
    assert (component["type"], component["name"]) == ("machine-learning-model", "digits")
    card = component["modelCard"]
    assert card["modelParameters"]["task"] == "classification"
    assert card["modelParameters"]["inputs"] == [{"format": "image: int8 1x8x8x1 NHWC"}]
    figures = {one["type"]: one for one in card["quantitativeAnalysis"]["performanceMetrics"]}
    (said,) = digits.said["variants"]
    assert float(figures["accuracy"]["value"]) == round(said["accuracy"], 6)
    assert figures["accuracy"]["slice"] == "cpu-int8"


def test_it_lists_every_file_that_it_can_know_of(digits: Converted) -> None:
    manifest = Manifest.from_json((digits.bundle / "manifest.json").read_bytes())
    assert manifest.bom == "bom.json"
    component = found(digits)["metadata"]["component"]
    listed = {one["name"]: one["hashes"][0]["content"] for one in component["components"]}
    held = {name: file.sha256 for name, file in manifest.files.items()}
    assert listed == {k: v for k, v in held.items() if k not in {"bom.json", "provenance.json"}}


def test_every_reference_leads_somewhere(digits: Converted) -> None:
    bill = found(digits)
    component = bill["metadata"]["component"]
    refs = [component["bom-ref"], component["pedigree"]["ancestors"][0]["bom-ref"]]
    refs += [one["bom-ref"] for one in (*bill["components"], *component["components"])]
    assert len(refs) == len(set(refs))
    named = [one["ref"] for one in bill["dependencies"]]
    named += [one["ref"] for one in component["modelCard"]["modelParameters"]["datasets"]]
    assert set(named) <= set(refs)
