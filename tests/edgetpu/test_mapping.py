from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.tools import flatbuffer_utils

from edgesmith.edgetpu.mapping import map_model
from edgesmith.findings import is_refused
from tests.tflite_network import network


def _changed(change: object) -> bytes:
    model = schema.ModelT.InitFromPackedBuf(network(1 / 32), 0)
    change(model)
    return bytes(flatbuffer_utils.convert_object_to_bytearray(model))


def test_integer_network_is_mapped_whole() -> None:
    found = map_model(network(1 / 32))
    assert (found.operators, found.on_edgetpu, found.findings) == (2, 2, [])


def test_float_network_runs_on_the_cpu_alone() -> None:
    found = map_model(network(None))
    assert found.on_edgetpu == 0 and is_refused(found.findings)
    assert "float32 data" in found.findings[0].fault


def test_version_that_the_compiler_cannot_parse_is_refused() -> None:
    def newer(model: schema.ModelT) -> None:
        model.operatorCodes[1].version = 12

    (finding,) = map_model(_changed(newer)).findings
    assert finding.severity == "refused" and "FULLY_CONNECTED version 12" in finding.fault
    assert "one scale per tensor" in finding.remedy


def test_unsupported_operator_alone_is_a_caution() -> None:
    def softsign(model: schema.ModelT) -> None:
        code = model.operatorCodes[1]
        code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.BATCH_MATMUL

    found = map_model(_changed(softsign))
    assert found.on_edgetpu == 1 and not is_refused(found.findings)
    assert "no BATCH_MATMUL" in found.findings[0].fault


def test_what_follows_the_first_operator_of_the_cpu_is_on_the_cpu() -> None:
    def cut(model: schema.ModelT) -> None:
        graph = model.subgraphs[0]
        mean, multiply = graph.operators
        last = schema.OperatorT()
        last.opcodeIndex, last.inputs, last.outputs = 2, multiply.outputs, multiply.outputs
        model.operatorCodes.append(schema.OperatorCodeT())
        model.operatorCodes[2].builtinCode = schema.BuiltinOperator.RELU
        model.operatorCodes[2].deprecatedBuiltinCode = schema.BuiltinOperator.RELU
        code = model.operatorCodes[1]
        code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.LEAKY_RELU
        graph.operators = [mean, multiply, last]

    found = map_model(_changed(cut))
    assert found.on_edgetpu == 1
    assert [f.where for f in found.findings] == ["operator 1 (LEAKY_RELU)", "operator 2 (RELU)"]
    assert "one Edge TPU graph" in found.findings[1].fault


def test_size_that_is_not_known_keeps_an_operator_on_the_cpu() -> None:
    def free(model: schema.ModelT) -> None:
        model.subgraphs[0].tensors[0].shapeSignature = [-1, 8, 12, 3]

    assert "not known" in map_model(_changed(free)).findings[0].fault
