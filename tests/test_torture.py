"""The short form of the proof that no training is lost; `make torture` runs it in full."""

import pytest
from torture import interrupted, kernel_killed, killed_while_it_saves, torture


@pytest.mark.corners
def test_a_training_that_was_killed_ends_with_the_same_bytes(tmp_path):
    torture(tmp_path, [killed_while_it_saves, kernel_killed, interrupted], epochs=12)
