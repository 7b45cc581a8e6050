#!/usr/bin/env python3
"""Write what MONAI itself gives, and the small networks it was asked with.

    pip install torch torchvision monai==1.6.1 nibabel onnx onnxscript onnxruntime && python generate.py

Networks of MONAI's own classes with random weights go to test/model-packs/{retinanet-3d-tiny,segresnet-tiny};
every number is read from the packs' manifests. The goldens are what RetinaNetDetector, SlidingWindowInferer and
their parts give on made-up volumes whose voxels are integers of a formula that the tests repeat.
"""
import hashlib
import json
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from monai.apps.detection.networks.retinanet_detector import RetinaNetDetector
from monai.apps.detection.networks.retinanet_network import RetinaNet
from monai.apps.detection.utils.anchor_utils import AnchorGeneratorWithAnchorShape
from monai.apps.detection.utils.box_coder import BoxCoder
from monai.data import MetaTensor
from monai.data.box_utils import batched_nms, clip_boxes_to_image
from monai.data.utils import compute_importance_map, dense_patch_slices
from monai.inferers import sliding_window_inference
from monai.inferers.utils import _get_scan_interval
from monai.networks.blocks.backbone_fpn_utils import BackboneWithFPN
from monai.networks.blocks.feature_pyramid_network import LastLevelMaxPool
from monai.networks.nets import SegResNet, resnet
from monai.transforms import Compose, NormalizeIntensity, Orientation, ScaleIntensityRange, Spacing

HERE = Path(__file__).resolve().parent
PACKS = HERE.parent.parent / "model-packs"
torch.set_num_threads(2)


def manifest(pack):
    return json.loads((PACKS / pack / "manifest.json").read_text())


def write(name, value):
    (HERE / name).write_text(json.dumps(value, separators=(",", ":")) + "\n")


def rounded(tensor, digits=6):
    return np.round(np.asarray(tensor, dtype=np.float64), digits).tolist()


def export(pack, network, example, outputs):
    file = PACKS / pack / "model.onnx"
    dynamic = {0: "batch", 2: "x", 3: "y", 4: "z"}
    torch.onnx.export(network, (example,), str(file), input_names=["image"], output_names=outputs, opset_version=17,
                      dynamic_axes={name: dict(dynamic) for name in ["image", *outputs]}, dynamo=False)
    text = (PACKS / pack / "manifest.json").read_text()
    old = json.loads(text)["files"][0]["sha256"]
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    (PACKS / pack / "manifest.json").write_text(text.replace(f'"sha256": "{old}"', f'"sha256": "{digest}"'))
    with torch.no_grad():
        expected = network(example)
    got = onnxruntime.InferenceSession(str(file)).run(outputs, {"image": example.numpy()})
    expected = expected if isinstance(expected, (list, tuple)) else [expected]
    print(pack, file.stat().st_size, "bytes, largest difference to torch", max(float(np.abs(a.numpy() - b).max()) for a, b in zip(expected, got)))


# --- volumes: index (i, j, k), integers only, so that the tests can make the same ones ---

def ct(size):
    i, j, k = np.meshgrid(*(np.arange(n, dtype=np.int64) for n in size), indexing="ij")
    hu = -850 + (3 * i * i + 7 * j + 5 * k * k + i * j) % 61
    for n in range(9):
        ci, cj, ck, r = (13 + 29 * n) % size[0], (17 + 23 * n) % size[1], (5 + 11 * n) % size[2], 4 + n % 4
        hu = np.where((i - ci) ** 2 + (j - cj) ** 2 + 2 * (k - ck) ** 2 <= r * r, 20 + 10 * n, hu)
    return hu


