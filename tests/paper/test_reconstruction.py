"""The arithmetic of the layouts: against the paper's number, by hand, and against what Keras builds."""

import itertools

import keras
import numpy as np
import pytest

from fergit.engine import network as network_module
from fergit.engine.network import Convolution, build_network
from fergit.paper import published, reconstruction
from fergit.paper.reconstruction import NORMALIZATIONS, Layout


@pytest.mark.parametrize(
    ("plan", "second_kernel", "total", "trainable"),
    [
        ("per_conv", 5, 9_773_111, 9_766_391),
        ("reconstructed", 5, 9_766_391, 9_763_031),
        ("literal", 3, 9_764_983, 9_760_279),
        ("literal", 5, 9_769_079, 9_764_375),
    ],
)
def test_counts_by_arithmetic_and_by_keras(plan, second_kernel, total, trainable):
    layout = Layout(5, second_kernel, NORMALIZATIONS[plan])
    assert (layout.total, layout.trainable) == (total, trainable)
    section = {"batch_normalization": plan, "first_kernels": [5, second_kernel]}
    assert reconstruction.layout_of(section) == layout
    for kind in ("basic", "residual"):
        network, layout = build_network(kind, **section), reconstruction.layout_of(section, kind)
        learnt = sum(int(np.prod(weights.shape)) for weights in network.trainable_weights)
        assert (layout.total, layout.trainable) == (network.count_params(), learnt)


def test_the_basic_network_on_the_same_skeleton():
    section = {"batch_normalization": "reconstructed", "first_kernels": [5, 5]}
    assert reconstruction.layout_of(section, "basic").total == 4_730_423


def test_convolutions_and_maps_are_those_that_keras_builds():
    for poolings in (0, 3, 5, 6):
        network, sides = build_network("residual", poolings=poolings), reconstruction.map_sides(poolings)
        built = [layer for layer in network.layers if isinstance(layer, Convolution)]
        for layer, (pair, size, inputs, filters, _) in zip(built, Layout().convolutions(), strict=True):
            assert layer.kernel.shape == (size, size, inputs, filters)
            assert layer.output.shape[1] == sides[min(pair - 1, poolings)]


def test_skeletons_agree():
    assert reconstruction.FILTERS == network_module.FILTERS
    assert reconstruction.RESIDUAL_AFTER == network_module.RESIDUAL_AFTER
    assert (reconstruction.INPUT_SIDE, reconstruction.INPUT_SIDE, 1) == network_module.INPUT_SHAPE
    assert set(NORMALIZATIONS) == set(network_module.BATCH_NORMALIZATIONS)


def test_a_search_among_pairs_had_to_match():
    """Every number of a window with the right remainder has one layout, so that the paper's has one proves nothing."""
    totals = [Layout(5, kernel, plan).total for kernel in (3, 5) for plan in itertools.product((0, 1), repeat=6)]
    assert sorted(totals) == list(range(min(totals), max(totals) + 1, 64))
    fits = reconstruction.fits().set_index("layouts")
    assert fits.loc[128, "total fits"] == 1
    assert (
        reconstruction.fits(target=published.RESIDUAL_PARAMETERS - 64).set_index("layouts").loc[128, "total fits"] == 1
    )


def test_one_of_twelve_plain_readings_matches():
    readings = reconstruction.readings()
    exact = readings[(readings["trainable - published"] == 0) | (readings["total - published"] == 0)]
    assert len(readings) == 6 and len(exact) == 1
    assert exact.iloc[0]["second kernel"] == "5x5" and exact.iloc[0]["batch normalizations of a pair"] == 2
    without = reconstruction.fits(residual_biases=False).iloc[0]
    assert without["total fits"] == without["trainable fits"] == 0


def test_half_as_many_normalizations_have_the_same_number_in_all():
    """9,759,671 in convolutions and the dense layer; 1,008 and 672 channels, twice with 2 each or once with 4 each."""
    rival = Layout(normalizations=(1,) * 6, residual_normalizations=1)
    assert rival.total == 9_759_671 + 4 * (1008 + 672) == published.RESIDUAL_PARAMETERS == Layout().trainable
    kinds = (Convolution, keras.layers.Dense)
    assert sum(x.count_params() for x in build_network("residual").layers if isinstance(x, kinds)) == 9_759_671


