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

        gpus = tf.config.list_physical_devices("GPU")
        if device == "cpu":
            tf.config.set_visible_devices([], "GPU")
        tf.config.experimental.enable_op_determinism()
        tf.config.experimental.enable_tensor_float_32_execution(False)
    elif backend == "jax":
        import jax

        if device == "cpu":
            jax.config.update("jax_platforms", "cpu")
        jax.config.update("jax_default_matmul_precision", "float32")  # and not TF32, which a GPU would take
        gpus = [d for d in jax.devices() if d.platform == "gpu"]
    else:
        import torch

        gpus = ["cuda"] if torch.cuda.is_available() else []
        if device == "cpu" and gpus:
            raise FergitError(
                "train.device is 'cpu', but PyTorch took the GPU at its import; set CUDA_VISIBLE_DEVICES="
            )
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # or CUDA refuses to be deterministic
        torch.use_deterministic_algorithms(True)
        torch.backends.cudnn.allow_tf32 = False
    if device == "gpu" and not gpus:
        raise FergitError("train.device is 'gpu' but no GPU is visible; `make setup GPU=1`, or train.device: auto")
    if precision == "auto":
        precision = "mixed_bfloat16" if _has_bfloat16(backend) else "float32"
    keras.config.set_dtype_policy(precision)
    if distribution == "data_parallel":
        _distribute(backend)
    keras.utils.set_random_seed(seed)


def _has_bfloat16(backend):
    """Whether the hardware computes in bfloat16 itself, and not by way of float32."""
    if backend == "tensorflow" and not on_tensorflow_cpu():
        import tensorflow as tf

        gpu = tf.config.get_visible_devices("GPU")[0]
        return tf.config.experimental.get_device_details(gpu).get("compute_capability", (0, 0)) >= (8, 0)
    if backend == "jax":
        import jax

        if jax.devices()[0].platform == "gpu":
            return float(jax.devices()[0].compute_capability) >= 8
    if backend == "torch":
        import torch

        if torch.cuda.is_available():
            return torch.cuda.is_bf16_supported(including_emulation=False)
    return bool(re.search(r"\b(avx512_bf16|amx_bf16)\b", _cpuinfo()))


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
        "device": _device_name(backend),
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
    names = re.findall(r"model name\s*: (.*)", _cpuinfo())
    return names[0] if names else platform.processor() or platform.machine()


def _cpuinfo():
    """What Linux says of its processors; empty elsewhere."""
    file = Path("/proc/cpuinfo")
    return file.read_text() if file.exists() else ""


def on_tensorflow_cpu():
    """Whether TensorFlow computes, and on the CPU."""
    if keras.backend.backend() != "tensorflow":
        return False
    import tensorflow as tf

    return not tf.config.get_visible_devices("GPU")


def is_mirrored():
    """Whether TensorFlow mirrors the weights on several devices, each of which sees a share of the batch."""
    if keras.backend.backend() != "tensorflow":
        return False
    import tensorflow as tf

    return tf.distribute.has_strategy()
