"""A .pt2 archive, rewritten so that PyTorch may load it.

What torch.export.load reads, it partly runs: shapes are evaluated by sympy, guards are compiled, an
operator may be any name that leads somewhere from ``torch``, samples may be pickles, and a
compiled library may lie beside. Here all of that is read as data first. The archive that is written
has no pickle, no guard, no library and no remark; operators are PyTorch's own and names are plain.
"""

import json
import re
import zipfile
import zlib
from pathlib import Path
from typing import Any, Final

from littoral import records
from littoral.errors import ConversionError, MalformedError

_MAX_JSON: Final = 256 * 1024 * 1024
_MAX_BYTES: Final = 4 * 2**30
_MAX_SPEC: Final = 64 * 1024
_MODEL: Final = "models/model.json"
_CONFIGS: Final = (
    "data/weights/model_weights_config.json",
    "data/constants/model_constants_config.json",
)
_SAMPLES: Final = "data/sample_inputs/model.pt"
_KEPT: Final = re.compile(
    r"archive_format|archive_version|byteorder|\.data/version"
    r"|data/weights/weight_\d+|data/constants/tensor_\d+"
)
_TARGET: Final = re.compile(
    r"torch\.ops\.(aten|prims)(\.(?!from_file\b|__)[A-Za-z_]\w*){1,2}"
    r"|torch\.ops\.higher_order\.(cond|scan|while_loop|wrap_with_set_grad_enabled)"
    r"|_operator\.(add|sub|mul|floordiv|truediv|mod|neg|pow|eq|ne|ge|gt|le|lt|and_|or_|getitem)"
    r"|math\.(ceil|floor|trunc)|torch\.sym_(float|int|ite|max|min|not|sqrt|sum)"
)
_WORD: Final = re.compile(r"(?!.*(^|\.)__\w+__)[\w.+\- ]{0,512}")
_EXPRESSION: Final = re.compile(r"[\w\s+\-*/(),'=<>]{1,4096}")
_FUNCTIONS: Final = frozenset(
    {
        *("Symbol", "positive", "integer", "nonnegative", "True", "False", "Integer", "Add", "Mul"),
        *("Pow", "Mod", "PythonMod", "FloorDiv", "CleanDiv", "CeilDiv", "Max", "Min", "Eq", "Ne"),
        *("Ge", "Gt", "Le", "Lt", "IntTrueDiv", "FloorToInt", "CeilToInt", "TruncToInt", "oo"),
    }
)
_SPECS: Final = {"builtins.tuple", "builtins.list", "builtins.dict"}


def rewrite(path: Path, out: Path) -> None:
    """Write what of ``path`` only computes to ``out``.

    Raises:
        MalformedError: It is damaged.
        ConversionError: It has what does more than compute.

    """
    try:
        with zipfile.ZipFile(path) as archive:
            _rewrite(path.name, archive, out)
    except (zipfile.BadZipFile, OSError, EOFError, KeyError, NotImplementedError, zlib.error) as e:
        raise MalformedError(f"{path.name}: damaged or cut short ({e}); save it again") from e


def _rewrite(name: str, archive: zipfile.ZipFile, out: Path) -> None:
    entries = {info.filename.partition("/")[2]: info for info in archive.infolist()}
    if len(entries) != len(archive.infolist()) or _MODEL not in entries:
        raise MalformedError(f"{name}: expected one program, as torch.export.save makes it")
    if sum(info.file_size for info in entries.values()) > _MAX_BYTES:
        raise MalformedError(f"{name}: is larger than 4 GiB")
    foreign = [entry for entry in entries if entry.startswith("data/aotinductor")]
    if foreign:
        raise ConversionError(f"{name}: holds a compiled library, which is never loaded")
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as made:

        def write(entry: str, data: bytes) -> None:
            # A time of its own would make two runs differ.
            made.writestr(zipfile.ZipInfo(f"model/{entry}"), data)

        for entry, info in entries.items():
            if _KEPT.fullmatch(entry):
                write(entry, archive.read(info))
        for config in _CONFIGS:
            write(config, _dump(_payload(name, _json(name, archive, entries[config]))))
        write(_SAMPLES, b"")
        write(_MODEL, _dump(program(name, _json(name, archive, entries[_MODEL]))))


