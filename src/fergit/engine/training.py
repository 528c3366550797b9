"""Training by the paper's recipe (p. 81), or by another one from params.yaml: repeatable to the byte on a CPU."""

import numpy as np

from fergit.core import paths
from fergit.core.errors import FergitError
from fergit.engine import augmentation
from fergit.engine.backend import describe_machine, is_mirrored, keras, on_tensorflow_cpu
from fergit.engine.checkpoint import Evaluated, Resumable, Training, find_checkpoint, training_key
from fergit.engine.layers import trim, untrim
from fergit.engine.optimizer import make_optimizer
from fergit.engine.prediction import in_float32, predict
from fergit.engine.scan import STEPS, on_jax_gpu, scan_steps


class Batches(keras.utils.PyDataset):
    """Images as they are, batch by batch: (images float32 (b, 48, 48, 1), labels float32 (b, classes))."""

    def __init__(self, images, labels, classes, batch_size):
        # Threads of Keras' switch off tf.data's autotuner, which sleeps for as long as it has watched and now and then
        # holds up the end of an epoch until it wakes. Elsewhere Keras draws a batch before the first epoch, and what
        # threads have prepared by then would come again in the next one.
        super().__init__(workers=2 if keras.backend.backend() == "tensorflow" and not is_mirrored() else 1)
        self.images, self.labels, self.batch_size = images, labels, batch_size
        self.one_hot, self.count = np.eye(classes, dtype=np.float32), len(images)

    def __len__(self):
        return -(-self.count // self.batch_size)

    def __getitem__(self, batch):
        rows = self._rows(batch)
        return augmentation.to_input(self.images[rows]), self.one_hot[self.labels[rows]]

    def _rows(self, batch):
        return slice(batch * self.batch_size, (batch + 1) * self.batch_size)


class AugmentedBatches(Batches):
    """The batches of an epoch: images and labels as `Batches`, and weights float32 (b,).

    All batches are full: the last one is filled up with the epoch's first images, since batch normalization makes
    little of a few, and each size of batch is compiled on its own.

    Order and augmentation are functions of (seed, epoch, index) alone, noise of (seed, epoch, batch). `epoch` moves on
    at each epoch's end, and once before the first one, when Keras resets its iterator.
    """

    def __init__(self, images, labels, weights, seed, epoch, train, settings):
        super().__init__(images, labels, len(weights), train["batch_size"])
        self.weights, self.seed, self.settings = weights, seed, settings
        self.count = len(images) * train["copies_per_epoch"]  # without what fills up the last batch
        self._prepare(epoch)

    def __getitem__(self, batch):
        index = self.order[self._rows(batch)]
        image = index % len(self.images)
        warped = augmentation.warp(self.images[image], self.maps[index], self.settings["interpolation"])
        inputs, labels = augmentation.to_input(warped), self.labels[image]
        if self.photometric is not None:
            values = {name: column[index] for name, column in self.photometric.items()}
            inputs = augmentation.apply_photometric(
                inputs, values, augmentation.noise_generator(self.seed, self.epoch, batch)
            )
        return inputs, self.one_hot[labels], self.weights[labels]

    def on_epoch_end(self):
        self._prepare(self.epoch + 1)

    def _prepare(self, epoch):
        self.epoch = epoch
        self.order = np.resize(augmentation.epoch_order(self.count, self.seed, epoch), len(self) * self.batch_size)
        self.maps = augmentation.epoch_warps(self.count, self.seed, epoch, self.settings)
        self.photometric = augmentation.epoch_photometric(self.count, self.seed, epoch, self.settings)


def train(network, faces, params, dataset, seed):
    """Train a fresh network; it ends with the weights of its best validation accuracy.

    A training that was interrupted goes on from its last complete epoch, on a CPU to the same bytes. One that another
    machine has finished is taken up as it is.

    Parameters
    ----------
    network : keras.Model
        Of `build_network`.
    faces : Faces
        The training and validation parts; a test image among them is an error.
    params : dict
        The sections ``network``, ``train`` and ``augmentation``.
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
    images, labels, classes = faces.images[inside], faces.labels[inside], len(faces.classes)
    weights = class_weights(labels, classes, settings["class_weights"])

    trimmed = compile_trimmed(
        network, settings, -(-len(images) * settings["copies_per_epoch"] // settings["batch_size"])
    )
    others = []
    if settings["schedule"] == "plateau":  # the cosine's epochs are fixed beforehand
        plateau, patience = settings["reduce_lr"], settings["early_stopping_patience"]
        others = [
            keras.callbacks.ReduceLROnPlateau(
                "val_accuracy", plateau["factor"], plateau["patience"], mode="max", min_lr=plateau["min_lr"]
            ),
            keras.callbacks.EarlyStopping("val_accuracy", patience=patience, mode="max"),
        ]
    clean = None
    if settings["clean_statistics"]:
        chosen = augmentation.epoch_order(len(images), seed, 0)[: settings["clean_statistics"]]
        clean = augmentation.to_input(images[chosen])
    evaluated = Evaluated(settings["ema"] > 0, clean)
    training = Training(machine=describe_machine())
    key = training_key(dataset, network.name, faces, params, seed)
    file, found = find_checkpoint(paths.checkpoints(dataset, network.name, seed), key)
    resumable = Resumable(training, file, evaluated, others, title, settings["epochs"])
    resumable.set_model(trimmed)
    if found is not None:
        resumable.load(found)
    done = len(training.history)
    if not training.stopped:
        trimmed.fit(
            AugmentedBatches(images, labels, weights, seed, done + 1, settings, params["augmentation"]),
            validation_data=Batches(faces.images[held], faces.labels[held], classes, 256),
            epochs=settings["epochs"],
            initial_epoch=done,
            shuffle=False,
            callbacks=[evaluated, *others, resumable],
            verbose=0,
        )
    untrim(resumable.best_weights, network)
    if training.train_accuracy < 0:
        plain = in_float32(network, params["network"])
        training.train_accuracy = _accuracy(plain, images, labels)
        training.validation_accuracy = _accuracy(plain, faces.images[held], faces.labels[held])
        resumable.save()
    return training


def compile_trimmed(network, settings, steps_per_epoch):
    """The copy of a network that is trained in its place, without what cannot learn; `layers.untrim` brings it back.

    Parameters
    ----------
    network : keras.Model
        Of `build_network`.
    settings : dict
        The section ``train``.
    steps_per_epoch : int
        For the schedule.

    Returns
    -------
    keras.Model
        Compiled, its optimizer built.
    """
    trimmed = trim(network)
    trimmed.compile(
        optimizer=make_optimizer(settings | {"learning_rate": learning_rate(settings, steps_per_epoch)}),
        loss=keras.losses.CategoricalCrossentropy(label_smoothing=settings["label_smoothing"]),
        # Not by its name: Keras would make it while it traces the first step, and then has to trace it again.
        metrics=[keras.metrics.CategoricalAccuracy("accuracy")],
        jit_compile=False if on_tensorflow_cpu() else "auto",
        steps_per_execution=STEPS if on_jax_gpu() else 1,
    )
    if on_jax_gpu():
        scan_steps(trimmed)
    trimmed.optimizer.build(trimmed.trainable_variables)
    return trimmed


def learning_rate(settings, steps_per_epoch):
    """The rate of the section ``train``: a number, or a schedule that rises for some epochs and falls as a cosine."""
    if settings["schedule"] == "plateau":
        return settings["learning_rate"]
    warmup = settings["warmup_epochs"] * steps_per_epoch
    return keras.optimizers.schedules.CosineDecay(
        settings["learning_rate"] / 100 if warmup else settings["learning_rate"],
        settings["epochs"] * steps_per_epoch - warmup,
        warmup_target=settings["learning_rate"] if warmup else None,
        warmup_steps=warmup,
    )


def class_weights(labels, classes, kind):
    """What each class's images weigh in the loss: float32 (classes,).

    The paper gives small classes large weights (p. 81); its formula is unread. ``balanced`` is n / (classes * n_class),
    so that all classes weigh the same in sum; ``log`` is max(1, log(0.15 n / n_class)), which is often copied beside
    the notebook that the paper probably grew from; ``none`` is all ones.
    """
    if kind == "none":
        return np.ones(classes, np.float32)
    counts = np.maximum(np.bincount(labels, minlength=classes), 1)
    if kind == "log":
        return np.maximum(1, np.log(0.15 * len(labels) / counts)).astype(np.float32)
    return (len(labels) / (classes * counts)).astype(np.float32)


def prior_accuracy(labels):
    """The accuracy of always naming the largest class: float."""
    return float(np.bincount(labels).max() / len(labels))


def beats_prior(training, labels):
    """Whether a training beat naming the largest class on the validation part, by two standard errors.

    A network that did not is a failure to report, not a result to compare.
    """
    prior = prior_accuracy(labels)
    return bool(training.best_val_accuracy > prior + 2 * np.sqrt(prior * (1 - prior) / len(labels)))


def summarize(training, network, faces, params, dataset, seed):
    """What training.json says of a training: dict."""
    labels = faces.labels[faces.split == "validation"]
    return {
        "dataset": dataset,
        "model": network.name,
        "seed": seed,
        "trained": beats_prior(training, labels),
        "epochs_run": len(training.history),
        "best_epoch": training.best_epoch,
        "best_val_accuracy": training.best_val_accuracy,
        "train_accuracy": training.train_accuracy,
        "validation_accuracy": training.validation_accuracy,
        "prior_val_accuracy": prior_accuracy(labels),
        "n_train": int((faces.split == "train").sum()),
        "n_validation": len(labels),
        "parameters": network.count_params(),
        "trainable_parameters": int(sum(np.prod(v.shape) for v in network.trainable_variables)),
        "classes": list(faces.classes),
        "machine": training.machine,
        **params,
    }


def _accuracy(network, images, labels):
    return float((predict(network, images).argmax(axis=1) == labels).mean())
