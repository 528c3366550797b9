"""The contenders of the benchmark, each as its users would write it. ``bench.py`` runs each in a process of its own.

A contender is a function ``(images, labels, classes, batch_size)`` that makes ready whatever it needs and returns a
function ``epoch(number)``; that one trains an epoch: loading, augmentation, step and metrics. All train the residual
network (five poolings, a normalization after each convolution) by the paper's recipe with the same augmentation: flip,
rotation up to 15 degrees, shift and zoom up to 0.15.
"""

import os

import numpy as np

PARAMETERS = 9_773_111  # of which 9,766,391 are trained


def ours(images, labels, classes, batch_size, precision="float32", deterministic=True):
    from fergit.core.params import stage_params
    from fergit.engine import backend, training
    from fergit.engine.network import build_network

    if not deterministic:
        import tensorflow as tf

        tf.config.experimental.enable_op_determinism = lambda: None
    backend.configure(0, "cpu", precision)
    # CK+ overrides neither network nor augmentation: both are as in the other contenders.
    params = stage_params("train", dataset="ckplus", model="residual", seed=0)
    settings = params["train"] | {"batch_size": batch_size, "copies_per_epoch": 1}
    # Validation and checkpoint are not part of any contender's epoch.
    built = build_network("residual", classes, seed=0, **params["network"])
    network = training.compile_trimmed(built, settings, -(-len(images) // batch_size))
    weights = np.ones(classes, np.float32)
    batches = training.AugmentedBatches(images, labels, weights, 0, 1, settings, params["augmentation"])

    def epoch(number):
        network.fit(batches, initial_epoch=number, epochs=number + 1, shuffle=False, verbose=0)

    return epoch


def ours_bfloat16(*arguments):
    return ours(*arguments, precision="mixed_bfloat16")


def ours_not_deterministic(*arguments):
    return ours(*arguments, deterministic=False)


def keras_plain(images, labels, classes, batch_size):
    """What one writes from the paper: Keras' layers for everything, augmentation in tf.data."""
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    import keras
    import tensorflow as tf
    from keras import layers

    keras.utils.set_random_seed(0)
    augment = keras.Sequential(
        [
            layers.RandomFlip("horizontal"),
            layers.RandomRotation(15 / 360, fill_mode="nearest"),
            layers.RandomTranslation(0.15, 0.15, fill_mode="nearest"),
            layers.RandomZoom(0.15, 0.15, fill_mode="nearest"),
        ]
    )
    data = (
        tf.data.Dataset.from_tensor_slices((images[..., np.newaxis], labels))
        .shuffle(len(images))
        .batch(batch_size)
        .map(lambda x, y: (augment(tf.cast(x, tf.float32) / 255, training=True), y), tf.data.AUTOTUNE)
        .prefetch(tf.data.AUTOTUNE)
    )

    def conv(x, filters, size, activation="relu"):
        return layers.Conv2D(filters, size, padding="same", activation=activation, kernel_initializer="he_normal")(x)

    inputs = x = keras.Input((48, 48, 1))
    for block, filters in enumerate((16, 32, 64, 128, 256, 512), start=1):
        for _ in range(2):
            x = layers.BatchNormalization()(conv(x, filters, 5 if block == 1 else 3))
        if block % 2 == 0:
            y = layers.ReLU()(layers.BatchNormalization()(conv(x, filters, 3, None)))
            y = layers.BatchNormalization()(conv(y, filters, 3, None))
            x = layers.ReLU()(layers.Add()([x, y]))
        x = layers.MaxPooling2D()(x) if block < 6 else x
        x = layers.Dropout(0.4 if block == 6 else 0.3)(x)
    outputs = layers.Dense(classes, activation="softmax")(layers.GlobalAveragePooling2D()(x))
    model = keras.Model(inputs, outputs)
    assert model.count_params() == PARAMETERS
    model.compile("nadam", "sparse_categorical_crossentropy", metrics=["accuracy"])

    def epoch(number):
        model.fit(data, initial_epoch=number, epochs=number + 1, verbose=0)

    return epoch


def torch_plain(images, labels, classes, batch_size, bfloat16=False):
    """The same in eager PyTorch, channels last, the augmentation by its own affine sampling, a batch at a time."""
    import torch
    from torch import nn
    from torch.nn import functional

    torch.manual_seed(0)

    class Residual(nn.Module):
        def __init__(self, filters):
            super().__init__()
            self.path = nn.Sequential(
                nn.Conv2d(filters, filters, 3, padding="same"),
                nn.BatchNorm2d(filters),
                nn.ReLU(),
                nn.Conv2d(filters, filters, 3, padding="same"),
                nn.BatchNorm2d(filters),
            )

        def forward(self, x):
            return functional.relu(x + self.path(x))

    parts, channels = [], 1
    for block, filters in enumerate((16, 32, 64, 128, 256, 512), start=1):
        size = 5 if block == 1 else 3
        for inputs in (channels, filters):
            parts += [nn.Conv2d(inputs, filters, size, padding="same"), nn.ReLU(), nn.BatchNorm2d(filters)]
        parts += [Residual(filters)] if block % 2 == 0 else []
        parts += [nn.MaxPool2d(2), nn.Dropout(0.3)] if block < 6 else [nn.Dropout(0.4)]
        channels = filters
    model = nn.Sequential(*parts, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, classes))
    model = model.to(memory_format=torch.channels_last)
    statistics = sum(b.numel() for name, b in model.named_buffers() if "running" in name)
    assert sum(p.numel() for p in model.parameters()) + statistics == PARAMETERS
    optimizer = torch.optim.NAdam(model.parameters(), lr=0.001)
    data = torch.utils.data.DataLoader(
        torch.utils.data.TensorDataset(torch.from_numpy(images)[:, None], torch.from_numpy(labels).long()),
        batch_size=batch_size,
        shuffle=True,
    )

    def augment(x):
        n = len(x)
        angle = torch.deg2rad(15 * (2 * torch.rand(n) - 1))
        wide, high = 1 + 0.15 * (2 * torch.rand(2, n) - 1)
        flip = torch.where(torch.rand(n) < 0.5, -1.0, 1.0)
        shift = 0.3 * (2 * torch.rand(n, 2) - 1)  # of a width that counts from -1 to 1
        cos, sin, wide = torch.cos(angle), torch.sin(angle), wide * flip
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


def torch_bfloat16(*arguments):
    return torch_plain(*arguments, bfloat16=True)


CONTENDERS = {
    "ours": ours,
    "ours, mixed_bfloat16": ours_bfloat16,
    "ours, not deterministic": ours_not_deterministic,
    "keras-plain": keras_plain,
    "torch-plain": torch_plain,
    "torch, bfloat16 autocast": torch_bfloat16,
}
