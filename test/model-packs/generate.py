#!/usr/bin/env python3
"""Write the small misbehaving models of the tests: `pip install onnx==1.23.1 && python generate.py`.

Each pack is a folder with model.onnx and manifest.json; the networks take [batch, 1, 28, 28] and
give logits [batch, 1] and an activation map [batch, 1, 7, 7].
"""
import hashlib
import json
from pathlib import Path

from onnx import TensorProto, checker, helper

HERE = Path(__file__).resolve().parent
FLOAT = TensorProto.FLOAT


def constant(name, values, kind=FLOAT, shape=None):
    return helper.make_tensor(name, kind, [] if shape is None else shape, values)


def network(nodes, initializers, kind=FLOAT):
    """The nodes turn `mean` [batch, 1] into `logits`; the map is the image itself, pooled."""
    common = [
        helper.make_node("ReduceMean", ["image", "axes"], ["mean"], keepdims=0),
        helper.make_node("AveragePool", ["image"], ["activation_map"], kernel_shape=[4, 4], strides=[4, 4]),
    ]
    graph = helper.make_graph(
        common + nodes, "test",
        [helper.make_tensor_value_info("image", kind, ["batch", 1, 28, 28])],
        [helper.make_tensor_value_info("logits", kind, ["batch", 1]),
         helper.make_tensor_value_info("activation_map", kind, ["batch", 1, 7, 7])],
        [constant("axes", [2, 3], TensorProto.INT64, [2])] + initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    checker.check_model(model)
    return model.SerializeToString()


def bright():
    """logit = 20 (mean - 0.5): a bright image is positive."""
    return network([helper.make_node("Sub", ["mean", "half"], ["above"]),
                    helper.make_node("Mul", ["above", "gain"], ["logits"])],
                   [constant("half", [0.5]), constant("gain", [20.0])])


def bright_fp16():
    """`bright` in half precision, inputs and outputs too."""
    half = TensorProto.FLOAT16
    return network([helper.make_node("Sub", ["mean", "half"], ["above"]),
                    helper.make_node("Mul", ["above", "gain"], ["logits"])],
                   [constant("half", [0.5], half), constant("gain", [20.0], half)], half)


def nan():
    """sqrt(mean - 2): never a number."""
    return network([helper.make_node("Sub", ["mean", "two"], ["negative"]),
                    helper.make_node("Sqrt", ["negative"], ["logits"])], [constant("two", [2.0])])


def nan_dark():
    """log(mean - 0.1): a number for all but dark images."""
    return network([helper.make_node("Sub", ["mean", "tenth"], ["above"]),
                    helper.make_node("Log", ["above"], ["logits"])], [constant("tenth", [0.1])])


def absent_operator():
    """Needs an operator that no runtime has."""
    graph = helper.make_graph(
        [helper.make_node("Frobnicate", ["image"], ["logits"], domain="com.example"),
         helper.make_node("AveragePool", ["image"], ["activation_map"], kernel_shape=[4, 4], strides=[4, 4])],
        "test",
        [helper.make_tensor_value_info("image", FLOAT, ["batch", 1, 28, 28])],
        [helper.make_tensor_value_info("logits", FLOAT, ["batch", 1]),
         helper.make_tensor_value_info("activation_map", FLOAT, ["batch", 1, 7, 7])])
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("com.example", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString()


def slow(rounds=3000):
    """Multiplies 512 x 512 matrices for seconds, 0.27 Gflop each, in one inference, then gives the logit of `bright`."""
    value = helper.make_tensor_value_info
    body = helper.make_graph(
        [helper.make_node("MatMul", ["state", "matrix"], ["product"]),
         helper.make_node("Clip", ["product", "low", "high"], ["next"]),
         helper.make_node("Identity", ["go_on"], ["go_on_next"])],
        "round",
        [value("i", TensorProto.INT64, []), value("go_on", TensorProto.BOOL, []), value("state", FLOAT, [512, 512])],
        [value("go_on_next", TensorProto.BOOL, []), value("next", FLOAT, [512, 512])])
    return network(
        [# Rows sum to 1, so the numbers neither grow nor fade into slow denormals.
         helper.make_node("ConstantOfShape", ["size"], ["matrix"], value=constant("v", [1 / 512], FLOAT, [1])),
         helper.make_node("ReduceMean", ["mean"], ["seed"], keepdims=0),
         helper.make_node("Add", ["matrix", "seed"], ["start"]),
         helper.make_node("Loop", ["rounds", "", "start"], ["end"], body=body),
         helper.make_node("ReduceMean", ["end"], ["rest"], keepdims=0),
         helper.make_node("Mul", ["rest", "zero"], ["nothing"]),
         helper.make_node("Sub", ["mean", "half"], ["above"]),
         helper.make_node("Mul", ["above", "gain"], ["bright"]),
         helper.make_node("Add", ["bright", "nothing"], ["logits"])],
        [constant("size", [512, 512], TensorProto.INT64, [2]), constant("rounds", [rounds], TensorProto.INT64),
         constant("low", [0.0]), constant("high", [1.0]), constant("zero", [0.0]),
         constant("half", [0.5]), constant("gain", [20.0])])


def stranger():
    """`bright`, with a second logit (dark) and how far the mean is from the middle: strangeness = 10 |mean - 0.5|."""
    graph = helper.make_graph(
        [helper.make_node("ReduceMean", ["image", "axes"], ["mean"], keepdims=0),
         helper.make_node("AveragePool", ["image"], ["activation_map"], kernel_shape=[4, 4], strides=[4, 4]),
         helper.make_node("Sub", ["mean", "half"], ["above"]),
         helper.make_node("Mul", ["above", "gains"], ["logits"]),
         helper.make_node("Abs", ["above"], ["away"]),
         helper.make_node("Mul", ["away", "ten"], ["strangeness"])],
        "test",
        [helper.make_tensor_value_info("image", FLOAT, ["batch", 1, 28, 28])],
        [helper.make_tensor_value_info("logits", FLOAT, ["batch", 2]),
         helper.make_tensor_value_info("activation_map", FLOAT, ["batch", 1, 7, 7]),
         helper.make_tensor_value_info("strangeness", FLOAT, ["batch", 1])],
        [constant("axes", [2, 3], TensorProto.INT64, [2]), constant("half", [0.5]),
         constant("gains", [20.0, -20.0], FLOAT, [1, 2]), constant("ten", [10.0])])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    checker.check_model(model)
    return model.SerializeToString()


def stranger_manifest(title, content):
    base = manifest("stranger", title, content)
    base["outputs"]["logits"]["shape"] = ["batch", 2]
    base["outOfDistribution"] = {"output": "strangeness", "threshold": 4, "falseAlarmRate": 0.05, "n": 100}
    base["labels"].append({"index": 1, "name": "Dark", "threshold": 0.5, "critical": True, "enabled": False,
                           "disabledBecause": "unmeasured",
                           "code": {"system": "99HV-TEST", "value": "dark", "meaning": "Dark"}})
    return base


def manifest(name, title, content):
    kind = "float16" if name.endswith("-fp16") else "float32"
    return {
        "manifestVersion": 1, "name": name, "version": "1.0.0", "title": title, "license": "Apache-2.0",
        "intendedUse": "Tests of the product.", "analysis": "chest-xray-classification", "recipe": "image-classifier",
        "domain": {"modalities": ["CR", "DX"], "bodyParts": ["CHEST"], "unknownAge": "inside"},
        "files": [{"path": "model.onnx", "sha256": hashlib.sha256(content).hexdigest()}],
        "input": {"name": "image", "shape": ["batch", 1, 28, 28], "type": kind},
        "outputs": {"logits": {"name": "logits", "shape": ["batch", 1]},
                    "activationMap": {"name": "activation_map", "shape": ["batch", 1, 7, 7]}},
        "preprocessing": {"crop": "none", "resize": {"height": 28, "width": 28, "interpolation": "area"},
                          "scale": 255, "mean": [0], "std": [1]},
        "postprocessing": {"activation": "sigmoid", "calibration": {"method": "none"}},
        "labels": [{"index": 0, "name": "Bright", "names": {"zh-CN": "明亮"}, "threshold": 0.5, "critical": True,
                    "code": {"system": "99HV-TEST", "value": "bright", "meaning": "Bright"}}],
        "validation": [],
    }


def main():
    packs = {"bright": ("Finds bright images", bright()),
             "bright-fp16": ("Finds bright images in half precision", bright_fp16()), "nan": ("Gives NaN", nan()),
             "nan-dark": ("Gives NaN for dark images", nan_dark()), "slow": ("Takes seconds on the fastest machine", slow()),
             "absent-operator": ("Needs an operator that nobody has", absent_operator()),
             "broken": ("Is no ONNX file", b"this is not a network\n"),
             "stranger": ("Finds bright images, and says which are like no others", stranger())}
    for name, (title, content) in packs.items():
        folder = HERE / name
        folder.mkdir(exist_ok=True)
        (folder / "model.onnx").write_bytes(content)
        described = stranger_manifest(title, content) if name == "stranger" else manifest(name, title, content)
        text = json.dumps(described, indent=2, ensure_ascii=False)
        (folder / "manifest.json").write_text(text + "\n", encoding="utf-8")
        print(f"{name}: {len(content)} bytes")


if __name__ == "__main__":
    main()
