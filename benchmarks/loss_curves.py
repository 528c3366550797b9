"""Whether our training computes what plain Keras computes: the losses of 200 steps side by side.

Both paths start from the same weights and get the same batches of drawn faces and the same dropout masks. Ours has
`layers.Convolution`, `layers.BatchNormalization` (ours in float32 only), `layers.trim` and `optimizer.FusedNadam`, the
plain one Keras' own layers and Nadam. In float64 any difference but rounding would stay; in float32 rounding itself
grows, since Nadam's first steps have the same size for a gradient of any size. How fast it grows without any change of
ours is shown by a third path: the plain one again, each of its weights changed by at most one part in 2**23, the
spacing of float32. Run as ``make losses``; it writes loss_curves.json.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

import numpy as np

from fergit.core import files
from fergit.core.params import stage_params
from fergit.data.synthetic import draw_faces
from fergit.engine import layers, network, optimizer, training
from fergit.engine.backend import configure, describe_machine, keras

RESULTS = Path(__file__).parent / "loss_curves.json"
DISTURBED = "plain, weights changed by 2**-23"
PATHS = ("ours", "plain", DISTURBED)
BATCH_SIZES = {"float32": 64, "float64": 8}  # convolutions in float64 are slow
SEED = 0


def losses(path, precision, steps):
    """The loss of each step: list of float."""
    configure(SEED, "cpu")
    keras.config.set_floatx(precision)
    keras.config.set_dtype_policy(precision)
    if precision == "float64":  # the head, too, which `build_network` keeps in float32
        dense = keras.layers.Dense
        keras.layers.Dense = lambda *arguments, dtype, **settings: dense(*arguments, **settings)
    if path != "ours":
        network.Convolution = keras.layers.Conv2D
        network.BatchNormalization = keras.layers.BatchNormalization
    params = stage_params("train", dataset="fergit", model="residual", seed=SEED)
    # Dropout and class weights on: the more that has to agree.
    built = network.build_network("residual", seed=SEED, **params["network"] | {"dropout": 0.3})
    if path == DISTURBED:
        rng = np.random.default_rng(SEED)
        built.set_weights([w * (1 + rng.uniform(-1, 1, w.shape) * 2.0**-23) for w in built.get_weights()])
    if path == "ours":
        built = layers.trim(built)
    nadam = optimizer.FusedNadam if path == "ours" else keras.optimizers.Nadam
    train = params["train"]
    steps_by = nadam(train["learning_rate"], beta_1=train["beta_1"], beta_2=train["beta_2"])
    built.compile(steps_by, "categorical_crossentropy", jit_compile=False)

    images, labels, _ = draw_faces(1280, SEED)
    weights = training.class_weights(labels, 7, "balanced")
    settings = train | {"batch_size": BATCH_SIZES[precision]}
    batches = training.AugmentedBatches(images, labels, weights, SEED, 1, settings, params["augmentation"])
    found = []
    while len(found) < steps:
        for i in range(min(len(batches), steps - len(found))):
            built.reset_metrics()  # or Keras reports the mean of all steps so far
            found.append(float(built.train_on_batch(*batches[i])))
        batches.on_epoch_end()
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--path", choices=PATHS, help=argparse.SUPPRESS)
    parser.add_argument("--precision", choices=BATCH_SIZES, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.path:
        print(json.dumps(losses(arguments.path, arguments.precision, arguments.steps)))
        return
    configure(SEED, "cpu")
    results = {"batch_sizes": BATCH_SIZES, "machine": describe_machine()}
    results |= {"relative_difference_from_plain": {}, "losses": {}}
    for precision in BATCH_SIZES:
        curves = {}
        for path in PATHS:
            command = [sys.executable, __file__, "--path", path, "--precision", precision]
            command += ["--steps", str(arguments.steps)]
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
            curves[path] = json.loads(done.stdout.splitlines()[-1])
        plain = np.array(curves["plain"])
        results["losses"][precision] = {path: [float(f"{x:.9g}") for x in curve] for path, curve in curves.items()}
        results["relative_difference_from_plain"][precision] = {
            path: {
                f"step {step}": float(f"{abs(curves[path][step - 1] / plain[step - 1] - 1):.2g}")
                for step in (1, 10, 50, 100, arguments.steps)
                if step <= arguments.steps
            }
            for path in PATHS
            if path != "plain"
        }
        print(precision, json.dumps(results["relative_difference_from_plain"][precision], indent=1), flush=True)
    files.write_json(RESULTS, results)


if __name__ == "__main__":
    main()
