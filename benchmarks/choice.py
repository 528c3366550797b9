"""Which trained network to ship: FERGIT's validation images as they are, and as photographs often are."""

from fergit.analysis.alterations import ALTERATIONS
from fergit.core.faces import load_processed
from fergit.engine.prediction import predict
from fergit.engine.trained import load_trained
from fergit.pages.present import title

DATASET, SEEDS = "fergit_best", (0, 1, 2)
WORSE = {"half the light": ("dark", 0.5), "half the contrast": ("flat", 0.5), "32 pixels a side": ("small", 32)}


def measure(trial):
    """A row for each residual network: its accuracies in each of the four conditions, and their mean."""
    faces, rows = load_processed(DATASET, ("validation",)).take(slice(64 if trial else None)), []
    worse = {name: ALTERATIONS[kind](faces.images, strength) for name, (kind, strength) in WORSE.items()}
    for seed in SEEDS:
        network, _ = load_trained(DATASET, "residual", seed)
        shares = {
            name: float((predict(network, images).argmax(axis=1) == faces.labels).mean())
            for name, images in ({"as they are": faces.images} | worse).items()
        }
        mean = {"mean of the four": sum(shares.values()) / 4}
        rows.append({"network": f"{title(DATASET)}, seed {seed}"} | shares | mean)
    return rows