def test_layouts_without_biases_in_residual_blocks():
    """Two convolutions each with 32, 128 and 512 filters: 1,344 biases."""
    assert Layout().total - Layout(residual_biases=False).total == 2 * (32 + 128 + 512)


@pytest.mark.parametrize(
    ("poolings", "round_up", "sides"),
    [
        (6, True, [48, 24, 12, 6, 3, 2, 1]),
        (6, False, [48, 24, 12, 6, 3, 1, 0]),
        (5, False, [48, 24, 12, 6, 3, 1]),
        (6, None, [48, 24, 12, 6, 3, 2, 1]),
        (5, None, [48, 24, 12, 6, 3, 1]),
        (0, None, [48]),
    ],
)
def test_map_sides(poolings, round_up, sides):
    assert reconstruction.map_sides(poolings, round_up) == sides


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="the others may build a map without a pixel")
def test_six_poolings_that_round_down_cannot_be_built():
    with pytest.raises(ValueError):
        keras.layers.MaxPooling2D(2)(keras.Input((1, 1, 4)))


def test_weights_are_idle_with_five_poolings_that_round_down_and_with_no_others():
    """Eight of nine taps: of 256 to 512 filters once, and of 512 to 512 three times."""
    table = reconstruction.poolings_table(Layout()).set_index(["poolings", "rounding"])
    assert table.loc[(5, "down"), "idle weights"] == 8 * 512 * (256 + 3 * 512) == 7_340_032
    assert table.loc[(5, "down"), "share"] == pytest.approx(0.751, abs=5e-4)
    assert (table.drop((5, "down"))["idle weights"].dropna() == 0).all()
    assert table.loc[(6, "down")].isna()[["idle weights", "share", "TFLOP/s"]].all()


def test_idle_weights_get_no_gradient_and_the_others_do():
    """A 3x3 kernel on a map of one pixel, and on a map of 2x2."""
    for side, reached in ((1, 1), (2, 9)):
        layer = keras.layers.Conv2D(1, 3, padding="same", kernel_initializer="ones")
        maps = np.eye(side * side, dtype="float32").reshape(-1, side, side, 1)
        layer.build(maps.shape)
        seen = 0
        for tap in range(9):  # a tap matters if the output changes with it
            kernel = np.zeros((9, 1, 1), dtype="float32")
            kernel[tap] = 1
            layer.set_weights([kernel.reshape(3, 3, 1, 1), np.zeros(1)])
            seen += np.abs(np.asarray(layer(maps))).max() > 0
        assert seen == reached


def test_operations_by_hand():
    """Three poolings, forward, in millions: pair 1 at 48x48, pair 2 at 24x24 and its residual block, and so on."""
    needed = reconstruction.poolings_table(Layout()).set_index("poolings").loc[3, "TFLOP/s"]
    forward = 1.84e6 + 29.49e6 + 15.93e6 + 21.23e6 + 15.93e6 + 15.93e6 + 21.23e6 + 63.70e6 + 254.80e6 + 339.74e6
    assert needed == pytest.approx(3 * forward * 44_370 * 100 / (48 * 60) / 1e12, rel=1e-3)


def test_eighty_of_a_thousand_seeds_give_the_papers_supports():
    """By scikit-learn's older rule, from the sizes of FERGIT's classes: 10 % held out, of these the first half.

    By today's rule none does.
    """
    from sklearn.model_selection._split import _approximate_mode

    from fergit.data import sources, splits

    sizes = np.array(list(sources.EXPECTED["fergit"].values()))

    def two(shares, counts, second, seed):
        rng = np.random.RandomState(seed)
        first = shares(counts, counts.sum() - second, rng)
        return first, shares(counts - first, second, rng)

    def all_halves(shares):
        for seed in range(reconstruction.SPLIT["seeds_tried"]):
            _, held = two(shares, sizes, 4930, seed)
            yield [tuple(int(n) for n in half) for half in two(shares, held, 2465, seed)]

    halves, supports = list(all_halves(splits._older_shares)), published.TABLE_3["support"]
    assert not any(supports in both for both in all_halves(_approximate_mode))
    assert sum(first == supports for first, _ in halves) == reconstruction.SPLIT["seeds_that_fit"]
    assert not any(second == supports for _, second in halves)
    assert halves[reconstruction.SPLIT["seed"]][0] == supports
