import cv2
import matplotlib.pyplot as plt
import numpy as np
import pytest
from portraits import portrait

from fergit.analysis import gradcam
from fergit.core.errors import FergitError
from fergit.data.synthetic import CLASSES, draw_faces
from fergit.engine.network import build_network
from fergit.use import explaining, shipped


@pytest.fixture(scope="module")
def network():
    return build_network("basic", seed=1)


def test_ones_own_faces(network):
    images = draw_faces(2, 0)[0]
    figure = explaining.over_faces(network, images, CLASSES)
    labels = [axes.get_ylabel() for axes in figure.axes if axes.get_ylabel()]
    _, probabilities = gradcam.explain(network, images)
    best = [f"{CLASSES[row.argmax()]} {row.max():.0%}" for row in probabilities]
    assert labels[:2] == best
    plt.close(figure)


def test_each_face_of_a_photograph_is_explained(network, tmp_path, monkeypatch):
    cv2.imwrite(str(tmp_path / "two.png"), portrait(people=2)[0])
    monkeypatch.setattr(shipped, "load_network", lambda weights: network)
    figure = explaining.explain(tmp_path / "two.png")
    rows = [axes.get_ylabel() for axes in figure.axes if axes.get_ylabel().endswith("%")]
    assert len(rows) == 2 and {row.split()[0] for row in rows} <= set(CLASSES)
    plt.close(figure)


def test_a_photograph_without_a_face_is_one_line(tmp_path):
    cv2.imwrite(str(tmp_path / "wall.png"), np.full((200, 200), 90, np.uint8))
    with pytest.raises(FergitError, match="wall.png: no face is found in it"):
        explaining.explain(tmp_path / "wall.png")
