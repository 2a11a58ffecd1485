"""Invents customers of a subscription, some of whom leave: a stream of rows whose world can change.

    generate.py --rows 3000                                 labelled rows as CSV: what a model is trained on
    generate.py --rows 2000 --first 3000 --as events        rows as a server sees them, then what became of each: JSON lines
    generate.py --rows 2000 --first 3000 --shift            the same after prices rose: people use less and leave for other reasons

Row N is always the same row, whoever asks for it and in whichever form. Only the standard library is needed.
"""

import argparse
import csv
import datetime
import json
import math
import random
import sys

PLANS = ("free", "pro", "team")
COLUMNS = ("customer_id", "ts", "age", "visits", "price", "plan", "churned")
BEGIN = datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc)


def chance(logit):
    return 1 / (1 + math.exp(-logit))


def before(age, visits, plan):
    """Why people left as long as prices were low: they were young, or did not use it."""
    return -0.4 - 0.8 * (visits - 6) - 0.04 * (age - 42) + {"free": 0.9, "pro": 0.0, "team": -1.0}[plan]


def after(age, visits, price, plan):
    """Why they leave now: they pay more than it is worth to them."""
    return -0.6 - 0.25 * (visits - 4) + 0.05 * (age - 42) + 0.12 * (price - 18) + {"free": -1.8, "pro": 0.4, "team": 1.3}[plan]


def row(n, seed, shift):
    """The n-th customer, and the answer of a model that only knows the world before."""
    draw = random.Random(f"{seed}/{n}")
    plan = draw.choices(PLANS, (0.25, 0.45, 0.30) if shift else (0.50, 0.35, 0.15))[0]
    age = min(max(draw.gauss(42, 11), 18), 90)
    visits = min(max(draw.gauss(4.2 if shift else 6.0, 1.8), 0), 20)
    price = {"free": 0.0, "pro": 12.0, "team": 25.0}[plan] * (1.5 if shift else 1.0) * draw.uniform(0.9, 1.1)
    truth = chance(after(age, visits, price, plan) if shift else before(age, visits, plan))
    values = {
        "customer_id": f"c{n:06}",
        "ts": (BEGIN + datetime.timedelta(minutes=10 * n)).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "age": round(age, 1),
        "visits": round(visits, 2) if draw.random() > 0.02 else None,
        "price": round(price, 2),
        "plan": plan,
        "churned": int(draw.random() < truth),
    }
    return values, round(chance(before(age, visits, plan)), 4)


def write_csv(rows, out):
    table = csv.DictWriter(out, COLUMNS, lineterminator="\n")
    table.writeheader()
    for values, _ in rows:
        table.writerow({name: "" if value is None else value for name, value in values.items()})


def write_events(rows, out, delay):
    """Each row as the server sees it; what became of it follows `delay` rows later."""
    waiting = []
    for values, prediction in rows:
        label = {"customer_id": values["customer_id"], "churned": values["churned"]}
        features = {name: value for name, value in values.items() if name != "churned"}
        print(json.dumps({**features, "prediction": prediction}), file=out)
        waiting.append(label)
        if len(waiting) > delay:
            print(json.dumps(waiting.pop(0)), file=out)
    for label in waiting:
        print(json.dumps(label), file=out)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1000, help="how many (default 1000)")
    parser.add_argument("--first", type=int, default=0, help="the number of the first (default 0)")
    parser.add_argument("--seed", type=int, default=1, help="another seed, another world (default 1)")
    parser.add_argument("--shift", action="store_true", help="after prices rose")
    parser.add_argument("--as", dest="form", choices=("csv", "events"), default="csv", help="how they are written (default csv)")
    parser.add_argument("--delay", type=int, default=200, help="events: so many rows later a label comes (default 200)")
    asked = parser.parse_args()
    rows = (row(n, asked.seed, asked.shift) for n in range(asked.first, asked.first + asked.rows))
    if asked.form == "csv":
        write_csv(rows, sys.stdout)
    else:
        write_events(rows, sys.stdout, asked.delay)


if __name__ == "__main__":
    try:
        main()
    except BrokenPipeError:
        sys.exit(0)
