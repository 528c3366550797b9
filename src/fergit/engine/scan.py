"""Many training steps in one program, where JAX computes on a GPU.

A step of these networks takes a GPU about as long as Keras takes to start it. So the steps are not started one by one:
a compiled loop makes many of them. The results are those of single steps, but for rounding.
"""

from fergit.engine.backend import gpu, keras

STEPS = 50  # in one program


def on_jax_gpu():
    """Whether JAX computes, on a GPU, and on one alone."""
    return keras.backend.backend() == "jax" and gpu() is not None and keras.distribution.distribution() is None


def scan_steps(model):
    """Let ``model.fit`` make its training steps in a compiled loop; `model` is compiled with `STEPS` an execution."""
    import jax

    def loop(state, batches):
        def step(state, batch):
            logs, state = model.train_step(state, batch)
            return state, logs

        state, logs = jax.lax.scan(step, state, batches)
        return jax.tree.map(lambda values: values[-1], logs), state

    loop = jax.jit(loop, donate_argnums=0)

    def train_function(state, iterator):
        batches = [next(iterator)]  # its StopIteration ends the epoch
        batches += [batch for _, batch in zip(range(STEPS - 1), iterator, strict=False)]
        return loop(state, jax.tree.map(lambda *arrays: jax.numpy.stack(arrays), *batches))

    model.train_function = train_function