def program(name: str, found: Any) -> Any:  # noqa: ANN401
    """Return the program as PyTorch may read it.

    Raises:
        ConversionError: It has what does more than compute.

    """
    if not isinstance(found, dict):
        raise MalformedError(f"{name}: expected a program, found {type(found).__name__}")
    return _checked(name, found | {"guards_code": []})


def _checked(name: str, value: Any) -> Any:  # noqa: ANN401
    match value:
        case {"type": str(), "index": int() | None} if len(value) == 2:  # noqa: PLR2004
            return {"type": "cpu", "index": None}  # wherever it was exported
        case dict():
            return {_word(name, key): _entry(name, key, one) for key, one in value.items()}
        case list():
            return [_checked(name, one) for one in value]
        case str():
            return _word(name, value)
        case _:
            return value


def _entry(name: str, key: str, value: Any) -> Any:  # noqa: ANN401
    match key, value:
        case "metadata", dict():
            return {}
        case "target", str():
            if not _TARGET.fullmatch(value):
                raise ConversionError(
                    f"{name}: calls {value[:80]!r}, which is none of PyTorch's own operators; "
                    "export the model with those alone"
                )
            return value
        case "expr_str", str():
            words = re.findall(r"[A-Za-z_]\w*", value)
            known = all(w in _FUNCTIONS or re.fullmatch(r"[su]\d+", w) for w in words)
            if not known or not _EXPRESSION.fullmatch(value):
                raise ConversionError(f"{name}: a shape is {value[:80]!r}, which is no plain sum")
            return value
        case "in_spec" | "out_spec", str():
            _check_spec(name, records.parse_json(value.encode(), limit=_MAX_SPEC))
            return value
        case _:
            return _checked(name, value)


def _check_spec(name: str, spec: Any) -> None:  # noqa: ANN401
    """Refuse arguments of classes, which PyTorch would import by their names."""
    match spec:
        case [int(), dict() as one]:
            _check_spec(name, one)
        case {"type": kind, "context": context, "children_spec": list() as inner}:
            words = json.loads(context) if isinstance(context, str) else None
            plain = words is None or (
                isinstance(words, list) and all(isinstance(w, str) for w in words)
            )
            if (kind is not None and kind not in _SPECS) or not plain:
                raise ConversionError(f"{name}: takes or gives {kind!r}, and not one tensor")
            for one in inner:
                _check_spec(name, one)
        case _:
            raise MalformedError(f"{name}: how it takes its inputs is not readable")


def _payload(name: str, found: Any) -> Any:  # noqa: ANN401
    payloads = found.get("config") if isinstance(found, dict) else None
    if not isinstance(payloads, dict):
        raise MalformedError(f"{name}: what its weights are is not readable")
    for one in payloads.values():
        plain = isinstance(one, dict) and _KEPT.fullmatch(f"data/weights/{one.get('path_name')}")
        tensor = isinstance(one, dict) and _KEPT.fullmatch(f"data/constants/{one.get('path_name')}")
        if not (plain or tensor) or one.get("use_pickle"):
            raise ConversionError(
                f"{name}: has weights as pickles, which are never loaded: they can run code; "
                "export the model with plain tensors as its weights"
            )
    return _checked(name, found)


def _word(name: str, word: str) -> str:
    if not _WORD.fullmatch(word):
        raise ConversionError(f"{name}: {word[:80]!r} is no plain name, and PyTorch would run it")
    return word


def _json(name: str, archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Any:  # noqa: ANN401
    try:
        return json.loads(_bounded(name, archive, info), parse_constant=float)
    except (ValueError, RecursionError) as e:
        raise MalformedError(f"{name}: {info.filename} is damaged: {e}") from e


def _bounded(name: str, archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    if info.file_size > _MAX_JSON:
        raise MalformedError(f"{name}: {info.filename} is larger than any true one")
    return archive.read(info)


def _dump(value: Any) -> bytes:  # noqa: ANN401
    return json.dumps(value).encode()
