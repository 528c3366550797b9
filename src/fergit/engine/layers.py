"""What makes the networks fast, at the same results but for rounding: their layers, and training without idle weights.

Most of it is for TensorFlow on a CPU, where a training step's time goes into small maps and many small operations; the
other backends and devices get Keras' own. ``benchmarks/`` has the figures.
"""

from fergit.engine.backend import keras, on_tensorflow_cpu

BY_TAPS = 2  # on maps up to this side a convolution is a matrix product for each tap of its kernel
OWN_GRADIENT = 6  # up to this side bfloat16's gradient of a kernel is one, too: oneDNN's takes up to 5 times as long


class Convolution(keras.layers.Conv2D):
    """A 2-D convolution that is fast on small maps too.

    On maps of 2x2 pixels each output sees but four of a kernel's nine taps, on maps of 1x1 pixel but its centre; Keras
    multiplies by the zeros around the map too.
    """

    def build(self, input_shape):
        super().build(input_shape)
        plain = self.padding == "same" and set(self.strides) == set(self.dilation_rate) == {1}
        height, width = input_shape[1:3]
        self.side = height if plain and height == width and self.groups == 1 else None
        self.sees_one_pixel = self.side == 1

    def convolution_op(self, inputs, kernel):
        if self.sees_one_pixel:
            middle = [(size - 1) // 2 for size in self.kernel_size]
            kernel = keras.ops.convert_to_tensor(kernel)  # JAX slices no Keras variable
            return keras.ops.matmul(inputs, kernel[middle[0], middle[1]])
        if self.side and on_tensorflow_cpu():
            if self.side <= BY_TAPS:
                return _convolve_by_taps(inputs, kernel)
            if self.side <= OWN_GRADIENT and inputs.dtype == "bfloat16":
                return _convolve_with_own_gradient(inputs, kernel)
        return super().convolution_op(inputs, kernel)


class BatchNormalization(keras.layers.BatchNormalization):
    """Batch normalization of maps, which TensorFlow trains in one operation on a CPU.

    Keras' own is a dozen operations, each of which reads and writes the whole maps. Channels are last, scaled and
    shifted, as they are by default. While ``estimating`` is true, a call outside training normalizes by the batch's own
    statistics and keeps these as the moving ones: one eager call of a network on many images estimates all of them.
    """

    estimating = False

    def call(self, inputs, training=None, mask=None):
        learns = training and self.trainable
        if self.estimating and not learns:
            values = keras.ops.cast(inputs, "float32")
            mean, variance = keras.ops.moments(values, axes=list(range(values.ndim - 1)))
            self.moving_mean.assign(mean)
            self.moving_variance.assign(variance)
        fused = inputs.dtype in ("float32", "bfloat16") and not self.synchronized
        if not learns or not fused or not on_tensorflow_cpu():
            return super().call(inputs, training=training, mask=mask)
        import tensorflow as tf

        outputs, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
            x=inputs, scale=self.gamma, offset=self.beta, mean=[], variance=[], epsilon=self.epsilon, is_training=True
        )
        count = tf.cast(tf.size(inputs) / inputs.shape[-1], "float32")
        variance *= (count - 1) / count  # TensorFlow's divides by count - 1, Keras' by count
        for moving, batch in ((self.moving_mean, mean), (self.moving_variance, variance)):
            moving.assign(moving * self.momentum + batch * (1 - self.momentum))
        return outputs


def _convolve_by_taps(inputs, kernel):
    """A convolution as one matrix product a tap, of just the pixels that it meets; the gradients become the same."""
    import tensorflow as tf

    height, width, channels = inputs.shape[1:]
    pixels = [tf.unstack(row, axis=1) for row in tf.unstack(inputs, axis=1)]  # each (n, channels)
    sums = [[None] * width for _ in range(height)]
    taps = tf.unstack(tf.reshape(kernel, (-1, *kernel.shape[2:])))
    for (down, right), tap in zip(_shifts(kernel), taps, strict=True):
        meets = [
            (y, x) for y in range(height) for x in range(width) if 0 <= y + down < height and 0 <= x + right < width
        ]
        if not meets:
            continue
        products = tf.matmul(tf.concat([pixels[y + down][x + right] for y, x in meets], 0), tap)
        for (y, x), product in zip(meets, tf.split(products, len(meets)), strict=True):
            sums[y][x] = product if sums[y][x] is None else sums[y][x] + product
    return tf.stack([tf.stack(row, 1) for row in sums], 1)


def _convolve_with_own_gradient(inputs, kernel):
    """TensorFlow's convolution, but for the kernel's gradient: one matrix product a tap, of just what it meets."""
    import tensorflow as tf

    kernel = tf.convert_to_tensor(kernel)  # by now, in bfloat16: on the way back a Keras variable is float32
    height, width, channels = inputs.shape[1:]

    def gradient(upstream):
        by_tap = []
        for down, right in _shifts(kernel):
            seen = inputs[:, max(down, 0) : height + min(down, 0), max(right, 0) : width + min(right, 0)]
            told = upstream[:, max(-down, 0) : height + min(-down, 0), max(-right, 0) : width + min(-right, 0)]
            seen, told = tf.reshape(seen, (-1, channels)), tf.reshape(told, (-1, kernel.shape[3]))
            by_tap.append(tf.matmul(seen, told, transpose_a=True))
        return (
            tf.nn.conv2d_transpose(upstream, kernel, tf.shape(inputs), 1, "SAME"),
            tf.reshape(tf.stack(by_tap), kernel.shape),
        )

    return tf.custom_gradient(lambda *x_and_kernel: (tf.nn.conv2d(*x_and_kernel, 1, "SAME"), gradient))(inputs, kernel)


def _shifts(kernel):
    """Where each tap of a kernel looks, from an output's pixel: how far down and right."""
    rows, columns = kernel.shape[:2]
    return [(row - (rows - 1) // 2, column - (columns - 1) // 2) for row in range(rows) for column in range(columns)]


def trim(network):
    """A copy of a network without the weights that meet nothing but padding, to train in its place.

    On maps of 1x1 pixel a kernel is left with its centre. The other weights never receive a gradient, but an optimizer
    would read and write them in each step all the same: three quarters of the network where the last pair is on such
    maps, as with five poolings that round down. Without such maps it is a plain copy, which keeps the optimizer out of
    what `save_weights` writes of the network.

    Parameters
    ----------
    network : keras.Model
        Of `build_network`.

    Returns
    -------
    keras.Model
        It computes the same to the bit, and of a fresh network draws the same dropout masks; `untrim` brings its
        weights back.
    """

    def trimmed(layer):
        config = layer.get_config()
        if isinstance(layer, Convolution) and layer.sees_one_pixel:
            config["kernel_size"] = (1, 1)
        return type(layer).from_config(config)

    copy = keras.models.clone_model(network, clone_function=trimmed)
    copy.set_weights(
        [
            array[_kept(array.shape, variable.shape)]
            for array, variable in zip(network.get_weights(), copy.weights, strict=True)
        ]
    )
    return copy


def untrim(weights, network):
    """Put the weights of a trimmed copy, as a list of arrays, into the network that `trim` was given."""
    arrays = network.get_weights()
    for array, learnt in zip(arrays, weights, strict=True):
        array[_kept(array.shape, learnt.shape)] = learnt
    network.set_weights(arrays)


def _kept(shape, trimmed):
    """Where an array of the shape `trimmed` lies in one of `shape`: all of it, or a kernel's centre."""
    return tuple(slice((n - m) // 2, (n + m) // 2) for n, m in zip(shape, trimmed, strict=True))
