"""Training by the paper's recipe (p. 81): repeatable to the byte, and resumed where it was interrupted."""

import hashlib
import json
import os
import resource
import sys
import time
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from fergit.core import paths, progress
from fergit.core.errors import FergitError
from fergit.core.files import read_json, write_atomically, write_json, write_text
from fergit.engine import augmentation
from fergit.engine.backend import configure, describe_machine, is_mirrored, keras, on_tensorflow_cpu
from fergit.engine.network import build_network, trim, untrim

HISTORY = ("epoch", "loss", "accuracy", "val_loss", "val_accuracy", "learning_rate")
# What training.json must hold to be read again.
SUMMARY = ("dataset", "model", "seed", "classes", "network", "train", "best_epoch", "best_val_accuracy")
RESULT_CODE = ("augmentation.py", "backend.py", "network.py", "training.py")  # what makes a checkpoint stale


@dataclass
class Training:
    """What a training has come to; it is also what a checkpoint carries beside the arrays.

    ``history`` has a dict of `HISTORY` for each epoch; ``best_epoch`` counts from 1; ``seconds`` adds up over
    interruptions.
    """

    history: list = field(default_factory=list)
    best_epoch: int = 0
    best_val_accuracy: float = -1.0
    stopped: bool = False
    seconds: float = 0.0

    def table(self):
        """The history as a DataFrame, one row an epoch."""
        return pd.DataFrame(self.history, columns=HISTORY)


class FusedNadam(keras.optimizers.Nadam):
    """Nadam whose update TensorFlow compiles into one pass over the weights.

    Keras' own is some twenty small operations for each weight array; on a CPU they take a good part of a training step.
    The other backends compile the whole step anyway.
    """

    def _backend_update_step(self, grads, trainable_variables, learning_rate):
        update = super()._backend_update_step
        if keras.backend.backend() != "tensorflow" or is_mirrored():
            return update(grads, trainable_variables, learning_rate)
        import tensorflow as tf

        @tf.function(jit_compile=True, autograph=False)
        def compiled(grads, learning_rate):
            update(grads, trainable_variables, learning_rate)

        return compiled(grads, tf.convert_to_tensor(learning_rate))


