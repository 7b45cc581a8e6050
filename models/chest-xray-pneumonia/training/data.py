"""PneumoniaMNIST: reading the official split, and sampling weights against shortcuts."""
import hashlib
import os
from pathlib import Path

import numpy as np

FILE = "pneumoniamnist.npz"
SHA256 = "e1792d3f03751cb101e99f19a63b3c1941436c988665f47853417b05be250cd8"
REPOSITORY = Path(__file__).resolve().parents[3]


def default_folder():
    """The data folder: HEALTHVISION_TEST_DATA, or ../shared/data beside the repository."""
    return os.environ.get("HEALTHVISION_TEST_DATA") or str(REPOSITORY.parent / "shared" / "data")


def open_archive(folder):
    """Find and open the .npz (arrays stay unread until they are asked for)."""
    for path in (Path(folder) / "cxr" / FILE, Path(folder) / FILE):
        if path.is_file():
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            if digest != SHA256:
                print(f"warning: {path.name} has sha256 {digest}, the figures are for {SHA256}")
            return np.load(path)
    raise SystemExit(f"{FILE} is neither in {folder}/cxr nor in {folder}")


def read_split(archive, split):
    """Images float32 [n, 1, 28, 28] in [0, 1] and labels int64 [n] (1: pneumonia)."""
    images = archive[f"{split}_images"].astype(np.float32)[:, None] / 255
    return images, archive[f"{split}_labels"].ravel().astype(np.int64)


def nuisance_features(images):
    """What can be told without looking at the lungs: histogram and border brightness."""
    x = images[:, 0]
    quantiles = np.quantile(x.reshape(len(x), -1), [0, 0.05, 0.25, 0.5, 0.75, 0.95, 1], axis=1).T
    return np.column_stack([
        quantiles, x.mean((1, 2)), x.std((1, 2)), x[:, :2].mean((1, 2)), x[:, -2:].mean((1, 2)),
        x[:, :, :2].mean((1, 2)), x[:, :, -2:].mean((1, 2)), x[:, 8:20, 10:18].mean((1, 2))])


class NuisanceModel:
    """Ridge logistic regression of the label on the nuisance features and their squares."""

    def __init__(self, images, labels, ridge=1e-4):
        features = nuisance_features(images).astype(np.float64)
        self.mean, self.std = features.mean(0), features.std(0)
        design = self._design(features)
        self.weights = np.zeros(design.shape[1])
        strength = ridge * len(labels)
        for _ in range(30):  # Newton's method
            p = 1 / (1 + np.exp(-design @ self.weights))
            hessian = design.T @ (design * (p * (1 - p))[:, None])
            gradient = design.T @ (p - labels) + strength * self.weights
            self.weights -= np.linalg.solve(hessian + strength * np.eye(len(gradient)), gradient)

    def _design(self, features):
        z = (features - self.mean) / self.std
        return np.column_stack([z, z ** 2, np.ones(len(z))])

    def probability(self, images):
        """Probability of pneumonia judged by exposure and framing alone."""
        score = self._design(nuisance_features(images).astype(np.float64)) @ self.weights
        return 1 / (1 + np.exp(-np.clip(score, -30, 30)))

    def overlap_weights(self, images, labels):
        """Weights under which both classes have the same nuisance distribution.

        These are the overlap weights of Li, Morgan and Zaslavsky (2018): an image counts
        by the probability, given its nuisance features, of the class it is not in.
        """
        p = self.probability(images)
        return np.where(labels == 1, 1 - p, p)


def sampling_weights(labels, overlap, share):
    """Class-balanced sampling, with the given share of each class drawn by overlap weight."""
    weights = np.zeros(len(labels))
    for label in (0, 1):
        members = labels == label
        weights[members] = 0.5 * ((1 - share) / members.sum()
                                  + share * overlap[members] / overlap[members].sum())
    return weights
