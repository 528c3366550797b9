"""The contenders of bench.py, each written as its users would write it.

A contender is a function ``(images, labels, classes, batch_size)`` that gets everything ready and returns a function
``epoch(number)``. That one trains an epoch: loading, augmentation, steps, metrics. All train the residual network with
five poolings and a normalization after each convolution, by the paper's recipe and with the same augmentation: flips,
rotations up to 15 degrees, shifts and zooms up to 0.15.
"""

from functools import partial

import numpy as np

PARAMETERS = 9_773_111  # of which 9,766,391 are trained


def ours(images, labels, classes, batch_size, precision="float32", deterministic=True):
    """What notebook 02 runs."""
    from fergit.core.params import stage_params
    from fergit.engine import backend, training
    from fergit.engine.network import build_network

    if not deterministic:
        import tensorflow as tf

        tf.config.experimental.enable_op_determinism = lambda: None
    backend.configure(0, "cpu", precision)
    # CK+ overrides neither network nor augmentation, so both are those of the other contenders.
    params = stage_params("train", dataset="ckplus", model="residual", seed=0)
    settings = params["train"] | {"batch_size": batch_size, "copies_per_epoch": 1}
    built = build_network("residual", classes, seed=0, **params["network"])
    network = training.compile_trimmed(built, settings, -(-len(images) // batch_size))
    weights = np.ones(classes, np.float32)
    batches = training.AugmentedBatches(images, labels, weights, 0, 1, settings, params["augmentation"])
    return lambda number: network.fit(batches, initial_epoch=number, epochs=number + 1, shuffle=False, verbose=0)


def keras_plain(images, labels, classes, batch_size):
    """Keras' own layers, Nadam and augmentation, in tf.data."""
    import keras
    import tensorflow as tf

    from fergit.engine import network

    layers = keras.layers
    network.Convolution, network.BatchNormalization = layers.Conv2D, layers.BatchNormalization
    model = network.build_network("residual", classes)
    assert model.count_params() == PARAMETERS
    model.compile("nadam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    changes = [
        layers.RandomFlip("horizontal"),
        layers.RandomRotation(15 / 360, fill_mode="nearest"),
        layers.RandomTranslation(0.15, 0.15, fill_mode="nearest"),
        layers.RandomZoom(0.15, 0.15, fill_mode="nearest"),
    ]
    augment = keras.Sequential(changes)
    data = tf.data.Dataset.from_tensor_slices((images[..., np.newaxis], labels)).shuffle(len(images)).batch(batch_size)
    data = data.map(lambda x, y: (augment(tf.cast(x, tf.float32) / 255, training=True), y), tf.data.AUTOTUNE)
    data = data.prefetch(tf.data.AUTOTUNE)
    return lambda number: model.fit(data, initial_epoch=number, epochs=number + 1, verbose=0)


def torch_plain(images, labels, classes, batch_size, bfloat16=False):
    """The same in eager PyTorch, channels last; it augments a batch at a time by its own affine sampling."""
    import torch
    from torch import nn
    from torch.nn import functional

    torch.manual_seed(0)
    conv = partial(nn.Conv2d, padding="same")

    class Residual(nn.Module):
        def __init__(self, n):
            super().__init__()
            self.path = nn.Sequential(conv(n, n, 3), nn.BatchNorm2d(n), nn.ReLU(), conv(n, n, 3), nn.BatchNorm2d(n))

        def forward(self, x):
            return functional.relu(x + self.path(x))

    parts, channels = [], 1
    for block, filters in enumerate((16, 32, 64, 128, 256, 512), start=1):
        for inputs in (channels, filters):
            parts += [conv(inputs, filters, 5 if block == 1 else 3), nn.ReLU(), nn.BatchNorm2d(filters)]
        parts += [Residual(filters)] if block % 2 == 0 else []
        parts += [nn.MaxPool2d(2), nn.Dropout(0.3)] if block < 6 else [nn.Dropout(0.4)]
        channels = filters
    model = nn.Sequential(*parts, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, classes))
    model = model.to(memory_format=torch.channels_last)
    statistics = sum(b.numel() for name, b in model.named_buffers() if "running" in name)
    assert sum(p.numel() for p in model.parameters()) + statistics == PARAMETERS
    optimizer = torch.optim.NAdam(model.parameters(), lr=0.001)
    data = torch.utils.data.TensorDataset(torch.from_numpy(images)[:, None], torch.from_numpy(labels).long())
    data = torch.utils.data.DataLoader(data, batch_size=batch_size, shuffle=True)

    def augment(x):
        n = len(x)
        angle = torch.deg2rad(15 * (2 * torch.rand(n) - 1))
        wide, high = 1 + 0.15 * (2 * torch.rand(2, n) - 1)
        wide = wide * torch.where(torch.rand(n) < 0.5, -1.0, 1.0)  # flipped
        shift = 0.3 * (2 * torch.rand(n, 2) - 1)  # of a width that counts from -1 to 1
        cos, sin = torch.cos(angle), torch.sin(angle)
        rows = [torch.stack([wide * cos, -wide * sin, shift[:, 0]], 1)]
        rows += [torch.stack([high * sin, high * cos, shift[:, 1]], 1)]
        grid = functional.affine_grid(torch.stack(rows, 1), x.shape, align_corners=False)
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


CONTENDERS = {
    "ours": ours,
    "ours, mixed_bfloat16": partial(ours, precision="mixed_bfloat16"),
    "ours, not deterministic": partial(ours, deterministic=False),
    "keras-plain": keras_plain,
    "torch-plain": torch_plain,
    "torch, bfloat16 autocast": partial(torch_plain, bfloat16=True),
}
