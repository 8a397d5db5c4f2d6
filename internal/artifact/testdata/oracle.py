"""Asks XGBoost for contributions (Debian's python3-xgboost 1.7.4).

oracle.py train BANK DIR ROUNDS DEPTH: trains on the numeric columns of the bank data; writes
the model in three formats and golden.csv, as make.py does.
oracle.py ask MODEL ROWS OUT: loads a model, and writes ROWS as golden.csv.
"""
import csv
import sys

import numpy as np
import xgboost as xgb


def golden(model, rows, out):
    contributions = model.predict(xgb.DMatrix(rows), pred_contribs=True)
    scores = model.predict(xgb.DMatrix(rows))
    with open(out, "w") as f:
        for row, c, s in zip(rows, contributions, scores):
            cells = ["" if np.isnan(v) else repr(float(v)) for v in row] + [repr(float(v)) for v in c] + [repr(float(s))]
            f.write(",".join(cells) + "\n")


if sys.argv[1] == "train":
    bank, folder, rounds, depth = sys.argv[2:]
    with open(bank, newline="") as f:
        records = list(csv.reader(f, delimiter=";"))
    header, records = records[0], records[1:]
    numeric = [i for i, name in enumerate(header) if name != "y" and records[0][i].replace(".", "").replace("-", "").isdigit()]
    x = np.array([[float(r[i]) for i in numeric] for r in records])
    y = np.array([r[-1] == "yes" for r in records], dtype=float)
    model = xgb.train({"objective": "binary:logistic", "max_depth": int(depth), "nthread": 1}, xgb.DMatrix(x, label=y), int(rounds))
    model.save_model(folder + "/model.json")
    model.save_model(folder + "/model.ubj")
    model.save_model(folder + "/model.deprecated")
    golden(model, x[::10], folder + "/golden.csv")
else:
    model, rows, out = sys.argv[2:]
    booster = xgb.Booster()
    booster.load_model(model)
    golden(booster, np.genfromtxt(rows, delimiter=","), out)
