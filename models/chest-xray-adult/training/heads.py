"""Linear heads on frozen features (ridge regression), and the strangeness (a Gaussian of the features)."""
from dataclasses import dataclass

import numpy as np

COMPONENTS = 64
LAYOUT_COMPONENTS = 24


@dataclass
class Linear:
    """scores = features @ weights + bias; weights [d, findings]."""

    weights: np.ndarray
    bias: np.ndarray

    def __call__(self, features: np.ndarray) -> np.ndarray:
        return features @ self.weights + self.bias


def fit_ridge(features: np.ndarray, labels: np.ndarray, ridge: float) -> Linear:
    """Ridge regression of each finding, in its dual form, on features [copies, n, d] and labels [n, findings].

    Features are standardised, targets centred and scaled by their deviation, which weighs
    the classes of a rare finding like those of a frequent one.
    """
    copies, count, width = features.shape
    rows = features.reshape(copies * count, width).astype(np.float64)
    mean, spread = rows.mean(0), rows.std(0) + 1e-3
    design = (rows - mean) / (spread * np.sqrt(width))
    target = np.tile((labels - labels.mean(0)) / np.maximum(labels.std(0), 0.05), (copies, 1))
    gram = design @ design.T
    dual = np.linalg.solve(gram + ridge * copies * np.eye(len(gram)), target)
    weights = design.T @ dual / (spread * np.sqrt(width))[:, None]
    return Linear(weights, -mean @ weights)


@dataclass
class Gaussian:
    """A Gaussian of standardised features whose covariance is that of probabilistic PCA (Tipping and Bishop 1999).

    distance = sqrt(Mahalanobis distance squared / d); axes [d, k], shrink [k] = 1 - noise / variance.
    """

    mean: np.ndarray
    spread: np.ndarray
    axes: np.ndarray
    shrink: np.ndarray
    noise: float

    def __call__(self, features: np.ndarray) -> np.ndarray:
        z = (features - self.mean) / self.spread
        along = z @ self.axes
        return np.sqrt(np.maximum((z * z).sum(1) - along ** 2 @ self.shrink, 0) / (self.noise * z.shape[1]))


def fit_gaussian(features: np.ndarray, components: int = COMPONENTS) -> Gaussian:
    """Fit on features [copies, n, d]."""
    rows = features.reshape(-1, features.shape[2]).astype(np.float64)
    mean, spread = rows.mean(0), rows.std(0) + 1e-3
    z = (rows - mean) / spread
    _, singular, axes = np.linalg.svd(z, full_matrices=False)
    variance = singular ** 2 / len(z)
    noise = variance[components:].sum() / (z.shape[1] - components)
    return Gaussian(mean, spread, axes[:components].T, 1 - noise / variance[:components], float(noise))
