"""Steps in a compiled loop are the steps that Keras makes one by one."""

import json
import os
import subprocess
import sys

import pytest

CODE = """
import json, sys
import numpy as np
from fergit.engine import backend, network, scan, training

scan.STEPS = training.STEPS = 3
training.on_jax_gpu = lambda: sys.argv[1] == "loop"
network.FILTERS = (2, 2, 2, 2, 2, 2)
backend.configure(0)
backend.keras.config.set_floatx("float64")  # or Nadam would make much of the rounding
backend.keras.config.set_dtype_policy("float64")
settings = {"learning_rate": 0.01, "beta_1": 0.9, "beta_2": 0.999, "label_smoothing": 0, "weight_decay": 0.01,
            "ema": 0.9, "schedule": "plateau", "batch_size": 4, "copies_per_epoch": 1}
built = network.build_network("residual", 3, seed=1, poolings=4)
model = training.compile_trimmed(built, settings, 8)
draws = np.random.default_rng(0)
images, labels = draws.integers(0, 256, (32, 48, 48), np.uint8), draws.integers(0, 3, 32).astype(np.uint8)
names = "rotation shear shift zoom sharp erasing light contrast blur noise".split()
batches = training.AugmentedBatches(images, labels, np.ones(3, np.float32), 0, 1, settings,
                                    dict.fromkeys(names, 0) | {"horizontal_flip": True, "interpolation": "linear"})
history = model.fit(batches, epochs=2, shuffle=False, verbose=0).history
print(json.dumps([history["loss"], [float(np.abs(w).sum()) for w in model.get_weights()]]))
"""


def losses(how):
    environment = os.environ | {"KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu", "JAX_ENABLE_X64": "1"}
    done = subprocess.run([sys.executable, "-c", CODE, how], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.corners  # for a minute, most of it compilation
def test_a_loop_makes_the_same_steps():
    (loop, weights), (single, same) = losses("loop"), losses("one by one")
    assert loop == pytest.approx(single, rel=1e-6)
    assert weights == pytest.approx(same, rel=1e-6, abs=1e-8)
