"""Trains a logistic regression by gradient descent, with nothing but the standard library.

`switchyard-pipeline` runs this in the training image. It is told by environment variables: SWITCHYARD_TRAIN (the training fold,
CSV), SWITCHYARD_EVAL (the fold to stop by, where there is one), SWITCHYARD_PARAMS (a file of JSON), SWITCHYARD_SEED, and
SWITCHYARD_MODEL_OUT, where the model must be left. SWITCHYARD_MODEL_IN is the champion's model, where it may begin there.
"""

import csv
import json
import math
import os
import random

LABEL = "churned"
NOT_SEEN = ("customer_id", "ts", LABEL)


def load(path):
    with open(path, newline="") as file:
        rows = list(csv.DictReader(file))
    names = [name for name in rows[0] if name not in NOT_SEEN]
    return names, [[float(row[name]) for name in names] for row in rows], [float(row[LABEL]) for row in rows]


def answer(weights, bias, values):
    logit = bias + sum(weight * value for weight, value in zip(weights, values))
    return 1 / (1 + math.exp(-max(min(logit, 30), -30)))


def loss(weights, bias, rows, labels):
    total = 0.0
    for values, label in zip(rows, labels):
        p = min(max(answer(weights, bias, values), 1e-12), 1 - 1e-12)
        total -= label * math.log(p) + (1 - label) * math.log(1 - p)
    return total / len(rows)


def descend(weights, bias, rows, labels, order, rate, l2):
    for at in order:
        values, error = rows[at], answer(weights, bias, rows[at]) - labels[at]
        for n, value in enumerate(values):
            weights[n] -= rate * (error * value + l2 * weights[n])
        bias -= rate * error
    return bias


def begin(names):
    """The champion's weights, where they are given and fit; else zeros."""
    path = os.environ.get("SWITCHYARD_MODEL_IN")
    if path:
        with open(path) as file:
            champion = json.load(file)
        if champion["columns"] == names:
            return list(champion["weights"]), champion["bias"]
    return [0.0] * len(names), 0.0


def main():
    with open(os.environ["SWITCHYARD_PARAMS"]) as file:
        params = json.load(file)
    names, rows, labels = load(os.environ["SWITCHYARD_TRAIN"])
    watched = load(os.environ["SWITCHYARD_EVAL"])[1:] if "SWITCHYARD_EVAL" in os.environ else (rows, labels)
    chance = random.Random(int(os.environ["SWITCHYARD_SEED"]))
    weights, bias = begin(names)
    best, worse = (loss(weights, bias, *watched), list(weights), bias), 0
    for epoch in range(params["epochs"]):
        order = list(range(len(rows)))
        chance.shuffle(order)
        bias = descend(weights, bias, rows, labels, order, params["rate"] / (1 + epoch / 4), params["l2"])
        now = loss(weights, bias, *watched)
        print(f"epoch {epoch + 1}: log loss {now:.4f}", flush=True)
        worse = 0 if now < best[0] else worse + 1
        if now < best[0]:
            best = (now, list(weights), bias)
        if worse >= params["patience"]:
            break
    with open(os.environ["SWITCHYARD_MODEL_OUT"], "w") as file:
        json.dump({"columns": names, "weights": best[1], "bias": best[2]}, file)


if __name__ == "__main__":
    main()
