"""One recurrent layer in ONNX Runtime: the operator itself in a graph of one node, steps first, as it runs fastest."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from workers import Array, Side, need

from layers import GATES, Layer, parts

ORDER = {"LSTM": (0, 3, 1, 2), "GRU": (1, 0, 2), "RNN": (0,)}  # ONNX has i o f c and z r n; torch i f g o and r z n


def session(module: Any, cell: str, threads: int, ragged: bool, state: bool) -> Any:
    """An inference session of a one-layer torch.nn module; `ragged` adds lengths, `state` the state in and out."""
    onnx, runtime = need("onnx"), need("onnxruntime")
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    ways, hidden = (2 if module.bidirectional else 1), module.hidden_size
    hidden_names = ["h0", "c0"][: 2 if cell == "LSTM" else 1] if state else []
    names = ["x", "W", "R", "B", "lengths" if ragged else "", *hidden_names]
    outs = ["y", "h", "c"][: 1 + len(hidden_names)]
    more = {"linear_before_reset": 1} if cell == "GRU" else {}
    direction = "bidirectional" if ways == 2 else "forward"
    node = helper.make_node(cell, names, outs, hidden_size=hidden, direction=direction, **more)
    inputs = [helper.make_tensor_value_info("x", kind, ["T", "B", module.input_size])]
    if ragged:
        inputs.append(helper.make_tensor_value_info("lengths", onnx.TensorProto.INT32, ["B"]))
    inputs += [helper.make_tensor_value_info(name, kind, [ways, "B", hidden]) for name in hidden_names]
    shapes = [["T", ways, "B", hidden], *[[ways, "B", hidden]] * len(hidden_names)]
    outputs = [helper.make_tensor_value_info(name, kind, shape) for name, shape in zip(outs, shapes, strict=True)]
    constants = [onnx.numpy_helper.from_array(value, name) for name, value in _weights(module, cell).items()]
    graph = helper.make_graph([node], cell, inputs, outputs, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    options = runtime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    return runtime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def _weights(module: Any, cell: str) -> dict[str, Array]:
    def reorder(weight: Tensor) -> Tensor:
        return torch.cat([weight.detach().chunk(GATES[cell])[gate] for gate in ORDER[cell]])

    ends = ["_l0", "_l0_reverse"][: 2 if module.bidirectional else 1]
    found = {name: [reorder(getattr(module, name + end)) for end in ends] for name in ("weight_ih", "weight_hh")}
    biases = [torch.cat([reorder(getattr(module, kind + end)) for kind in ("bias_ih", "bias_hh")]) for end in ends]
    fit_weights = {"W": found["weight_ih"], "R": found["weight_hh"], "B": biases}
    return {name: torch.stack(values).numpy() for name, values in fit_weights.items()}


def onnx(layer: Layer) -> Side:
    """Inference; unequal lengths are padded, with their lengths beside them."""
    module, sequences = parts(layer)
    ragged = len(set(layer.lengths)) > 1
    made = session(module, layer.cell, layer.threads, ragged, state=False)
    feed = {"x": torch.nn.utils.rnn.pad_sequence(sequences).numpy()}
    if ragged:
        feed["lengths"] = torch.tensor(layer.lengths, dtype=torch.int32).numpy()

    def run() -> Any:
        return made.run(["y"], feed)[0]

    def answer() -> Array:
        y = torch.from_numpy(run())  # [T, ways, B, hidden]
        by_sequence = y.permute(2, 0, 1, 3).flatten(2)
        return (
            torch.cat([row[:length] for row, length in zip(by_sequence, layer.lengths, strict=True)]).flatten().numpy()
        )

    return Side(run, answer)
