"""Where everything lies, relative to the checkout that this file belongs to.

The root is found from this file and from nothing else: in a queued DVC experiment, environment variables point at the
workspace that queued it, not at the checkout that runs.
"""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]

PARAMS = ROOT / "params.yaml"
PIPELINE = ROOT / "dvc.yaml"
STUDIES = ROOT / "studies" / "params.yaml"
NOTEBOOKS = ROOT / "notebooks"
EXTERNAL = ROOT / "data" / "external"
RAW = ROOT / "data" / "raw"
PROCESSED = ROOT / "data" / "processed"
MODELS = ROOT / "models"
RESULTS = ROOT / "results"
RUNS = ROOT / "runs"
WORK = ROOT / "work"


def processed(dataset):
    """The one array file of a data set, ``data/processed/<dataset>.npz``."""
    return PROCESSED / f"{dataset}.npz"


def weights(dataset, model, seed):
    """The best weights of one training, ``models/<dataset>/<model>/seed-<seed>.weights.h5``."""
    return MODELS / dataset / model / f"seed-{seed}.weights.h5"


def results(dataset, model=None, seed=None):
    """The folder of results of a data set, of one network on it, or of one training."""
    folder = RESULTS / dataset
    if model is not None:
        folder /= model
    if seed is not None:
        folder = folder / "02-train" / f"seed-{seed}"
    return folder


def study(name):
    """The folder of results of a study."""
    return RESULTS / "studies" / name


def leaks(dataset):
    """The folder of what is known of a data set's copies across parts, sources and labels."""
    return RESULTS / "leaks" / dataset


def gradcam(dataset):
    """The folder of what is known of where the labels of a data set's network come from."""
    return RESULTS / "gradcam" / dataset


def report(dataset):
    """The folder of a data set's report; not among its results, because it depends on all of them."""
    return RESULTS / "reports" / dataset


def run(dataset, model, seed):
    """What a training cost: it differs each time, so it lies apart from the results."""
    return RUNS / dataset / model / f"seed-{seed}.json"


CHECKPOINTS_KEPT = 30  # two studies of ten trainings, and some


def checkpoints(dataset, model, seed):
    """The folder of one training's checkpoints.

    The runner keeps the newest CHECKPOINTS_KEPT there, when a training is saved or a study done.
    """
    return WORK / "checkpoints" / f"{dataset}-{model}-{seed}"


def outcome(dataset, model, seed, key):
    """What a training came to, without its weights; small, so it stays."""
    return WORK / "outcomes" / f"{dataset}-{model}-{seed}" / f"{key}.npz"


def relative(path):
    """A path as the user types it: relative to the root, where it lies inside."""
    path = Path(path)
    return path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT) else path.as_posix()
