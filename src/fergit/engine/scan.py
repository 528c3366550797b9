"""Many training steps in one program, where JAX computes on a GPU.

A step of these networks takes a GPU about as long as Keras takes to start it. So the steps are not started one by one:
a compiled loop makes many of them. The results are those of single steps, but for rounding.
"""

import itertools

from fergit.engine.backend import gpu, keras

STEPS = 50  # in one program


def on_jax_gpu():
    """Whether JAX computes, on a GPU, and on one alone."""
    return keras.backend.backend() == "jax" and gpu() is not None and keras.distribution.distribution() is None


def scan_steps(model):
    """Let ``model.fit`` make its training steps in a compiled loop; `model` is compiled with `STEPS` an execution."""
    import jax

    def loop(state, batches, count):
        def step(number, logs_and_state):
            return model.train_step(logs_and_state[1], jax.tree.map(lambda values: values[number], batches))

        logs, _ = jax.eval_shape(step, 0, (None, state))
        return jax.lax.fori_loop(0, count, step, (jax.tree.map(lambda log: jax.numpy.zeros_like(log), logs), state))

    loop = jax.jit(loop, donate_argnums=0)

    def train_function(state, iterator):
        batches = [next(iterator)]  # its StopIteration ends the epoch
        batches += itertools.islice(iterator, STEPS - 1)
        filled = batches + batches[:1] * (STEPS - len(batches))  # each number of batches would be compiled
        return loop(state, jax.tree.map(lambda *arrays: jax.numpy.stack(arrays), *filled), len(batches))

    model.train_function = train_function
