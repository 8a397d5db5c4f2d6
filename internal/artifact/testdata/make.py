"""Makes the golden files of this folder with XGBoost 1.7.4 and numpy 1.24.2 (Debian 12:
apt-get install python3-xgboost; /usr/bin/python3 make.py).

A generated table of six columns with missing numbers, trees of depth 4, a base score that
is not 0.5. The same model is saved in the three formats. golden.csv has, for each row, its
columns, the contributions of the columns and of the bias (pred_contribs), and the score.
"""
import pathlib

import numpy as np
import xgboost as xgb

here = pathlib.Path(__file__).parent
random = np.random.default_rng(7)
rows, columns = 2000, 6
x = random.normal(size=(rows, columns)).round(3)
x[:, 3] = (x[:, 3] > 0.4).astype(float)
logit = 1.5 * x[:, 0] - x[:, 1] * x[:, 3] + 0.5 * np.abs(x[:, 4]) - 1
y = (random.random(rows) < 1 / (1 + np.exp(-logit))).astype(float)
x[random.random(x.shape) < 0.1] = np.nan

data = xgb.DMatrix(x, label=y)
model = xgb.train({"objective": "binary:logistic", "max_depth": 4, "eta": 0.4, "base_score": 0.3, "nthread": 1,
                   "tree_method": "exact", "seed": 1}, data, num_boost_round=8)
model.save_model(here / "golden.json")
model.save_model(here / "golden.ubj")
model.save_model(here / "golden.deprecated")
(here / "golden.deprecated").rename(here / "golden.bin")

some = x[:60]
contributions = model.predict(xgb.DMatrix(some), pred_contribs=True)
scores = model.predict(xgb.DMatrix(some))
with open(here / "golden.csv", "w") as out:
    for row, c, s in zip(some, contributions, scores):
        cells = ["" if np.isnan(v) else repr(float(v)) for v in row] + [repr(float(v)) for v in c] + [repr(float(s))]
        out.write(",".join(cells) + "\n")
