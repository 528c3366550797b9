from collections import Counter

from fergit.engine.network import build_network
from fergit.pages import plots_network
from fergit.paper import reconstruction


def test_the_drawing_has_every_layer():
    networks = [build_network(kind) for kind in ("basic", "residual")]
    words = [text.get_text() for text in plots_network.networks(networks, reconstruction.STATED).axes[0].texts]
    assert sum("convolution" in w and "ReLU" in w for w in words) >= 24
    assert sum(w.startswith("sum") for w in words) == 3
    counts = [f"{layer.count_params():,}" for network in networks for layer in network.layers if layer.count_params()]
    assert Counter(words) >= Counter(counts)
    assert any("9,766,391" in w for w in words)
