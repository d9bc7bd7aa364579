"""Our tables and our codec against those of the public clients: generated code, and protobuf."""

import contextlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from littoral_serve.protocols.rpc import decoding, inference_messages, tensorflow_messages
from littoral_serve.protocols.rpc.decoding import GroupError, WireError, decode, joined
from littoral_serve.protocols.rpc.encoding import encode
from littoral_serve.protocols.rpc.tables import DTYPES, Field, Message
from simulators import public_messages

TABLES = {**tensorflow_messages.MESSAGES, **inference_messages.MESSAGES}
LIMITS = {
    "int32": (-(2**31), 2**31 - 1),
    "enum": (0, 10),
    "int64": (-(2**63), 2**63 - 1),
    "uint32": (0, 2**32 - 1),
    "uint64": (0, 2**64 - 1),
}
PLAIN: dict[str, st.SearchStrategy[Any]] = {
    "bool": st.booleans(),
    "float": st.floats(width=32),
    "double": st.floats(),
    "string": st.text(max_size=5),
    "bytes": st.binary(max_size=5),
}


@pytest.fixture(autouse=True, scope="module")
def _public() -> None:
    public_messages.tensorflow_serving()
    public_messages.triton()


def described(name: str) -> Any:
    return public_messages.message_class(name).DESCRIPTOR


def values(field: Field) -> st.SearchStrategy[Any]:
    if field.kind in LIMITS:
        return st.integers(*LIMITS[field.kind])
    if field.of is not None:
        return filled(field.of)
    return PLAIN[field.kind]


@st.composite
def filled(draw: st.DrawFn, of: Message) -> dict[str, Any]:
    """Some message as our encoder takes it; of a oneof, one."""
    made: dict[str, Any] = {}
    for name, field in of.fields.items():
        if set(of.rivals.get(name, ())) & made.keys() or not draw(st.booleans()):
            continue
        if field.kind == "map":
            assert field.of is not None
            inner = values(field.of.fields["value"])
            made[name] = draw(st.dictionaries(st.text(max_size=3), inner, min_size=1, max_size=3))
        elif field.bulk:
            some = draw(st.lists(values(field), min_size=1, max_size=9))
            made[name] = np.array(some, DTYPES[field.kind])
        elif field.many:
            made[name] = draw(st.lists(values(field), min_size=1, max_size=3))
        else:
            made[name] = draw(values(field))
    return made


