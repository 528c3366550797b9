"""Which trained network to ship: FERGIT's validation images as they are, and as photographs often are.

``PYTHONPATH=src python benchmarks/choice.py`` after its trainings; it writes choice.json and README.md's table.
"""

import functools
from pathlib import Path

import pandas as pd

from fergit.analysis.alterations import ALTERATIONS
from fergit.core import files
from fergit.core.faces import load_processed
from fergit.engine.prediction import predict
from fergit.engine.trained import load_trained
from fergit.pages.present import markdown, percent, title
from fergit.pages.templates import with_block

README, RESULTS = (Path(__file__).with_name(name) for name in ("README.md", "choice.json"))
BEGIN, END = "<!-- choice:begin -->", "<!-- choice:end -->"
NETWORKS = ("fergit_best", 0), ("fergit_best", 1), ("fergit_best", 2)  # all residual
WORSE = {"half the light": ("dark", 0.5), "half the contrast": ("flat", 0.5), "32 pixels a side": ("small", 32)}


@functools.cache
def validation(dataset):
    """The labels of a data set's validation images, and these images in each of the four conditions, by name."""
    faces = load_processed(dataset, ("validation",))
    worse = {name: ALTERATIONS[kind](faces.images, strength) for name, (kind, strength) in WORSE.items()}
    return faces.labels, {"as they are": faces.images} | worse


def measure(dataset, seed):
    """A network's row of the table: its accuracies on validation images, and their mean."""
    network, _ = load_trained(dataset, "residual", seed)
    labels, several = validation(dataset)
    shares = {
        name: float((predict(network, images).argmax(axis=1) == labels).mean()) for name, images in several.items()
    }
    return {"network": f"{title(dataset)}, seed {seed}"} | shares | {"mean of the four": sum(shares.values()) / 4}


def main():
    rows = [measure(*network) for network in NETWORKS]
    files.write_json(RESULTS, rows)
    table = markdown(pd.DataFrame(rows).map(lambda value: value if isinstance(value, str) else percent(value)))
    files.write_text(README, with_block(README, BEGIN, END, table))
    print(table)


if __name__ == "__main__":
    main()
