"""Writes into a file which version of each operator it uses.

The quantizer leaves the float model's versions standing, so that a device would promise what
it cannot run, and an Edge TPU's compiler be told less than there is.
"""

from typing import Any

from littoral_converter.ptq import usage, version_rules


def settle(model: Any) -> None:  # noqa: ANN401
    """Give each operator of ``model``, the schema's record, the version that its use needs.

    Operators of one kind and different versions get codes of their own, as TensorFlow writes
    them. What the file says of the oldest runtime was the float model's, and goes.
    """
    codes: dict[tuple[Any, ...], int] = {}
    found: list[Any] = []
    for graph in model.subgraphs:
        for operator in graph.operators:
            code = model.operatorCodes[operator.opcodeIndex]
            number = max(code.builtinCode, code.deprecatedBuiltinCode)
            version = version_rules.of(
                usage.names("BuiltinOperator")[number], usage.of(graph, operator)
            )
            version = version or max(code.version, 1)
            key = (number, bytes(code.customCode or b""), version)
            if key not in codes:
                codes[key] = len(found)
                found.append(_coded(code, number, version))
            operator.opcodeIndex = codes[key]
    model.operatorCodes = found
    model.metadata = [m for m in model.metadata or () if bytes(m.name) != b"min_runtime_version"]


def _coded(code: Any, number: int, version: int) -> Any:  # noqa: ANN401
    from ai_edge_litert import schema_py_generated as schema

    made = schema.OperatorCodeT()
    made.builtinCode, made.deprecatedBuiltinCode = number, min(number, 127)
    made.customCode, made.version = code.customCode, version
    return made
