import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from fergit.analysis.regions import REGIONS
from fergit.core.faces import make_faces
from fergit.data.synthetic import CLASSES, draw_faces
from fergit.pages import plots, plots_gradcam


def test_no_figure_shows_a_single_face():
    """Not of a label that one image was given, nor of the whole test part where that is small."""
    images, labels, _ = draw_faces(120, 0)
    faces = make_faces(images, labels, CLASSES, "synthetic", [f"synthetic/{number}" for number in range(120)])
    named = np.array(["happy"] * 119 + ["disgust"])
    even = [
        pd.DataFrame({"positions": 3, "named": name, "maps": maps, "row": row, "column": column, "value": 1.0})
        for name, maps in (("happy", 119), ("disgust", 1))
        for row, column in [np.indices((3, 3)).reshape(2, -1)]
    ]
    everyone = faces.images.mean(axis=0)
    for some, at_most in ((faces, 3), (faces.take(np.arange(105, 120)), 0)):
        figure = plots_gradcam.maps(pd.concat(even), some, named[-len(some) :], REGIONS)
        shown = [image.get_array() for axes in figure.axes for image in axes.get_images()]
        grays = [np.asarray(array) for array in shown if np.ptp(array) > 0]  # the maps are even
        assert len(grays) <= at_most and (len(grays) > 0) == (at_most > 0)
        for gray in grays:
            assert np.abs(gray - everyone).max() < 3  # the mean of 120 or of 119
        assert "1 map" in [text.get_text() for axes in figure.axes for text in axes.texts]
        plt.close(figure)


@pytest.mark.parametrize(("count", "people", "shown"), [(15, 0, False), (120, 15, False), (16, 0, True)])
def test_there_is_no_mean_face_of_few_people(count, people, shown):
    group = [f"P{number % people:04d}" for number in range(count)] if people else None
    ids = [f"made-up/{number}" for number in range(count)]
    images = np.random.default_rng(0).integers(0, 256, (count, 48, 48), dtype=np.uint8)
    face = plots.mean_face(make_faces(images, [0] * count, ("happy", "sad"), "made-up", ids, group))
    assert (face is not None) == shown
