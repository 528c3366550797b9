"""Tables of a data set before any training."""

from dataclasses import replace

import pytest
from bars import barred

from fergit.core.errors import FergitError
from fergit.pages import plots_data


def test_a_class_cannot_have_the_name_of_the_sum():
    faces = barred()
    assert plots_data.class_sizes(faces).loc["all"].to_dict() == {"train": 64, "validation": 16, "test": 0, "all": 80}
    with pytest.raises(FergitError, match="a class is called 'all'"):
        plots_data.class_sizes(replace(faces, classes=("all", "b", "c", "d")))
