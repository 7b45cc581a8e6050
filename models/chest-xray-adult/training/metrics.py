"""Figures of a classifier of several findings: AUC, calibration, decisions, and intervals over patients."""
import numpy as np

BOOTSTRAPS = 2000
BINS = 10


def sigmoid(x):
    return 1 / (1 + np.exp(-np.clip(x, -60, 60)))


def auc(scores: np.ndarray, labels: np.ndarray) -> float:
    """Area under the ROC curve, ties count half; not a number where a class is missing."""
    positive = labels > 0.5
    p, q = int(positive.sum()), int((~positive).sum())
    if p == 0 or q == 0:
        return float("nan")
    values, place, count = np.unique(scores, return_inverse=True, return_counts=True)
    rank = (np.cumsum(count) - (count - 1) / 2)[place]
    return float((rank[positive].sum() - p * (p + 1) / 2) / (p * q))


def fit_platt(scores: np.ndarray, labels: np.ndarray, ridge: float = 1e-3) -> tuple[float, float]:
    """Slope and intercept of Platt's scaling, with his smoothed targets, by Newton's method (Platt 1999)."""
    count = labels.sum()
    target = np.where(labels > 0.5, (count + 1) / (count + 2), 1 / (len(labels) - count + 2))
    centre, spread = scores.mean(), scores.std()
    design = np.column_stack([(scores - centre) / spread, np.ones(len(scores))])
    line = np.zeros(2)
    for _ in range(100):
        p = sigmoid(design @ line)
        hessian = design.T @ (design * (p * (1 - p))[:, None]) + ridge * np.eye(2)
        line -= np.linalg.solve(hessian, design.T @ (p - target) + ridge * line)
    return float(line[0] / spread), float(line[1] - line[0] * centre / spread)


def youden_threshold(probability: np.ndarray, labels: np.ndarray) -> float:
    """The probability with the largest sensitivity + specificity, in the middle of the gap below it."""
    values = np.unique(probability)
    cuts = np.concatenate([[values[0]], (values[1:] + values[:-1]) / 2])
    positive = labels > 0.5
    called = probability[None] >= cuts[:, None]
    gain = called[:, positive].mean(1) - called[:, ~positive].mean(1)
    return float(cuts[int(np.argmax(gain))])


def calibration_error(probability, labels) -> float:
    """Expected calibration error over ten bins of equal width."""
    place = np.minimum((probability * BINS).astype(int), BINS - 1)
    total = np.bincount(place, minlength=BINS)
    gap = np.abs(np.bincount(place, probability, BINS) - np.bincount(place, labels, BINS))
    return float(gap[total > 0].sum() / len(labels))


def measures(probability, labels, threshold) -> dict[str, float]:
    """The figures of one finding, without intervals."""
    called, positive = probability >= threshold, labels > 0.5
    share = lambda part, whole: float((part & whole).sum() / whole.sum()) if whole.any() else float("nan")
    return {"auc": auc(probability, labels),
            "sensitivity": share(called, positive), "specificity": share(~called, ~positive),
            "ppv": share(positive, called), "npv": share(~positive, ~called),
            "brier": float(((probability - labels) ** 2).mean()),
            "ece": calibration_error(probability, labels)}


def patient_resamples(patients: np.ndarray, seed: int = 0) -> list[np.ndarray]:
    """Image indices of each bootstrap resample; patients are drawn, with all their images."""
    names, place = np.unique(patients, return_inverse=True)
    images = [np.flatnonzero(place == i) for i in range(len(names))]
    rng = np.random.RandomState(seed)
    return [np.concatenate([images[k] for k in rng.randint(0, len(names), len(names))]) for _ in range(BOOTSTRAPS)]


def interval(draws) -> list[float] | None:
    """The central 95 % of bootstrap draws; None where no draw had a value."""
    known = np.asarray(draws, float)
    known = known[np.isfinite(known)]
    return [round(float(q), 4) for q in np.percentile(known, [2.5, 97.5])] if len(known) else None


def rounded(value: float) -> float | None:
    return round(value, 4) if np.isfinite(value) else None


def with_interval(figure, resamples) -> dict:
    """`figure(indices)` of everything and its interval over the resamples; indices None: all."""
    return {"value": rounded(figure(None)), "ci95": interval([figure(i) for i in resamples])}


def summarise(probability, labels, threshold, resamples) -> dict:
    """All figures of one finding with 95 % intervals, and the counts."""
    draws = [measures(probability[i], labels[i], threshold) for i in resamples]
    result = {name: {"value": rounded(value), "ci95": interval([d[name] for d in draws])}
              for name, value in measures(probability, labels, threshold).items()}
    result["positives"] = int(labels.sum())
    return result


def mean_auc(probability, labels, columns) -> float:
    """Mean AUC over the findings that have both classes among the images."""
    each = [auc(probability[:, j], labels[:, j]) for j in columns]
    return float(np.nanmean(each)) if np.isfinite(each).any() else float("nan")
