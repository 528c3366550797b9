"""Nadam with decoupled weight decay and an average of the weights, in one pass over them on TensorFlow's CPU."""

from fergit.engine.backend import is_mirrored, keras, on_tensorflow_cpu

NOT_DECAYED = ["bias", "gamma", "beta"]  # decay pulls them to zero without making a network simpler


class FusedNadam(keras.optimizers.Nadam):
    """Keras' Nadam, whose whole update TensorFlow compiles into one pass over the weights where it is on a CPU.

    Keras' own is some twenty small operations for each weight array, and more with weight decay and the average; on a
    CPU they take a good part of a training step. Elsewhere Keras compiles the whole step anyway.
    """

    def _backend_apply_gradients(self, grads, trainable_variables):
        apply = super()._backend_apply_gradients
        if not on_tensorflow_cpu() or is_mirrored():
            return apply(grads, trainable_variables)
        import tensorflow as tf

        @tf.function(jit_compile=True, autograph=False)
        def compiled(grads):
            apply(grads, trainable_variables)

        return compiled(grads)


def make_optimizer(settings):
    """The optimizer of a training.

    Parameters
    ----------
    settings : dict
        learning_rate (a number or a schedule of Keras'), beta_1, beta_2, weight_decay (decoupled, of kernels alone; 0:
        none) and ema (the momentum of an exponential average of the weights; 0: none).

    Returns
    -------
    keras.optimizers.Optimizer
        Not built.
    """
    ema = settings["ema"]
    optimizer = FusedNadam(
        settings["learning_rate"],
        beta_1=settings["beta_1"],
        beta_2=settings["beta_2"],
        weight_decay=settings["weight_decay"] or None,
        use_ema=bool(ema),
        ema_momentum=ema or 0.99,
        name="nadam",
    )
    optimizer.exclude_from_weight_decay(var_names=NOT_DECAYED)
    return optimizer
