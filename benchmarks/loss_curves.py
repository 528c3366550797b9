"""Whether our training computes what plain Keras computes: the losses of 200 steps side by side, ``make losses``.

All start from the same weights and get the same batches and dropout masks. Plain Keras has its own layers and Nadam. A
third training, from weights changed by at most one part in 2**23, the spacing of float32, shows how rounding grows.
"""

import numpy as np
from measure import processes

from fergit.core.params import stage_params
from fergit.data.synthetic import draw_faces
from fergit.engine import layers, network, optimizer, training
from fergit.engine.backend import configure, describe_machine, keras

PATHS = OURS, PLAIN, DISTURBED = "ours", "plain", "plain, weights changed by 2**-23"
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
    if path != OURS:
        network.Convolution, network.BatchNormalization = keras.layers.Conv2D, keras.layers.BatchNormalization
    params = stage_params("train", dataset="fergit", model="residual", seed=SEED)
    # With dropout and class weights, so that more has to agree.
    built = network.build_network("residual", seed=SEED, **params["network"] | {"dropout": 0.3})
    if path == DISTURBED:
        rng = np.random.default_rng(SEED)
        built.set_weights([w * (1 + rng.uniform(-1, 1, w.shape) * 2.0**-23) for w in built.get_weights()])
    built, nadam = (layers.trim(built), optimizer.FusedNadam) if path == OURS else (built, keras.optimizers.Nadam)
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


def measure(trial):
    configure(SEED, "cpu")
    results = {"batch_sizes": BATCH_SIZES, "machine": describe_machine()}
    results |= {"relative_difference_from_plain": {}, "losses": {}}
    shown = (1, 2) if trial else (1, 10, 50, 100, 200)
    for precision in BATCH_SIZES:
        with processes(PATHS) as call:
            curves = {path: run(losses, path, precision, shown[-1]) for path, run in call.items()}
        apart = {path: np.abs(np.divide(curves[path], curves[PLAIN]) - 1) for path in (OURS, DISTURBED)}
        results["losses"][precision] = {path: [float(f"{one:.9g}") for one in curve] for path, curve in curves.items()}
        results["relative_difference_from_plain"][precision] = {
            path: {f"step {step}": float(f"{one[step - 1]:.2g}") for step in shown} for path, one in apart.items()
        }
    return results
