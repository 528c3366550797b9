"""What a training keeps on disk, so that it goes on after any interruption, on a CPU to the same bytes.

A checkpoint is named by a hash of everything that decides the result (code, images, parameters) and by the machine.
"""

import hashlib
import json
import os
import time
import zipfile
import zlib
from dataclasses import asdict, dataclass, field
from importlib import metadata

import numpy as np
import pandas as pd

from fergit.core import paths, progress
from fergit.core.errors import FergitError
from fergit.core.files import write_atomically
from fergit.engine.backend import describe_machine, keras

HISTORY = ("epoch", "loss", "accuracy", "val_loss", "val_accuracy", "learning_rate")
ROOMS = ("core", "engine")  # the code that decides a training


@dataclass
class Training:
    """What a training has come to.

    ``history`` has a dict of `HISTORY` for each epoch; ``best_epoch`` counts from 1; ``seconds`` adds up over
    interruptions; ``train_accuracy`` and ``validation_accuracy`` are those of the weights that are kept, in float32 on
    images as they are, without augmentation; ``machine`` is what it was trained on.
    """

    history: list = field(default_factory=list)
    best_epoch: int = 0
    best_val_accuracy: float = -1.0
    stopped: bool = False
    seconds: float = 0.0
    train_accuracy: float = -1.0
    validation_accuracy: float = -1.0
    machine: dict = field(default_factory=dict)

    def table(self):
        """The history as a DataFrame, one row an epoch."""
        return pd.DataFrame(self.history, columns=HISTORY)


def training_key(dataset, model, faces, params, seed):
    """The hash of everything but the machine that decides a training: 32 hexadecimal digits."""
    key = hashlib.sha256()
    for room in ROOMS:
        for file in sorted((paths.ROOT / "src" / "fergit" / room).glob("*.py")):
            key.update(f"{room}/{file.name}".encode() + file.read_bytes())
    for array in (faces.images, faces.labels, faces.split):
        key.update(np.ascontiguousarray(array))
    key.update(json.dumps([dataset, model, seed, params], sort_keys=True).encode())
    return key.hexdigest()[:32]


def machine_key():
    """The hash of what this process computes with: 8 hexadecimal digits."""
    versions = {name: metadata.version(name) for name in ("numpy", "opencv-python-headless")}
    return hashlib.sha256(json.dumps(describe_machine() | versions, sort_keys=True).encode()).hexdigest()[:8]


def find_checkpoint(folder, key):
    """Where a training's checkpoint lies, or is to be, and what it holds.

    A finished one goes first, whatever machine wrote it; then this machine's own.

    Parameters
    ----------
    folder : Path
        Of `paths.checkpoints`.
    key : str
        Of `training_key`.

    Returns
    -------
    Path, and dict (of `read_arrays`) or None
    """
    own, unfinished = folder / f"{key}-{machine_key()}.npz", None
    for file in sorted(folder.glob(f"{key}-*.npz"), key=lambda file: file != own):
        arrays = read_arrays(file)
        if arrays is not None and arrays["state"]["training"]["stopped"]:
            if file != own:
                progress.line(f"{paths.relative(file)}: trained on {arrays['state']['training']['machine']['device']}")
            return file, arrays
        if file == own:
            unfinished = arrays
    return own, unfinished


