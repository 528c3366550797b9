"""A training that is stopped and goes on ends with the bytes of one that was left alone, whatever its recipe."""

import importlib.util
import os
import subprocess
import sys

import numpy as np
import pytest
from bars import barred

from fergit.core import paths
from fergit.engine import backend, checkpoint, network, training
from fergit.engine.backend import keras
from fergit.runner.schema import load_params

FALLS_AT_ONCE = {"reduce_lr": {"patience": 1, "factor": 0.5, "min_lr": 1e-7}}
BETTER = {
    **{"schedule": "cosine", "warmup_epochs": 1, "label_smoothing": 0.1, "weight_decay": 0.01, "ema": 0.9},
    "clean_statistics": 20,
}
LOOKS = {"sharp": 0.3, "interpolation": "cubic", "erasing": 0.3, "light": 0.3, "contrast": 0.3, "blur": 1, "noise": 0.1}
FEW = (4, 4, 8, 8, 8, 8)  # filters: fast, and the same code
RECIPES = {"paper": (FALLS_AT_ONCE, {}), "better": (BETTER, LOOKS)}


def go_on_after_two(recipe, precision, folder):
    """Train four epochs; then two of them again, from the checkpoint of the second; the bytes must agree."""
    paths.WORK = folder
    params = {name: load_params()[name] for name in ("augmentation", "network", "train")}
    train, looks = RECIPES[recipe]
    params["train"] |= {"epochs": 4, "batch_size": 32, "precision": precision} | train
    params["augmentation"] |= {"rotation": 5, "shift": 0.05, "zoom": 0.05} | looks
    params["network"] |= {"batch_norm_momentum": 0.9}
    save, kept = checkpoint.Resumable.save, {}

    def save_and_keep(self):
        save(self)
        kept[len(self.training.history)] = [(file, file.read_bytes()) for file in folder.rglob("*.npz")]

    def run():
        backend.configure(0, "cpu", precision)
        built = network.build_network("basic", 4, seed=0, **params["network"])
        return built, training.train(built, barred(), params, "test", 0)

    checkpoint.Resumable.save = save_and_keep
    try:
        whole, history = run()
    finally:
        checkpoint.Resumable.save = save
    assert whole.get_layer("block1_conv1").compute_dtype == precision.removeprefix("mixed_")
    [(file, data)] = kept[2]
    file.write_bytes(data)  # as a kill after the second epoch leaves it
    resumed, again = run()
    for one, other in zip(whole.get_weights(), resumed.get_weights(), strict=True):
        assert np.array_equal(one, other)
    assert history.table().equals(again.table()) and len(history.table()) == 4
    assert history.table()["learning_rate"].nunique() > 1  # what the callbacks have counted survives too
    print(keras.backend.backend())


@pytest.mark.parametrize(
    ("recipe", "precision"),
    [("paper", "float32"), ("better", "mixed_bfloat16"), pytest.param("better", "float32", marks=pytest.mark.corners)],
)
def test_on_tensorflow(recipe, precision, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(paths, "WORK", paths.WORK)
    monkeypatch.setattr(network, "FILTERS", FEW)
    try:
        go_on_after_two(recipe, precision, tmp_path)
    finally:
        keras.config.set_dtype_policy("float32")
    assert "resumed after epoch 2" in capsys.readouterr().out


@pytest.mark.corners  # JAX takes half a minute to compile
@pytest.mark.skipif(not importlib.util.find_spec("jax"), reason="jax is not installed; `.venv/bin/pip install jax`")
@pytest.mark.parametrize("precision", ["float32", "mixed_bfloat16"])
def test_under_jax(precision, tmp_path):
    code = "import pathlib, sys, test_resume; test_resume.network.FILTERS = test_resume.FEW; "
    code += "test_resume.go_on_after_two('better', sys.argv[1], pathlib.Path(sys.argv[2]))"
    search = os.pathsep.join([str(paths.ROOT / "src"), *sys.path])
    env = os.environ | {"KERAS_BACKEND": "jax", "PYTHONPATH": search}
    child = subprocess.run([sys.executable, "-c", code, precision, tmp_path], env=env, capture_output=True, text=True)
    assert child.returncode == 0, child.stderr[-3000:]
    assert "resumed after epoch 2" in child.stdout and child.stdout.splitlines()[-1] == "jax"
