"""Predicts the rows of SWITCHYARD_TEST with the model in SWITCHYARD_MODEL_IN, into SWITCHYARD_PREDICTIONS (all CSV and JSON)."""

import csv
import json
import os

from train import answer

KEY = "customer_id"


def main():
    with open(os.environ["SWITCHYARD_MODEL_IN"]) as file:
        model = json.load(file)
    with open(os.environ["SWITCHYARD_TEST"], newline="") as rows, open(os.environ["SWITCHYARD_PREDICTIONS"], "w", newline="") as out:
        table = csv.writer(out, lineterminator="\n")
        table.writerow((KEY, "prediction"))
        for row in csv.DictReader(rows):
            values = [float(row[name]) for name in model["columns"]]
            table.writerow((row[KEY], repr(answer(model["weights"], model["bias"], values))))


if __name__ == "__main__":
    main()