def read_arrays(file):
    """All arrays of a file of ours, its ``state`` as a dict; None where it is missing, or damaged and now set aside."""
    try:
        with np.load(file, allow_pickle=False) as opened:
            arrays = {name: opened[name] for name in opened.files}
        return arrays | {"state": json.loads(str(arrays["state"]))}
    except FileNotFoundError:  # or removed by another process since it was listed
        return None
    except (ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        aside = file.with_suffix(".damaged")
        os.replace(file, aside)
        why = (str(error) or type(error).__name__).splitlines()[0]
        progress.line(f"{paths.relative(file)}: damaged ({why}), set aside as {aside.name}")
        return None


class Evaluated(keras.callbacks.Callback):
    """What is validated, and kept if it is best: the weights, or their exponential average, with clean statistics.

    Parameters
    ----------
    average : bool
        Validate the optimizer's exponential average of the weights.
    clean : float32 (n, 48, 48, 1) or None
        Training images as they are: by them the moving statistics are estimated again before each validation.
    """

    def __init__(self, average, clean):
        super().__init__()
        self.average, self.clean, self.weights = average, clean, None

    def on_test_begin(self, logs=None):
        if not self.average and self.clean is None:
            return
        self.trained = self.model.get_weights()
        if self.average:
            optimizer = self.model.optimizer
            for variable, mean in zip(
                self.model.trainable_variables, optimizer._model_variables_moving_average, strict=True
            ):
                variable.assign(keras.ops.convert_to_numpy(mean))  # a copy: JAX gives away what it validates
        if self.clean is not None:
            estimate_statistics(self.model, self.clean)

    def on_test_end(self, logs=None):
        self.weights = self.model.get_weights()
        if self.average or self.clean is not None:
            self.model.set_weights(self.trained)


def estimate_statistics(network, inputs):
    """Set the moving statistics of all batch normalizations to those of these inputs, float32 (n, 48, 48, 1)."""
    normalizations = [layer for layer in network.layers if hasattr(layer, "estimating")]
    for layer in normalizations:
        layer.estimating = True
    try:
        network(inputs, training=False)
    finally:
        for layer in normalizations:
            layer.estimating = False


class Resumable(keras.callbacks.Callback):
    """After each epoch: keep the best weights, note the history, save everything that the next epoch needs.

    Stands last in the list of callbacks, so that it saves and restores what the others have become.
    """

    def __init__(self, training, file, evaluated, others, title, epochs):
        super().__init__()
        self.training, self.file, self.evaluated, self.others = training, file, evaluated, others
        self.title, self.epochs = title, epochs
        self.best_weights = None
        self.states = [{} for _ in others]

    def on_train_begin(self, logs=None):
        self.clock = time.monotonic()
        for other, state in zip(self.others, self.states, strict=True):
            vars(other).update(state)

    def on_epoch_begin(self, epoch, logs=None):
        # Keras reports the rate after ReduceLROnPlateau has had its say; what the epoch was trained with is this.
        self.learning_rate = float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate))

    def on_epoch_end(self, epoch, logs=None):
        training = self.training
        row = {"epoch": epoch + 1} | {name: float(logs[name]) for name in HISTORY[1:-1]}
        training.history.append(row | {"learning_rate": self.learning_rate})
        if not np.isfinite(row["loss"]):
            raise FergitError(
                f"{self.title}: the loss is {row['loss']} in epoch {epoch + 1}; lower train.learning_rate "
                f"(now {self.learning_rate:g}) in params.yaml"
            )
        if row["val_accuracy"] > training.best_val_accuracy:
            training.best_val_accuracy, training.best_epoch = row["val_accuracy"], epoch + 1
            self.best_weights = self.evaluated.weights
        now = time.monotonic()
        took, self.clock = now - self.clock, now
        training.seconds += took
        if training.best_val_accuracy == 1:  # no later epoch can be better
            self.model.stop_training = True
        training.stopped = self.model.stop_training or epoch + 1 == self.epochs
        self.save()
        left = _duration((self.epochs - epoch - 1) * took)
        progress.line(
            f"{self.title} | epoch {epoch + 1}/{self.epochs} | loss {row['loss']:.3f} accuracy {row['accuracy']:.3f} | "
            f"validation accuracy {row['val_accuracy']:.3f}, best {training.best_val_accuracy:.3f} "
            f"(epoch {training.best_epoch}) | {_duration(took)} an epoch, at most {left} left"
        )

    def save(self):
        """Write the checkpoint; of a finished training, what it needs no more is left out."""
        arrays = {f"best_{i}": array for i, array in enumerate(self.best_weights)}
        if not self.training.stopped:
            arrays |= {f"variable_{i}": keras.ops.convert_to_numpy(v) for i, v in enumerate(self._variables())}
        states = [
            {name: value for name, value in vars(other).items() if isinstance(value, (bool, int, float))}
            for other in self.others
        ]
        arrays["state"] = np.array(json.dumps({"training": asdict(self.training), "callbacks": states}))
        with write_atomically(self.file) as file:
            np.savez(file, **arrays)

    def load(self, arrays):
        """Take up what `find_checkpoint` found: call it before ``fit``, when all variables exist."""
        state = arrays["state"]
        self.best_weights = [arrays[f"best_{i}"] for i in range(len(self.model.weights))]
        if not state["training"]["stopped"]:
            for i, variable in enumerate(self._variables()):
                variable.assign(arrays[f"variable_{i}"])
        vars(self.training).update(state["training"])
        self.states = state["callbacks"]
        progress.line(f"{self.title} | resumed after epoch {len(self.training.history)}")

    def _variables(self):
        """All state of the network and its optimizer, dropout's included, in a fixed order."""
        return [*self.model.variables, *self.model.optimizer.variables]


def _duration(seconds):
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {seconds} s" if minutes else f"{seconds} s"
