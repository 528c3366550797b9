"""What a network predicts, computed in float32 whatever it was trained in."""

import numpy as np

from fergit.engine import augmentation
from fergit.engine.backend import keras
from fergit.engine.network import build_network

BATCH = 256


def in_float32(network, settings):
    """The same weights in a network that computes in float32, whatever it was trained in.

    Parameters
    ----------
    network : keras.Model
        Of `build_network`.
    settings : dict
        The section ``network`` that it was built with.
    """
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float32")
    try:
        plain = build_network(network.name, network.output_shape[-1], **settings)
    finally:
        keras.config.set_dtype_policy(policy)
    plain.set_weights(network.get_weights())
    return plain


def predict(network, images, mirror=False):
    """Probabilities of images.

    Parameters
    ----------
    network : keras.Model
    images : uint8 (n, 48, 48)
    mirror : bool
        The mean of each image's probabilities and of its mirror image's.

    Returns
    -------
    float32 (n, classes)
    """
    if mirror:
        return (predict(network, images) + predict(network, images[:, :, ::-1])) / 2
    filled = np.zeros((-len(images) % BATCH, *images.shape[1:]), images.dtype)  # each size of batch would be compiled
    inputs = augmentation.to_input(np.concatenate([images, filled]))
    return network.predict(inputs, batch_size=BATCH, verbose=0)[: len(images)]
