"""How fast we train, beside plain Keras and plain PyTorch: ``make bench``.

Each contender is written as its users would write it, and has a process of its own. All train the residual network by
the paper's recipe, with flips, rotations up to 15 degrees, shifts and zooms up to 0.15.
"""

import importlib.metadata
import importlib.util
import itertools
import statistics
import timeit
from functools import partial
from pathlib import Path

import numpy as np
from measure import in_turn, processes, timed

from fergit.core.params import stage_params

BATCH_SIZE, CLASSES = 64, 7  # p. 81; p. 78
TRAINED = 9_766_391  # parameters of 9,773,111
CPUINFO = Path("/proc/cpuinfo")
AMX = CPUINFO.exists() and "amx_bf16" in CPUINFO.read_text()  # else bfloat16 is computed by AVX-512, at half the speed
BARS = {  # our goals: how many times as fast, fastest epoch against fastest
    "ours": {"keras-plain": 1.7, "torch-plain": 1.3},
    "ours, mixed_bfloat16": {"keras-plain": 2.5 if AMX else 1.8, "torch, bfloat16 autocast": 1.3},
}


def ours(images, labels, precision="float32", deterministic=True):
    """What notebook 02 runs."""
    from fergit.engine import backend, network, training

    if not deterministic:
        import tensorflow as tf

        tf.config.experimental.enable_op_determinism = lambda: None
    backend.configure(0, "cpu", precision)
    # CK+ overrides neither network nor augmentation, so both are those of the other contenders.
    params = stage_params("train", dataset="ckplus", model="residual", seed=0)
    settings = params["train"] | {"batch_size": BATCH_SIZE, "copies_per_epoch": 1}
    model = network.build_network("residual", CLASSES, seed=0, **params["network"])
    model = training.compile_trimmed(model, settings, -(-len(images) // BATCH_SIZE))
    weights = np.ones(CLASSES, np.float32)
    batches = training.AugmentedBatches(images, labels, weights, 0, 1, settings, params["augmentation"])
    return lambda number: model.fit(batches, initial_epoch=number, epochs=number + 1, shuffle=False, verbose=0)


def keras_plain(images, labels):
    """Keras' own layers, Nadam and augmentation, in tf.data."""
    import keras
    import tensorflow as tf

    from fergit.engine import network

    layers = keras.layers
    network.Convolution, network.BatchNormalization = layers.Conv2D, layers.BatchNormalization
    model = network.build_network("residual", CLASSES)
    model.compile("nadam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    flips, turns = layers.RandomFlip("horizontal"), layers.RandomRotation(15 / 360, "nearest")
    shifts, zooms = layers.RandomTranslation(0.15, 0.15, "nearest"), layers.RandomZoom(0.15, 0.15, "nearest")
    augment = keras.Sequential([flips, turns, shifts, zooms])
    data = tf.data.Dataset.from_tensor_slices((images[..., np.newaxis], labels)).shuffle(len(images)).batch(BATCH_SIZE)
    data = data.map(lambda x, y: (augment(tf.cast(x, tf.float32) / 255, training=True), y), tf.data.AUTOTUNE)
    data = data.prefetch(tf.data.AUTOTUNE)
    return lambda number: model.fit(data, initial_epoch=number, epochs=number + 1, verbose=0)


def torch_plain(images, labels, bfloat16=False):
    """The same in eager PyTorch, channels last; it augments a batch at a time by its own affine sampling."""
    import torch
    from torch import nn
    from torch.nn import functional

    torch.manual_seed(0)
    conv = partial(nn.Conv2d, padding="same")

    class Residual(nn.Sequential):
        def forward(self, x):
            return functional.relu(x + super().forward(x))

    parts, filters = [], (1, 16, 32, 64, 128, 256, 512)
    for block, (before, n) in enumerate(itertools.pairwise(filters), start=1):
        for inputs in (before, n):
            parts += [conv(inputs, n, 5 if block == 1 else 3), nn.ReLU(), nn.BatchNorm2d(n)]
        if block % 2 == 0:
            parts += [Residual(conv(n, n, 3), nn.BatchNorm2d(n), nn.ReLU(), conv(n, n, 3), nn.BatchNorm2d(n))]
        parts += [nn.MaxPool2d(2), nn.Dropout(0.3)] if block < 6 else [nn.Dropout(0.4)]
    model = nn.Sequential(*parts, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, CLASSES))
    model = model.to(memory_format=torch.channels_last)
    assert sum(p.numel() for p in model.parameters()) == TRAINED
    optimizer = torch.optim.NAdam(model.parameters(), lr=0.001)
    data = torch.utils.data.TensorDataset(torch.from_numpy(images)[:, None], torch.from_numpy(labels).long())
    data = torch.utils.data.DataLoader(data, batch_size=BATCH_SIZE, shuffle=True)

    def augment(x):
        n = len(x)
        angle = torch.deg2rad(15 * (2 * torch.rand(n) - 1))
        wide, high = 1 + 0.15 * (2 * torch.rand(2, n) - 1)
        wide = wide * torch.where(torch.rand(n) < 0.5, -1.0, 1.0)  # flipped
        shift = 0.3 * (2 * torch.rand(n, 2) - 1)  # of a width that counts from -1 to 1
        cos, sin = torch.cos(angle), torch.sin(angle)
        maps = torch.stack([wide * cos, -wide * sin, shift[:, 0], high * sin, high * cos, shift[:, 1]], 1)
        grid = functional.affine_grid(maps.reshape(n, 2, 3), x.shape, align_corners=False)
        return functional.grid_sample(x, grid, padding_mode="border", align_corners=False)

    def epoch(number):
        model.train()
        right = total = 0.0
        for x, y in data:
            x = augment(x.float() / 255).to(memory_format=torch.channels_last)
            with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
                scores = model(x)
            scores = scores.float()
            loss = functional.cross_entropy(scores, y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() * len(y)
            right += (scores.argmax(1) == y).sum().item()

    return epoch


CONTENDERS = {  # each takes images and labels, and returns what trains the epoch of a number
    "ours": ours,
    "ours, mixed_bfloat16": partial(ours, precision="mixed_bfloat16"),
    "ours, not deterministic": partial(ours, deterministic=False),
    "keras-plain": keras_plain,
    "torch-plain": torch_plain,
    "torch, bfloat16 autocast": partial(torch_plain, bfloat16=True),
}


def prepare(name, images):
    """In a contender's process: get it ready, and train one epoch to warm up."""
    global epochs
    pixels = np.random.default_rng(0).integers(0, 256, (images, 48, 48), dtype=np.uint8)
    epochs = map(CONTENDERS[name](pixels, (np.arange(images) % CLASSES).astype(np.uint8)), itertools.count())
    next(epochs)


def train():
    """In a contender's process: the seconds of the next epoch."""
    return round(timed(lambda: next(epochs))[0], 3)


def floors():
    """How long a step would take if the machine did nothing but its arithmetic, or nothing but move its bytes.

    Forward once, backward twice: a layer's products, at the speed of a large one; its output written and read, at the
    speed of a copy. Nadam reads gradient, weight, momentum and velocity, and writes the last three.
    """
    from fergit.engine import layers, network

    built = layers.trim(network.build_network("residual", CLASSES))
    outputs = {layer: np.prod(layer.output.shape[1:]) for layer in built.layers[1:]}
    kernels = {layer: layer.kernel.shape for layer in outputs if hasattr(layer, "kernel")}
    operations = 3 * BATCH_SIZE * sum(2 * np.prod(shape[:-1]) * outputs[layer] for layer, shape in kernels.items())
    moved = 4 * (6 * BATCH_SIZE * sum(outputs.values()) + 7 * built.count_params())
    matrix, block = np.random.default_rng(0).random((2048, 2048), dtype=np.float32), np.zeros(2**26, np.uint8)
    flops = 2 * 2048**3 / min(timeit.repeat(lambda: matrix @ matrix, number=1, repeat=7))
    bandwidth = 2 * block.size / min(timeit.repeat(block.copy, number=1, repeat=7))
    return {
        "gflop_a_step": round(operations / 1e9, 1),
        "gflops_of_the_machine": round(flops / 1e9),
        "arithmetic_seconds": round(operations / flops, 4),
        "gigabytes_a_step": round(moved / 1e9, 2),
        "gigabytes_a_second_of_the_machine": round(bandwidth / 1e9, 1),
        "bytes_seconds": round(moved / bandwidth, 4),
    }


def measure(trial):
    from fergit.engine import backend

    images, repeats = (128, 1) if trial else (2560, 5)
    torch = importlib.util.find_spec("torch")
    missing = {name: "PyTorch is not installed" for name in CONTENDERS if name.startswith("torch") and not torch}
    with processes([name for name in CONTENDERS if name not in missing]) as call:
        for name, run in call.items():
            run(prepare, name, images)
        seconds = in_turn({name: partial(run, train) for name, run in call.items()}, repeats)
    medians, fastest = ({name: of(times) for name, times in seconds.items()} for of in (statistics.median, min))
    contenders, bars = {}, {}
    for name, times in seconds.items():
        contenders[name] = {"images_per_second": round(images / medians[name], 1), "seconds": times}
        contenders[name]["ours_is_times_as_fast"] = round(medians[name] / medians["ours"], 2)
    for one, goals in BARS.items():
        for other in (name for name in goals if name in seconds):
            times = round(fastest[other] / fastest[one], 2)
            bars[f"{one} against {other}"] = {"times_as_fast": times, "wanted": goals[other]}
    packages = ("keras", "tensorflow", "numpy", "opencv-python-headless", *(["torch"] if torch else []))
    return {
        "images": images,
        "batch_size": BATCH_SIZE,
        "repeats": repeats,
        "contenders": contenders,
        "bars": bars,
        "left_out": missing,
        "floors_of_a_step": floors(),
        "seconds_of_our_step": round(medians["ours"] * BATCH_SIZE / images, 4),
        "machine": backend.describe_machine(),
        "versions": {name: importlib.metadata.version(name) for name in packages},
    }