def mr(size, channel):
    i, j, k = np.meshgrid(*(np.arange(n, dtype=np.int64) for n in size), indexing="ij")
    value = 100 + 40 * channel + (5 * i * i + (3 + channel) * j * k + 11 * k) % 83
    hot = (i - size[0] // 3) ** 2 + (j - size[1] // 2) ** 2 + 2 * (k - size[2] // 2) ** 2 <= 64
    value = np.where(hot, value + 150 - 60 * channel, value)
    brain = 4 * (i - size[0] // 2) ** 2 * size[1] ** 2 + 4 * (j - size[1] // 2) ** 2 * size[0] ** 2 <= (size[0] * size[1]) ** 2
    return np.where(brain, value, 0)


def lps_affine(spacing, origin):
    """What a volume with the affine diag(spacing), origin in LPS has in MONAI's RAS world."""
    affine = np.diag([-spacing[0], -spacing[1], spacing[2], 1.0])
    affine[:3, 3] = [-origin[0], -origin[1], origin[2]]
    return affine


# --- RetinaNet ---

def tiny_retinanet(pack):
    torch.manual_seed(7)
    backbone = resnet.ResNet("basic", [1, 1, 1, 1], [4, 8, 8, 8], spatial_dims=3, n_input_channels=1, conv1_t_stride=(2, 2, 1), conv1_t_size=(3, 3, 3), num_classes=1)
    fpn = BackboneWithFPN(backbone, {"layer1": "0", "layer2": "1"}, [4, 8], 8, spatial_dims=3, extra_blocks=LastLevelMaxPool(3))
    network = RetinaNet(3, pack["network"]["classes"], len(pack["anchors"]["shapes"]), fpn, pack["preprocessing"]["divisibleBy"], use_list_output=True)
    for head in (network.classification_head, network.regression_head):
        for layer in head.conv:
            if isinstance(layer, torch.nn.Conv3d):
                torch.nn.init.normal_(layer.weight, std=0.15)
    torch.nn.init.normal_(network.classification_head.cls_logits.weight, std=0.25)
    torch.nn.init.constant_(network.classification_head.cls_logits.bias, -8.0)
    torch.nn.init.normal_(network.regression_head.bbox_reg.weight, std=0.06)
    return network.eval()


def detect(network, pack, case):
    pre, window, post = pack["preprocessing"], pack["window"], pack["postprocessing"]
    detector = RetinaNetDetector(network, AnchorGeneratorWithAnchorShape([level["anchorScale"] for level in pack["network"]["levels"]], pack["anchors"]["shapes"])).eval()
    detector.set_target_keys(box_key="box", label_key="label")
    detector.set_box_selector_parameters(score_thresh=post["scoreThreshold"], topk_candidates_per_level=post["topPerLevel"], nms_thresh=post["nmsIou"], detections_per_img=post["maxDetections"])
    detector.set_sliding_window_inferer(roi_size=window["size"], overlap=window["overlap"], sw_batch_size=1, mode=window["blending"], device="cpu")
    low, high = pre["intensity"]["from"]
    prepare = Compose([Orientation(axcodes=pre["axes"], labels=(("L", "R"), ("P", "A"), ("I", "S"))), Spacing(pixdim=pre["spacingMm"]), ScaleIntensityRange(a_min=low, a_max=high, b_min=0.0, b_max=1.0, clip=True)])
    affine = lps_affine(case["spacing"], case["origin"])
    image = prepare(MetaTensor(torch.tensor(ct(case["size"]), dtype=torch.float32)[None], affine=torch.tensor(affine)))
    # As scripts/detection_inferer.py of the bundle decides.
    use_inferer = not image[0].numel() < np.prod(window["size"])
    with torch.no_grad():
        found = detector([torch.as_tensor(np.asarray(image))], use_inferer=use_inferer)[0]
    # Corners: MONAI voxel → RAS world → index of the volume as it came.
    back = np.linalg.inv(affine) @ np.asarray(image.affine, dtype=np.float64)
    boxes = found["box"].numpy().astype(np.float64)
    corners = np.stack([(back @ np.concatenate([boxes[:, s:s + 3], np.ones((len(boxes), 1))], 1).T).T[:, :3] for s in (0, 3)], 1)
    values = np.asarray(image[0])
    samples = [[*p, float(values[tuple(p)])] for p in ([0, 0, 0], [5, 9, 3], [values.shape[0] - 1, values.shape[1] - 1, values.shape[2] - 1], [values.shape[0] // 2, values.shape[1] // 3, values.shape[2] // 2])]
    print("detect", case["size"], "→", list(values.shape), "window" if use_inferer else "whole", len(boxes), "boxes, scores", found["label_scores"].min().item(), found["label_scores"].max().item())
    return {**case, "networkSize": list(values.shape), "sliding": use_inferer, "samples": samples, "boxes": rounded(boxes), "corners": rounded(corners), "scores": rounded(found["label_scores"], 7)}


# --- SegResNet ---

def tiny_segresnet(pack):
    torch.manual_seed(11)
    network = SegResNet(spatial_dims=3, init_filters=4, in_channels=len(pack["channels"]), out_channels=pack["network"]["output"]["channels"], blocks_down=(1, 1, 1, 1), blocks_up=(1, 1, 1), norm=("GROUP", {"num_groups": 4}))
    final = network.conv_final[-1]
    final = getattr(final, "conv", final)
    torch.nn.init.normal_(final.weight, std=1.2)
    final.bias.data = torch.tensor([-2.5, 0.5, -4.0])
    return network.eval()


def segment(network, pack, case):
    window = {**pack["window"], **case.get("window", {})}
    affine = torch.tensor(lps_affine(case["spacing"], [0, 0, 0]))
    channels = np.stack([mr(case["size"], c) for c in range(len(pack["channels"]))]).astype(np.float32)
    image = Orientation(axcodes=pack["preprocessing"]["axes"], labels=(("L", "R"), ("P", "A"), ("I", "S")))(MetaTensor(torch.tensor(channels), affine=affine))
    image = NormalizeIntensity(nonzero=True, channel_wise=True)(image)
    with torch.no_grad():
        logits = sliding_window_inference(torch.as_tensor(np.asarray(image))[None], window["size"], 1, network, overlap=window["overlap"], mode=window["blending"], sigma_scale=window.get("sigmaScale", 0.125))[0]
    probabilities = torch.sigmoid(logits).numpy()
    labels = np.zeros(probabilities.shape[1:], np.uint8)
    for entry in reversed(pack["postprocessing"]["values"]):
        labels[probabilities[entry["channel"]] >= pack["postprocessing"]["threshold"]] = entry["value"]
    labels = labels[::-1, ::-1, :]  # RAS → the volume's own LPS index
    chances = probabilities[:, ::-1, ::-1, :]
    rng = np.random.default_rng(3)
    points = np.stack([rng.integers(0, n, 60) for n in case["size"]], 1)
    print("segment", case["size"], {int(v): int((labels == v).sum()) for v in np.unique(labels)}, "nearest to threshold", float(np.abs(probabilities - pack["postprocessing"]["threshold"]).min()))
    return {**case, "window": window, "counts": {int(v): int((labels == v).sum()) for v in np.unique(labels)},
            "samples": [[*map(int, p), int(labels[tuple(p)]), *rounded(chances[(slice(None), *p)], 7)] for p in points]}


# --- parts ---

def parts(pack):
    cases = [([97, 64, 20], [64, 64, 32], 0.25), ([240, 240, 160], [240, 240, 160], 0.5), ([50, 41, 33], [16, 20, 33], 0.5), ([9, 9, 9], [4, 4, 4], 0.9)]
    windows = []
    for image, roi, overlap in cases:
        padded = [max(a, b) for a, b in zip(image, roi)]
        slices = dense_patch_slices(padded, roi, _get_scan_interval(padded, roi, 3, [overlap] * 3))
        windows.append({"image": image, "roi": roi, "overlap": overlap, "starts": [sorted({int(s[d].start) for s in slices}) for d in range(3)], "count": len(slices)})
    maps = [{"size": size, "sigmaScale": sigma, "values": rounded(compute_importance_map(tuple(size), mode="gaussian", sigma_scale=sigma).flatten(), 8)} for size, sigma in (([5, 4, 3], 0.125), ([9, 3, 2], 0.125), ([4, 4, 4], 0.25))]
    generator = AnchorGeneratorWithAnchorShape([1, 2, 4], pack["anchors"]["shapes"])
    image, grids = torch.zeros(1, 1, 32, 48, 16), [[8, 12, 8], [4, 6, 4], [2, 3, 2]]
    anchors = generator(image, [torch.zeros(1, 3, *grid) for grid in grids])[0]
    rng = np.random.default_rng(5)
    picks = rng.integers(0, len(anchors), 40)
    codes = torch.tensor(rng.normal(0, 1.5, (40, 6)).astype(np.float32))
    weights = (10.0, 10.0, 5.0, 2.0, 1.0, 1.0)
    decoded = BoxCoder(weights=weights).decode_single(codes, anchors[picks])
    clipped, keep = clip_boxes_to_image(decoded, [32, 48, 16], remove_empty=True)
    corner = rng.uniform(0, 30, (60, 3))
    boxes = torch.tensor(np.concatenate([corner, corner + rng.uniform(5, 25, (60, 3))], 1).astype(np.float32))
    scores = torch.tensor(np.round(rng.uniform(0, 1, 60), 1).astype(np.float32))  # with ties
    labels = torch.tensor(rng.integers(0, 2, 60))
    kept = {str(limit): batched_nms(boxes, scores, labels, 0.22, limit).tolist() for limit in (-1, 5)}
    return {
        "windows": windows, "importance": maps,
        "anchors": {"image": [32, 48, 16], "grids": grids, "count": len(anchors), "picks": picks.tolist(), "values": rounded(anchors[picks])},
        "coder": {"weights": weights, "codes": rounded(codes, 7), "boxes": rounded(decoded, 4), "clipped": rounded(clipped, 4), "keep": keep.tolist()},
        "nms": {"boxes": rounded(boxes, 6), "scores": rounded(scores, 6), "labels": labels.tolist(), "iou": 0.22, "kept": kept},
    }


def main():
    retina = manifest("retinanet-3d-tiny")
    network = tiny_retinanet(retina)
    export("retinanet-3d-tiny", network, torch.rand(1, 1, 64, 64, 32), [level["classification"] for level in retina["network"]["levels"]] + [level["boxRegression"] for level in retina["network"]["levels"]])
    write("retinanet-3d.json", {"cases": [detect(network, retina, case) for case in (
        {"size": [70, 66, 44], "spacing": [0.9, 0.8, 1.5], "origin": [-30.0, 12.5, 100.0]},
        {"size": [110, 90, 21], "spacing": [0.703125, 0.703125, 1.25], "origin": [0.0, 0.0, 0.0]},
        {"size": [50, 44, 17], "spacing": [0.7, 0.75, 2.5], "origin": [5.0, -7.0, 3.0]},
    )]})
    seg = manifest("segresnet-tiny")
    network = tiny_segresnet(seg)
    export("segresnet-tiny", network, torch.rand(1, 4, 32, 24, 16), ["pred"])
    write("sliding-window-segmentation.json", {"cases": [segment(network, seg, case) for case in (
        {"size": [44, 37, 26], "spacing": [1.0, 1.0, 1.0]},
        {"size": [40, 30, 11], "spacing": [1.0, 1.0, 1.0], "window": {"blending": "constant"}},
    )]})
    write("parts.json", parts(retina))


main()