class Batches(keras.utils.PyDataset):
    """Images as they are, batch by batch: (images float32 (b, 48, 48, 1), labels uint8 (b,))."""

    def __init__(self, images, labels, batch_size):
        # Threads of Keras' switch off tf.data's autotuner, which sleeps for as long as it has watched and now and then
        # holds up the end of an epoch until it wakes. Elsewhere Keras draws a batch before the first epoch, and what
        # threads have prepared by then would come again in the next one.
        super().__init__(workers=2 if keras.backend.backend() == "tensorflow" and not is_mirrored() else 1)
        self.images, self.labels, self.batch_size = images, labels, batch_size
        self.count = len(images)

    def __len__(self):
        return -(-self.count // self.batch_size)

    def __getitem__(self, batch):
        rows = self._rows(batch)
        return augmentation.to_input(self.images[rows]), self.labels[rows]

    def _rows(self, batch):
        return slice(batch * self.batch_size, (batch + 1) * self.batch_size)


class AugmentedBatches(Batches):
    """The batches of an epoch: (images float32 (b, 48, 48, 1), labels uint8 (b,), weights float32 (b,)).

    Order and warps are functions of (seed, epoch, index) alone. `epoch` moves on at each epoch's end, and once before
    the first one, when Keras resets its iterator.
    """

    def __init__(self, images, labels, weights, seed, epoch, train, warps):
        super().__init__(images, labels, train["batch_size"])
        self.weights, self.seed, self.warps = weights, seed, warps
        self.count = len(images) * train["copies_per_epoch"]
        self._prepare(epoch)

    def __getitem__(self, batch):
        index = self.order[self._rows(batch)]
        image = index % len(self.images)
        images = augmentation.warp(self.images[image], self.maps[index])
        labels = self.labels[image]
        return augmentation.to_input(images), labels, self.weights[labels]

    def on_epoch_end(self):
        self._prepare(self.epoch + 1)

    def _prepare(self, epoch):
        self.epoch = epoch
        self.order = augmentation.epoch_order(self.count, self.seed, epoch)
        self.maps = augmentation.epoch_warps(self.count, self.seed, epoch, self.warps)


class Resumable(keras.callbacks.Callback):
    """After each epoch: keep the best weights, note the history, save everything that the next epoch needs.

    Stands last in the list of callbacks, so that it saves and restores what the others have become.
    """

    def __init__(self, training, file, others, title, epochs):
        super().__init__()
        self.training, self.file, self.others, self.title, self.epochs = training, file, others, title, epochs
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
            self.best_weights = self.model.get_weights()
        now = time.monotonic()
        took, self.clock = now - self.clock, now
        training.seconds += took
        if training.best_val_accuracy == 1:  # no later epoch can be better
            self.model.stop_training = True
        training.stopped = self.model.stop_training or epoch + 1 == self.epochs
        self._save()
        left = _duration((self.epochs - epoch - 1) * took)
        progress.line(
            f"{self.title} | epoch {epoch + 1}/{self.epochs} | loss {row['loss']:.3f} accuracy {row['accuracy']:.3f} | "
            f"validation accuracy {row['val_accuracy']:.3f}, best {training.best_val_accuracy:.3f} "
            f"(epoch {training.best_epoch}) | {_duration(took)}, at most {left} left"
        )

    def _variables(self):
        """All state of the network and its optimizer, dropout's included, in a fixed order."""
        return [*self.model.variables, *self.model.optimizer.variables]

    def _save(self):
        arrays = {f"variable_{i}": keras.ops.convert_to_numpy(v) for i, v in enumerate(self._variables())}
        arrays |= {f"best_{i}": array for i, array in enumerate(self.best_weights)}
        states = [
            {name: value for name, value in vars(other).items() if isinstance(value, (bool, int, float))}
            for other in self.others
        ]
        arrays["state"] = np.array(json.dumps({"training": vars(self.training), "callbacks": states}))
        with write_atomically(self.file) as file:
            np.savez(file, **arrays)

    def load(self):
        """Take up the checkpoint, if there is one: call it before ``fit``, when all variables exist."""
        if not self.file.exists():
            return
        with np.load(self.file, allow_pickle=False) as arrays:
            state = json.loads(str(arrays["state"]))
            for i, variable in enumerate(self._variables()):
                variable.assign(arrays[f"variable_{i}"])
            self.best_weights = [arrays[f"best_{i}"] for i in range(len(self.model.weights))]
        vars(self.training).update(state["training"])
        self.states = state["callbacks"]
        progress.line(f"{self.title} | resumed after epoch {len(self.training.history)}")


def train(network, faces, params, dataset, seed):
    """Train a fresh network by the paper's recipe; it ends with the weights of its best validation accuracy.

    A training that was interrupted goes on from its last complete epoch, to the same bytes: the checkpoint is keyed by
    code, images, parameters and versions.

    Parameters
    ----------
    network : keras.Model
        Of `build_network`.
    faces : datasets.Faces
        The training and validation parts; a test image among them is an error.
    params : dict
        The sections ``train`` and ``augmentation``.
    dataset : str
        For messages and the checkpoint's folder.
    seed : int
        Of order and augmentation.

    Returns
    -------
    Training

    Raises
    ------
    FergitError
        The loss is not finite, or a part is missing.
    """
    parts = sorted(set(faces.split.tolist()))
    if parts != ["train", "validation"]:
        raise FergitError(f"train {dataset}: has the parts {', '.join(parts)}; it takes train and validation")
    settings, title = params["train"], f"train {dataset} {network.name} seed {seed}"
    inside, held = faces.split == "train", faces.split == "validation"
    images, labels = faces.images[inside], faces.labels[inside]
    weights = class_weights(labels, len(faces.classes), settings["class_weights"])

    trimmed = compile_trimmed(network, settings)
    plateau, early = settings["reduce_lr"], settings["early_stopping_patience"]
    others = [
        keras.callbacks.ReduceLROnPlateau(
            "val_accuracy", plateau["factor"], plateau["patience"], mode="max", min_lr=plateau["min_lr"]
        ),
        keras.callbacks.EarlyStopping("val_accuracy", patience=early, mode="max"),
    ]
    training = Training()
    checkpoint = checkpoint_file(dataset, network, faces, params, seed)
    resumable = Resumable(training, checkpoint, others, title, settings["epochs"])
    resumable.set_model(trimmed)
    resumable.load()
    done = len(training.history)
    if not training.stopped:
        trimmed.fit(
            AugmentedBatches(images, labels, weights, seed, done + 1, settings, params["augmentation"]),
            validation_data=Batches(faces.images[held], faces.labels[held], 256),
            epochs=settings["epochs"],
            initial_epoch=done,
            shuffle=False,
            callbacks=[*others, resumable],
            verbose=0,
        )
    untrim(resumable.best_weights, network)
    return training


def compile_trimmed(network, settings):
    """The copy of a network that is trained in its place, without what cannot learn; `network.untrim` brings it back.

    Parameters
    ----------
    network : keras.Model
        Of `build_network`.
    settings : dict
        The section ``train``: learning_rate, beta_1 and beta_2.

    Returns
    -------
    keras.Model
        Compiled, its optimizer built.
    """
    trimmed = trim(network)
    trimmed.compile(
        optimizer=FusedNadam(settings["learning_rate"], beta_1=settings["beta_1"], beta_2=settings["beta_2"]),
        loss="sparse_categorical_crossentropy",
        # Not by its name: Keras would make it while it traces the first step, and then has to trace it again.
        metrics=[keras.metrics.SparseCategoricalAccuracy("accuracy")],
        jit_compile=False if on_tensorflow_cpu() else "auto",
    )
    trimmed.optimizer.build(trimmed.trainable_variables)
    return trimmed


def class_weights(labels, classes, kind):
    """What each class's images weigh in the loss: float32 (classes,).

    ``balanced`` is n / (classes * n_class), so that all classes weigh the same in sum (p. 81 asks for large weights for
    small classes; its formula is unread); ``none`` is all ones.
    """
    if kind == "none":
        return np.ones(classes, np.float32)
    counts = np.bincount(labels, minlength=classes)
    return (len(labels) / (classes * np.maximum(counts, 1))).astype(np.float32)


def prior_accuracy(labels):
    """The accuracy of always naming the largest class: float."""
    return float(np.bincount(labels).max() / len(labels))


def left_prior(training, labels):
    """Whether a training beat naming the largest class on the validation part, by two standard errors.

    A network that did not is a failure to report, not a result to compare.
    """
    prior = prior_accuracy(labels)
    return bool(training.best_val_accuracy > prior + 2 * np.sqrt(prior * (1 - prior) / len(labels)))


def save_training(training, network, faces, params, dataset, seed):
    """Write what a training leaves: weights, history.csv, training.json (all byte-stable), and its cost under runs/.

    Returns
    -------
    dict
        What stands in training.json.
    """
    labels = faces.labels[faces.split == "validation"]
    best = training.history[training.best_epoch - 1]
    summary = {
        "dataset": dataset,
        "model": network.name,
        "seed": seed,
        "trained": left_prior(training, labels),
        "epochs_run": len(training.history),
        "best_epoch": training.best_epoch,
        "best_val_accuracy": training.best_val_accuracy,
        "train_accuracy_at_best": best["accuracy"],
        "highest_train_accuracy": max(row["accuracy"] for row in training.history),
        "prior_val_accuracy": prior_accuracy(labels),
        "n_train": int((faces.split == "train").sum()),
        "n_validation": len(labels),
        "parameters": network.count_params(),
        "classes": list(faces.classes),
        **params,
    }
    folder = paths.results(dataset, network.name, seed)
    write_text(folder / "history.csv", training.table().to_csv(index=False, lineterminator="\n"))
    write_json(folder / "training.json", summary)
    weights = paths.weights(dataset, network.name, seed)
    weights.parent.mkdir(parents=True, exist_ok=True)
    partial = paths.checkpoints(dataset, network.name, seed) / weights.name
    network.save_weights(partial)
    os.replace(partial, weights)
    unit = 2**20 if sys.platform == "darwin" else 2**10  # macOS counts bytes, Linux KiB
    write_json(
        paths.run(dataset, network.name, seed),
        {
            "seconds": round(training.seconds, 1),
            "epochs": len(training.history),
            "peak_memory_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // unit,
        }
        | describe_machine(),
    )
    return summary


def load_trained(dataset, model, seed):
    """A trained network, ready to predict in float32; Keras is set up for it.

    Parameters
    ----------
    dataset, model : str
    seed : int
        Which training; it must have been saved by `save_training`.

    Returns
    -------
    network : keras.Model
    training : dict
        Its training.json.

    Raises
    ------
    FergitError
        That training is not there, or its files are damaged or of another network.
    """
    file, weights = paths.results(dataset, model, seed) / "training.json", paths.weights(dataset, model, seed)
    remedy = f"`dvc repro train@{dataset}-{model}-{seed}` trains it"
    training = read_json(file, SUMMARY, remedy)
    if not weights.exists():
        raise FergitError(f"{paths.relative(weights)}: no such file; {remedy}")
    try:
        device, classes, settings = training["train"]["device"], len(training["classes"]), dict(training["network"])
    except (KeyError, TypeError, ValueError):
        raise FergitError(f"{paths.relative(file)}: not what a training wrote; {remedy}") from None
    configure(seed, "cpu" if device == "cpu" else "auto")  # what was trained on a GPU predicts without one too
    network = build_network(model, classes, **settings)
    try:
        network.load_weights(weights)
    except (ValueError, OSError, KeyError, RuntimeError) as error:
        message = str(error).splitlines()[0]
        raise FergitError(f"{paths.relative(weights)}: not weights of this {model} network: {message}") from None
    if not all(np.isfinite(values).all() for values in network.get_weights()):
        raise FergitError(f"{paths.relative(weights)}: holds weights that are not numbers; {remedy}")
    return network, training


def predict(dataset, model, seed, images):
    """Probabilities by the network of `load_trained`, of uint8 (n, 48, 48): float32 (n, classes)."""
    network, _ = load_trained(dataset, model, seed)
    return network.predict(augmentation.to_input(images), batch_size=256, verbose=0)


def checkpoint_file(dataset, network, faces, params, seed):
    """Where a training's checkpoint lies: its name is a hash of everything that decides its bytes."""
    key = hashlib.sha256()
    for name in RESULT_CODE:
        key.update((paths.ROOT / "src" / "fergit" / name).read_bytes())
    for array in (faces.images, faces.labels, faces.split):
        key.update(np.ascontiguousarray(array))
    key.update(json.dumps([dataset, network.name, seed, params, describe_machine()], sort_keys=True).encode())
    return paths.checkpoints(dataset, network.name, seed) / f"{key.hexdigest()[:32]}.npz"


def _duration(seconds):
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {seconds} s" if minutes else f"{seconds} s"
