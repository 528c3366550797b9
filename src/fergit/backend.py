"""Keras on whatever runs it: its quiet import, the device, and what makes results repeatable.

Import ``keras`` from here. TensorFlow's first lines carry clocks and process numbers and heed no log level; here they
are dropped, so that no executed notebook holds them.
"""

import contextlib
import os
import platform
import re
from importlib import import_module
from pathlib import Path

from fergit.errors import FergitError

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # without a GPU, TensorFlow reports that as errors


@contextlib.contextmanager
def _quiet():
    """Drop what is written to the process's standard error, by whatever library."""
    stderr = os.dup(2)
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)


with _quiet():
    import keras


def make_repeatable(seed, device="auto"):
    """Choose the device, and make everything that follows a function of its inputs and `seed`; call it first.

    Raises
    ------
    FergitError
        `device` is ``gpu`` and there is none.
    """
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        gpus = tf.config.list_physical_devices("GPU")
        if device == "cpu":
            tf.config.set_visible_devices([], "GPU")
        tf.config.experimental.enable_op_determinism()
    elif backend == "jax":
        import jax

        if device == "cpu":
            jax.config.update("jax_platforms", "cpu")
        gpus = [d for d in jax.devices() if d.platform == "gpu"]
    else:
        import torch

        gpus = ["cuda"] if torch.cuda.is_available() else []
        torch.use_deterministic_algorithms(True)
    if device == "gpu" and not gpus:
        raise FergitError("train.device is 'gpu' but no GPU is visible; `make setup GPU=1`, or train.device: auto")
    keras.utils.set_random_seed(seed)


def describe_machine():
    """What a training runs on: device, backend, versions, threads; it decides the bytes of its results."""
    backend = keras.backend.backend()
    machine = {
        "backend": f"{backend} {import_module(backend).__version__}",
        "keras": keras.__version__,
        "device": _device_name(backend),
        "cpus": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "onednn": os.environ.get("TF_ENABLE_ONEDNN_OPTS", "default"),
    }
    return machine


def _device_name(backend):
    if backend == "tensorflow" and not on_tensorflow_cpu():
        import tensorflow as tf

        gpu = tf.config.get_visible_devices("GPU")[0]
        return tf.config.experimental.get_device_details(gpu).get("device_name", "GPU")
    if backend == "jax":
        import jax

        if jax.devices()[0].platform != "cpu":
            return jax.devices()[0].device_kind
    if backend == "torch":
        import torch

        if torch.cuda.is_available():
            return torch.cuda.get_device_name()
    cpuinfo = Path("/proc/cpuinfo")
    names = re.findall(r"model name\s*: (.*)", cpuinfo.read_text()) if cpuinfo.exists() else []
    return names[0] if names else platform.processor() or platform.machine()


def on_tensorflow_cpu():
    if keras.backend.backend() != "tensorflow":
        return False
    import tensorflow as tf

    return not tf.config.get_visible_devices("GPU")
