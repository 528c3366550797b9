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

from fergit.core.errors import FergitError
from fergit.core.parallel import cores

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


def configure(seed, device="auto", precision="float32", distribution="none"):
    """Set up Keras, and make everything that follows a function of its inputs and `seed`; call it first.

    (But JAX on a GPU may round differently from run to run.)

    Parameters
    ----------
    seed : int
    device : "auto", "cpu" or "gpu"
    precision : "float32", "mixed_bfloat16" or "auto"
        ``mixed_bfloat16`` computes in bfloat16 and keeps the weights in float32; ``auto`` chooses it where the hardware
        computes in bfloat16.
    distribution : "none" or "data_parallel"
        The latter shares each batch among all devices, the weights mirrored.

    Raises
    ------
    FergitError
        What is asked for is not there.
    """
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        if device == "cpu":
            tf.config.set_visible_devices([], "GPU")
        tf.config.experimental.enable_op_determinism()
        tf.config.experimental.enable_tensor_float_32_execution(False)
    elif backend == "jax":
        import jax

        if device == "cpu":
            jax.config.update("jax_platforms", "cpu")
        jax.config.update("jax_default_matmul_precision", "float32")  # and not TF32, which a GPU would take
    else:
        import torch

        if device == "cpu" and gpu():
            raise FergitError(
                "train.device is 'cpu', but PyTorch took the GPU at its import; set CUDA_VISIBLE_DEVICES="
            )
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # or CUDA refuses to be deterministic
        torch.use_deterministic_algorithms(True)
        torch.backends.cudnn.allow_tf32 = False
    if device == "gpu" and not gpu():
        raise FergitError("train.device is 'gpu' but no GPU is visible; `make setup GPU=1`, or train.device: auto")
    if precision == "auto":
        _, has_bfloat16 = gpu() or ("", re.search(r"\b(avx512_bf16|amx_bf16)\b", _cpuinfo()))
        precision = "mixed_bfloat16" if has_bfloat16 else "float32"
    keras.config.set_dtype_policy(precision)
    if distribution == "data_parallel":
        _distribute(backend)
    keras.utils.set_random_seed(seed)


def gpu():
    """The GPU that Keras computes on: its name, and whether it computes in bfloat16; None where it is a CPU."""
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        if found := tf.config.get_visible_devices("GPU"):
            details = tf.config.experimental.get_device_details(found[0])
            return details.get("device_name", "GPU"), details.get("compute_capability", (0, 0)) >= (8, 0)
    elif backend == "jax":
        import jax

        device = jax.devices()[0]
        if device.platform == "gpu":
            return device.device_kind, float(device.compute_capability) >= 8
    else:
        import torch

        if torch.cuda.is_available():
            return torch.cuda.get_device_name(), torch.cuda.is_bf16_supported(including_emulation=False)
    return None


def _distribute(backend):
    if backend == "tensorflow":
        import tensorflow as tf

        devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
    else:
        devices = keras.distribution.list_devices() if backend == "jax" else []
    if len(devices) < 2:
        raise FergitError(
            f"train.distribution is 'data_parallel' but {backend} sees {len(devices)} devices to share a batch; "
            "allowed here: none"
        )
    if backend == "tensorflow":
        tf.distribute.experimental_set_strategy(tf.distribute.MirroredStrategy([device.name for device in devices]))
    else:
        keras.distribution.set_distribution(keras.distribution.DataParallel(devices=devices))


def describe_machine():
    """What a training runs on: device, backend, versions, threads; it decides the bytes of its results."""
    backend = keras.backend.backend()
    return {
        "backend": f"{backend} {import_module(backend).__version__}",
        "keras": keras.__version__,
        "device": gpu()[0] if gpu() else _cpu_name(),
        "precision": keras.config.dtype_policy().name,
        "replicas": _replicas(backend),
        "cpus": cores(),
        "onednn": os.environ.get("TF_ENABLE_ONEDNN_OPTS", "default"),
    }


def _replicas(backend):
    if backend == "tensorflow":
        import tensorflow as tf

        return tf.distribute.get_strategy().num_replicas_in_sync
    distribution = keras.distribution.distribution()
    return distribution.device_mesh.devices.size if distribution else 1


def _cpu_name():
    names = re.findall(r"model name\s*: (.*)", _cpuinfo())
    return names[0] if names else platform.processor() or platform.machine()


def _cpuinfo():
    """What Linux says of its processors; empty elsewhere."""
    file = Path("/proc/cpuinfo")
    return file.read_text() if file.exists() else ""


def on_tensorflow_cpu():
    """Whether TensorFlow computes, and on the CPU."""
    return keras.backend.backend() == "tensorflow" and gpu() is None


def is_mirrored():
    """Whether TensorFlow mirrors the weights on several devices, each of which sees a share of the batch."""
    if keras.backend.backend() != "tensorflow":
        return False
    import tensorflow as tf

    return tf.distribute.has_strategy()
