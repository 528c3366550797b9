"""Check that our training computes what plain Keras computes: the losses of 200 steps side by side, ``make losses``.

Both start from the same weights and get the same batches of drawn faces and the same dropout masks. Ours has
`layers.Convolution`, `layers.BatchNormalization` (in float32 only), `layers.trim` and `optimizer.FusedNadam`; the plain
one has Keras' own layers and Nadam. In float64 every difference but rounding would stay. In float32 rounding itself
grows, because Nadam's first steps have the same size for a gradient of any size. A third training shows how fast: the
plain one again, with each weight changed by at most one part in 2**23, the spacing of float32.
"""

import argparse
import json
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from fergit.core import files
from fergit.core.params import stage_params
from fergit.data.synthetic import draw_faces
from fergit.engine import layers, network, optimizer, training
from fergit.engine.backend import configure, describe_machine, keras

RESULTS = Path(__file__).with_name("loss_curves.json")
DISTURBED = "plain, weights changed by 2**-23"
PATHS = ("ours", "plain", DISTURBED)
BATCH_SIZES = {"float32": 64, "float64": 8}  # convolutions in float64 are slow
SEED = 0


def losses(path, precision, steps):
    """The loss of each step, list of float; in a process of its own, because it changes Keras and our modules."""
    configure(SEED, "cpu")
    keras.config.set_floatx(precision)
    keras.config.set_dtype_policy(precision)
    if precision == "float64":  # the head too, which `build_network` keeps in float32
        dense = keras.layers.Dense
        keras.layers.Dense = lambda *arguments, dtype, **settings: dense(*arguments, **settings)
    if path != "ours":
        network.Convolution = keras.layers.Conv2D
        network.BatchNormalization = keras.layers.BatchNormalization
    params = stage_params("train", dataset="fergit", model="residual", seed=SEED)
    # With dropout and class weights, so that more has to agree.
    built = network.build_network("residual", seed=SEED, **params["network"] | {"dropout": 0.3})
    if path == DISTURBED:
        rng = np.random.default_rng(SEED)
        built.set_weights([w * (1 + rng.uniform(-1, 1, w.shape) * 2.0**-23) for w in built.get_weights()])
    if path == "ours":
        built = layers.trim(built)
    nadam = optimizer.FusedNadam if path == "ours" else keras.optimizers.Nadam
    train = params["train"] | {"batch_size": BATCH_SIZES[precision]}
    steps_by = nadam(train["learning_rate"], beta_1=train["beta_1"], beta_2=train["beta_2"])
    built.compile(steps_by, "categorical_crossentropy", jit_compile=False)

    images, labels, _ = draw_faces(1280, SEED)
    weights = training.class_weights(labels, 7, "balanced")
    batches = training.AugmentedBatches(images, labels, weights, SEED, 1, train, params["augmentation"])
    curve = []
    while len(curve) < steps:
        for i in range(min(len(batches), steps - len(curve))):
            built.reset_metrics()  # or Keras reports the mean of all steps so far
            curve.append(float(built.train_on_batch(*batches[i])))
        batches.on_epoch_end()
    return curve


def compare(precision, steps):
    """The curves of all paths, and how far each is from plain Keras at some steps."""
    with ProcessPoolExecutor(1, get_context("spawn"), max_tasks_per_child=1) as pool:
        curves = dict(zip(PATHS, pool.map(losses, PATHS, [precision] * 3, [steps] * 3), strict=True))
    apart = {path: np.abs(np.divide(curves[path], curves["plain"]) - 1) for path in PATHS if path != "plain"}
    shown = [step for step in (1, 10, 50, 100, steps) if step <= steps]
    return (
        {path: [float(f"{loss:.9g}") for loss in curve] for path, curve in curves.items()},
        {path: {f"step {step}": float(f"{one[step - 1]:.2g}") for step in shown} for path, one in apart.items()},
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trial", action="store_true", help="two steps; write nothing")
    trial = parser.parse_args().trial
    configure(SEED, "cpu")
    results = {"batch_sizes": BATCH_SIZES, "machine": describe_machine()}
    results |= {"relative_difference_from_plain": {}, "losses": {}}
    for precision in BATCH_SIZES:
        curves, apart = compare(precision, 2 if trial else 200)
        results["losses"][precision], results["relative_difference_from_plain"][precision] = curves, apart
        print(precision, json.dumps(apart, indent=1), flush=True)
    if not trial:
        files.write_json(RESULTS, results)


if __name__ == "__main__":
    main()
