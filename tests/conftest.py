import os

# Before anything imports Keras: the tests are about TensorFlow on the CPU, whatever this machine has and prefers.
os.environ |= {"CUDA_VISIBLE_DEVICES": "-1", "JAX_PLATFORMS": "cpu", "KERAS_BACKEND": "tensorflow"}

import pytest

from fergit.core.errors import FergitError
from fergit.data import sources


@pytest.fixture(scope="session")
def real_file():
    """Where a source's real data lie, as the pipeline finds them; the test is skipped where there are none."""

    def find(source):
        try:
            return sources.find(source, False)
        except FergitError as error:
            pytest.skip(str(error))

    return find
