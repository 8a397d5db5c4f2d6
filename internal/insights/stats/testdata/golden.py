#!/usr/bin/env python3
"""Writes golden.json: figures of scipy and scikit-learn that the tests compare with.

    python3 golden.py > golden.json

Debian 12 has the versions that made the file: python3-scipy 1.10.1, python3-sklearn 1.2.1.
"""
import json
import sys

import numpy as np
import scipy
import sklearn
from scipy import stats
from sklearn.calibration import calibration_curve
from sklearn.isotonic import IsotonicRegression
from sklearn.metrics import (accuracy_score, brier_score_loss, log_loss, precision_score, recall_score, roc_auc_score)

random = np.random.default_rng(20261130)


def delong(scores, labels):
    """The variance of the AUC by its definition, over all pairs of rows."""
    positives, negatives = scores[labels == 1], scores[labels == 0]
    kernel = (positives[:, None] > negatives[None, :]) + 0.5 * (positives[:, None] == negatives[None, :])
    return kernel.mean(axis=1).var(ddof=1) / len(positives) + kernel.mean(axis=0).var(ddof=1) / len(negatives)


def wilson(successes, count):
    interval = stats.binomtest(int(successes), int(count)).proportion_ci(0.95, method="wilson")
    return [successes / count, interval.low, interval.high]


def quality(scores, labels, threshold):
    predicted = (scores >= threshold).astype(int)
    out = {
        "scores": scores.tolist(), "labels": labels.tolist(), "threshold": threshold,
        "auc": roc_auc_score(labels, scores), "auc_variance": delong(scores, labels),
        "log_loss": log_loss(labels, scores, eps=1e-15), "brier": brier_score_loss(labels, scores),
        "accuracy": accuracy_score(labels, predicted),
        "precision": precision_score(labels, predicted), "recall": recall_score(labels, predicted),
    }
    out["accuracy_wilson"] = wilson((predicted == labels).sum(), len(labels))
    out["precision_wilson"] = wilson((predicted * labels).sum(), predicted.sum())
    out["recall_wilson"] = wilson((predicted * labels).sum(), labels.sum())
    return out


def expected(scores, threshold):
    """Each row counts as p positive and 1-p negative rows."""
    s, y = np.tile(scores, 2), np.repeat([1, 0], len(scores))
    w = np.concatenate([scores, 1 - scores])
    predicted = (s >= threshold).astype(int)
    return {
        "scores": scores.tolist(), "threshold": threshold,
        "auc": roc_auc_score(y, s, sample_weight=w), "log_loss": log_loss(y, s, eps=1e-15, sample_weight=w),
        "brier": brier_score_loss(y, s, sample_weight=w), "accuracy": accuracy_score(y, predicted, sample_weight=w),
        "precision": precision_score(y, predicted, sample_weight=w), "recall": recall_score(y, predicted, sample_weight=w),
    }


def calibrated(scores, labels):
    true, predicted = calibration_curve(labels, scores, n_bins=10, strategy="quantile")
    return {"scores": scores.tolist(), "labels": labels.tolist(), "calibration_error": float(np.abs(true - predicted).mean())}


def isotonic(count):
    x = np.sort(random.uniform(size=count)).round(4)
    y = (random.uniform(size=count) < x ** 2).astype(float)
    w = random.integers(1, 20, size=count).astype(float)
    x, first = np.unique(x, return_index=True)
    y, w = y[first], w[first]
    at = np.linspace(-0.1, 1.1, 49)
    fit = IsotonicRegression(out_of_bounds="clip").fit(x, y, sample_weight=w)
    return {"x": x.tolist(), "y": y.tolist(), "w": w.tolist(), "fitted": fit.predict(x).tolist(),
            "at": at.tolist(), "predicted": fit.predict(at).tolist()}


def psi(reference, live):
    p, q = np.array(reference) / sum(reference), np.array(live) / sum(live)
    value = float(stats.entropy(p, q) + stats.entropy(q, p))
    statistic = value / (1 / sum(reference) + 1 / sum(live))
    return {"reference": reference, "live": live, "psi": value, "p_value": float(stats.chi2.sf(statistic, len(p) - 1))}


def correlation(x, y):
    return {"x": x.tolist(), "y": y.tolist(), "correlation": stats.pearsonr(x, y)[0]}


def write(parts):
    lines = [json.dumps(name) + ": " + json.dumps(part) for name, part in parts.items()]
    sys.stdout.write("{\n" + ",\n".join(lines) + "\n}\n")


def main():
    n = 400
    z = random.normal(-1.5, 1.5, n)
    scores = 1 / (1 + np.exp(-z))
    labels = (random.uniform(size=n) < 1 / (1 + np.exp(-z - random.normal(0, 0.7, n)))).astype(int)
    chi2 = [[x, df, float(stats.chi2.sf(x, df))]
            for df in (1, 2, 3, 9, 10, 31, 204, 5000)
            for x in (df * f for f in (0.001, 0.1, 0.5, 0.9, 1.0, 1.1, 1.5, 3.0, 10.0))]
    quantiles = [[tail, df, float(stats.chi2.isf(tail, df))]
                 for df in (1, 2, 9, 31, 204) for tail in (0.999, 0.5, 0.05, 0.01, 0.001, 5e-5, 1e-9)]
    large = random.normal(size=200)
    write({
        "versions": {"scipy": scipy.__version__, "sklearn": sklearn.__version__, "numpy": np.__version__},
        "chi2_tails": chi2, "chi2_quantiles": quantiles,
        "quality": [quality(scores, labels, 0.5), quality(scores.round(2), labels, 0.3)],
        "expected": [expected(scores, 0.5), expected(scores.round(2), 0.3)],
        "calibration": [calibrated(scores, labels), calibrated(np.sqrt(scores), labels)],
        "isotonic": [isotonic(30), isotonic(200)],
        "psi": [psi([100, 200, 300, 400], [60, 90, 160, 190]), psi([3000] * 10, [93, 107, 88, 101, 140, 90, 105, 95, 99, 82]),
                psi([24000, 6000], [700, 300])],
        "correlation": [correlation(scores, labels.astype(float)), correlation(1e9 + large, large + random.normal(size=200))],
    })


main()
