"""Where the bundle says that it came from, read by the classes that in-toto's authors publish."""

import hashlib
import json
import re
from pathlib import Path
from typing import Any

from google.protobuf import json_format
from in_toto_attestation.predicates.provenance.v1.provenance_pb2 import Provenance
from in_toto_attestation.v1.statement_pb2 import Statement

from converter.conftest import Converted
from littoral.bundle.manifest import Manifest
from littoral_converter.evidence import provenance


def told(digits: Converted) -> Any:
    return json.loads((digits.bundle / "provenance.json").read_text())


def test_it_is_a_statement_as_in_toto_and_slsa_define_it(digits: Converted) -> None:
    found = told(digits)
    statement = json_format.ParseDict(found, Statement())  # an unknown field is refused
    predicate = json_format.ParseDict(found["predicate"], Provenance())
    assert statement.type == "https://in-toto.io/Statement/v1"
    assert statement.predicate_type == "https://slsa.dev/provenance/v1"
    definition = predicate.build_definition
    assert re.match(r"[a-z]+:", definition.build_type)
    assert definition.external_parameters.fields["recipe"].struct_value.fields
    assert predicate.run_details.builder.id
    assert predicate.run_details.metadata.started_on.seconds > 1_700_000_000
    for one in (*statement.subject, *definition.resolved_dependencies):
        assert one.uri or one.digest


def test_each_file_is_a_subject_or_a_byproduct_under_its_own_digest(digits: Converted) -> None:
    found = told(digits)
    manifest = Manifest.from_json((digits.bundle / "manifest.json").read_bytes())
    aside = found["predicate"]["runDetails"]["byproducts"]
    assert {one["name"] for one in aside} == {"report.html", "report.json"}
    said = {one["name"]: one["digest"]["sha256"] for one in (*found["subject"], *aside)}
    assert manifest.provenance == "provenance.json"
    held = {name: file.sha256 for name, file in manifest.files.items()}
    assert said == {name: digest for name, digest in held.items() if name != "provenance.json"}


def test_source_and_samples_are_named_by_digest_and_without_their_folders(
    digits: Converted, models: Path
) -> None:
    dependencies = told(digits)["predicate"]["buildDefinition"]["resolvedDependencies"]
    roles = {one["annotations"]["role"]: one for one in dependencies if "annotations" in one}
    for role, name in (
        ("source", "digits.keras"),
        ("calibration", "train.npz"),
        ("evaluation", "test.npz"),
    ):
        digest = hashlib.sha256((models / name).read_bytes()).hexdigest()
        assert roles[role]["name"] == name
        assert roles[role]["digest"] == {"sha256": digest}
    packages = {one["uri"] for one in dependencies if "uri" in one}
    assert any(uri.startswith("pkg:pypi/ai-edge-quantizer@") for uri in packages)
    assert any(uri.startswith("pkg:pypi/keras@") for uri in packages)
    assert str(models.parent) not in (digits.bundle / "provenance.json").read_text()


def test_a_package_is_called_as_its_index_calls_it() -> None:
    assert provenance.purl("tf_keras", "2.21.0") == "pkg:pypi/tf-keras@2.21.0"
    assert provenance.purl("python", "3.11.2") == "pkg:generic/python@3.11.2"
