import os

# Before anything imports Keras: the tests are about TensorFlow on the CPU, whatever this machine has and prefers.
os.environ |= {"CUDA_VISIBLE_DEVICES": "-1", "JAX_PLATFORMS": "cpu", "KERAS_BACKEND": "tensorflow"}

import pytest

from fergit.core.errors import FergitError
from fergit.data import sources


@pytest.fixture(scope="module")
def quick():
    """Networks of few filters, run without tracing, train in a fifth of the time; for tests of what is around them."""
    import tensorflow as tf

    from fergit.engine import network

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(network, "FILTERS", (4, 4, 8, 8, 8, 8))
        tf.config.run_functions_eagerly(True)
        yield
        tf.config.run_functions_eagerly(False)


@pytest.fixture(scope="session")
def real_file():
    """Where a source's real data lie, as the pipeline finds them; the test is skipped where there are none."""

    def find(source):
        try:
            return sources.find(source, False)
        except FergitError as error:
            pytest.skip(str(error))

    return find