def plain(value: Any) -> Any:
    """What is compared: floats by their bits, for there are many NaN."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, float):
        return "NaN" if np.isnan(value) else np.float64(value).tobytes()
    return bytes(value) if isinstance(value, memoryview) else value


def theirs(public: Any, of: Message) -> dict[str, Any]:
    """What protobuf read, in the form of ours: of scalars, those that are not the default."""
    made: dict[str, Any] = {}
    for name, field in of.fields.items():
        value = getattr(public, name)
        found: Any
        if field.kind == "map":
            assert field.of is not None
            item = field.of.fields["value"].of
            found = {key: theirs(value[key], item) if item else value[key] for key in value}
        elif field.kind == "message":
            assert field.of is not None
            if field.many:
                found = [theirs(one, field.of) for one in value]
            elif not public.HasField(name):
                continue
            else:
                made[name] = theirs(value, field.of)
                continue
        else:
            found = list(value) if field.many else value
        if found or (name in of.rivals and public.HasField(name)):
            made[name] = found
    return made


def ours(found: dict[str, Any], of: Message) -> dict[str, Any]:
    """What we read, in the same form."""
    made: dict[str, Any] = {}
    for name, field in of.fields.items():
        if name not in found:
            continue
        value = found[name]
        if field.kind == "map":
            assert field.of is not None
            item = field.of.fields["value"].of
            value = {key: ours(one, item) if item else one for key, one in value.items()}
        elif field.kind == "message":
            assert field.of is not None
            value = [ours(one, field.of) for one in value] if field.many else ours(value, field.of)
            made[name] = value
            continue
        elif field.bulk:
            value = joined(value, field.kind).tolist()
        elif field.kind == "bytes":
            value = [bytes(one) for one in value] if field.many else bytes(value)
        if value or name in of.rivals:
            made[name] = value
    return made


@pytest.mark.parametrize("name", sorted(name for name in TABLES if name != "inference."))
def test_names_numbers_and_kinds_are_the_public_ones(name: str) -> None:
    public = described(name)
    for key, field in TABLES[name].fields.items():
        told = public.fields_by_name[key]
        kind = told.type
        assert told.number == field.number, key
        if field.kind == "map":
            assert told.message_type.GetOptions().map_entry
            assert field.of is not None
            inner = field.of.fields["value"]
            told = told.message_type.fields_by_name["value"]
            kind, field = told.type, inner  # noqa: PLW2901 (of a map, what it holds)
        else:
            assert told.is_repeated == field.many, key
        if field.kind == "message":
            assert field.of is not None
            assert told.message_type.full_name == field.of.name
        else:
            assert kind == getattr(told, f"TYPE_{field.kind.upper()}"), key
    told_groups = {
        tuple(sorted(f.name for f in group.fields if f.name in TABLES[name].fields))
        for group in public.oneofs
    }
    rivals = TABLES[name].rivals
    groups = {tuple(sorted((key, *others))) for key, others in rivals.items()}
    assert groups == {group for group in told_groups if len(group) > 1}


BIG = (
    "tensorflow.serving.PredictRequest",
    "tensorflow.serving.MultiInferenceRequest",
    "tensorflow.serving.GetModelMetadataResponse",
    "inference.ModelInferRequest",
    "inference.ModelInferResponse",
    "inference.ModelStatisticsResponse",
)


@pytest.mark.parametrize("name", BIG)
@settings(max_examples=30)
@given(data=st.data())
def test_what_we_write_protobuf_reads_and_what_it_writes_we_read(
    name: str, data: st.DataObject
) -> None:
    table = TABLES[name]
    made = data.draw(filled(table))
    public = public_messages.message_class(name)()
    public.ParseFromString(encode(table, made))
    assert plain(theirs(public, table)) == plain(ours(decode(table, encode(table, made)), table))
    again = decode(table, public.SerializeToString())
    assert plain(ours(again, table)) == plain(theirs(public, table))


@pytest.mark.parametrize("name", BIG)
@settings(max_examples=60)
@given(data=st.data())
def test_bytes_that_were_changed_are_read_as_protobuf_reads_them(
    name: str, data: st.DataObject
) -> None:
    table = TABLES[name]
    body = bytearray(encode(table, data.draw(filled(table))))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(body)))
        body[at : at + data.draw(st.integers(0, 2))] = data.draw(st.binary(max_size=3))
    public = public_messages.message_class(name)()
    try:
        public.ParseFromString(bytes(body))
    except Exception:  # noqa: BLE001 (protobuf's, which has another name in each version)
        with pytest.raises(WireError):
            decode(table, bytes(body))
    else:
        with contextlib.suppress(GroupError):  # which nobody sends
            found = decode(table, bytes(body))
            assert plain(ours(found, table)) == plain(theirs(public, table))


def test_large_fields_are_not_copied() -> None:
    pixels = np.arange(3000, dtype=np.uint8)
    body = encode(inference_messages.MODEL_INFER_REQUEST, {"raw_input_contents": [pixels]})
    (found,) = decode(inference_messages.MODEL_INFER_REQUEST, body)["raw_input_contents"]
    assert found.obj is body
    floats = np.arange(300, dtype=np.float32)
    body = encode(tensorflow_messages.TENSOR, {"float_val": floats})
    (array,) = decode(tensorflow_messages.TENSOR, body)["float_val"]
    assert np.array_equal(array, floats)
    assert not array.flags.owndata


def test_a_request_of_many_small_fields_is_refused_before_it_becomes_many_objects() -> None:
    body = b"\x2a\x00" * (decoding.MOST_FIELDS + 1)
    with pytest.raises(WireError, match="at most 100000 fields"):
        decode(inference_messages.MODEL_INFER_REQUEST, body)
    shape = b"\x08" * (decoding.MOST_FIELDS + 1)
    inner = encode(inference_messages.INPUT_TENSOR, {"name": "x"})
    size = len(shape)
    inner += bytes((0x1A, size & 0x7F | 0x80, size >> 7 & 0x7F | 0x80, size >> 14)) + shape
    with pytest.raises(WireError, match="fields"):
        decode(inference_messages.INPUT_TENSOR, inner + b"\x0a\x00")


@pytest.mark.parametrize("kind", ["int32", "int64", "uint32", "uint64", "bool"])
def test_numbers_are_packed_all_at_once_as_one_by_one(kind: str) -> None:
    field = Field(1, kind, many=True, bulk=True)
    table = Message("", x=field)
    low, high = LIMITS.get(kind, (0, 1))
    for some in ([low, high, 0, 1], [0, 1, 1, 0], [high] * 50, list(range(min(high, 120) + 1))):
        array = np.array(some, DTYPES[kind])
        body = encode(table, {"x": array})
        assert joined(decode(table, body)["x"], kind).tolist() == array.tolist()
        assert body == encode(Message("", x=Field(1, kind, many=True)), {"x": array.tolist()})
