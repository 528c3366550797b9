"""Our optimizer against Keras' Nadam: steps, decay, average."""

import numpy as np
import pytest

from fergit.engine import backend, optimizer
from fergit.engine.backend import keras

SETTINGS = {"learning_rate": 0.01, "beta_1": 0.8, "beta_2": 0.99, "weight_decay": 0.0, "ema": 0.0}


def steps(nadam, monkeypatch, compiled=True):
    """Five steps of a kernel and a bias: (weights, what the optimizer keeps)."""
    backend.configure(0, "cpu")
    monkeypatch.setattr(optimizer, "on_tensorflow_cpu", lambda: compiled)
    variables = [
        keras.Variable(np.linspace(-1, 1, size, dtype=np.float32), name=name)
        for name, size in (("kernel", 50), ("bias", 5))
    ]
    nadam.build(variables)
    for step in range(5):
        nadam.apply([keras.ops.sin(variable * (step + 1)) for variable in variables])
    return [keras.ops.convert_to_numpy(variable) for variable in [*variables, *nadam.variables]]


@pytest.mark.parametrize("settings", [{}, {"weight_decay": 0.5}, {"ema": 0.9}, {"weight_decay": 0.5, "ema": 0.9}])
@pytest.mark.parametrize("schedule", [False, True])
def test_the_compiled_pass_is_keras_nadam(settings, schedule, monkeypatch):
    settings = SETTINGS | settings
    if schedule:
        settings["learning_rate"] = keras.optimizers.schedules.CosineDecay(1e-4, 3, warmup_target=0.01, warmup_steps=2)
    plain = keras.optimizers.Nadam(
        settings["learning_rate"],
        beta_1=0.8,
        beta_2=0.99,
        weight_decay=settings["weight_decay"] or None,
        use_ema=settings["ema"] > 0,
        ema_momentum=settings["ema"] or 0.99,
    )
    plain.exclude_from_weight_decay(var_names=["bias"])
    expected = steps(plain, monkeypatch)
    ours = steps(optimizer.make_optimizer(settings), monkeypatch)
    for one, other in zip(ours, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)
    for one, other in zip(
        steps(optimizer.make_optimizer(settings), monkeypatch, compiled=False), expected, strict=True
    ):
        assert np.array_equal(one, other)


def test_biases_and_normalizations_do_not_decay(monkeypatch):
    from fergit.engine.network import build_network

    network = build_network("residual")
    nadam = optimizer.make_optimizer(SETTINGS | {"weight_decay": 0.1})
    nadam.build(network.trainable_variables)
    decayed = {variable.name for variable in network.trainable_variables if nadam._use_weight_decay(variable)}
    assert decayed == {"kernel"}
    assert {variable.name for variable in network.trainable_variables} == {"kernel", "bias", "gamma", "beta"}
    # TensorFlow's optimizer asks with its own variables, whose names may hold their layer's.
    own = {variable.value.name for variable in network.trainable_variables if nadam._use_weight_decay(variable.value)}
    assert own and all("kernel" in name for name in own)
    assert len(own) == len({v.path for v in network.trainable_variables if v.name == "kernel"}) or own == {"kernel:0"}


def test_decay_and_average_are_off_by_default(monkeypatch):
    nadam = optimizer.make_optimizer(SETTINGS)
    assert nadam.weight_decay is None and not nadam.use_ema
    assert (nadam.beta_1, nadam.beta_2, nadam.epsilon) == (0.8, 0.99, 1e-7)
