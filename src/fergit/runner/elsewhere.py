"""Trainings on another machine, such as one with a GPU, that may lack TensorFlow, DVC and the original data.

``python -m fergit.runner.elsewhere pack FOLDER NAME...`` writes what the pipeline (the name ``pipeline``) and studies
(theirs) have to train; ``... run FOLDER`` trains it there, as much as fits into some seconds. What it leaves in
``work/`` there, copied into ``work/`` here, is taken up by `dvc repro` as if it had been trained here.
"""

import argparse
import json
import multiprocessing
import os
import time
from dataclasses import asdict
from pathlib import Path

import numpy as np

from fergit.core import progress
from fergit.core.errors import FergitError
from fergit.core.faces import Faces
from fergit.core.files import write_arrays, write_json


def pack(folder, names):
    """Write the trainings of the pipeline and of studies, each once, in the order of `names`.

    Parameters
    ----------
    folder : Path
        Gets ``tasks.json``, ``<dataset>.npz`` (images and labels) and ``splits.npz``.
    names : sequence of str
        ``pipeline`` or a study.
    """
    from fergit.data import datasets
    from fergit.runner.studies import distinct_tasks

    tasks, splits, images = [], {}, {}
    for task, faces in distinct_tasks(names):
        if task.dataset not in images:
            images[task.dataset] = every = datasets.load(task.dataset)
            write_arrays(
                folder / f"{task.dataset}.npz",
                images=every.images,
                labels=every.labels,
                classes=np.array(every.classes),
            )
        split = json.dumps([task.dataset, task.split])
        if split not in splits:
            parts = dict(zip(faces.sample_id.tolist(), faces.split.tolist(), strict=True))
            splits[split] = np.array([parts.get(name, "") for name in images[task.dataset].sample_id.tolist()], "U10")
        tasks.append(asdict(task) | {"split": list(splits).index(split), "key": task.key(faces)})
    write_arrays(folder / "splits.npz", **{str(i): parts for i, parts in enumerate(splits.values())})
    write_json(folder / "tasks.json", tasks)


def run(folder, seconds, workers):
    """Train the tasks of a folder in order, so many at once; after so many seconds, whatever runs is stopped.

    A second call goes on where the first one was stopped.

    Returns
    -------
    int
        How many tasks are not done.
    """
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # or the first takes the whole GPU
    context = multiprocessing.get_context("spawn")
    claimed, done = context.Value("i", 0), context.Value("i", 0)
    deadline = None if seconds is None else time.monotonic() + seconds
    processes = [context.Process(target=_work, args=(folder, claimed, done), daemon=True) for _ in range(workers)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(None if deadline is None else max(0, deadline - time.monotonic()))
    for process in processes:
        process.kill()
    return len(json.loads((folder / "tasks.json").read_text())) - done.value


def _work(folder, claimed, done):
    from fergit.runner.task import Task

    tasks = json.loads((folder / "tasks.json").read_text())
    while True:
        with claimed.get_lock():
            number = claimed.value
            claimed.value += 1
        if number >= len(tasks):
            return
        key, task = tasks[number].pop("key"), Task(**tasks[number])
        title = f"{number + 1} of {len(tasks)}: {task.title}"
        begin = time.monotonic()
        try:
            faces = _faces(folder, task)
            if task.key(faces) != key:
                raise FergitError("the code here is not that which packed the task, or its images differ")
            outcome = task.train(faces)
        except Exception as error:  # the others go on
            progress.line(f"{title} | failed: {type(error).__name__}: {error}")
            continue
        right = outcome.probabilities["validation"].argmax(axis=1) == faces.labels[faces.split == "validation"]
        with done.get_lock():
            done.value += 1
        took = time.monotonic() - begin
        progress.line(f"{title} | done in {took:.0f} s | validation accuracy {right.mean():.4f} | {os.getpid()}")


def _faces(folder, task):
    """The images of a task, in its split."""
    with np.load(folder / f"{task.dataset}.npz") as arrays, np.load(folder / "splits.npz") as splits:
        images, labels, classes = arrays["images"], arrays["labels"], arrays["classes"]
        split = splits[str(task["split"])]
    none = np.full(len(images), "")
    names = np.arange(len(images)).astype(str)
    faces = Faces(images, labels, tuple(classes.tolist()), none, none, names, split)
    return faces.take(split != "")


def main():
    parser = argparse.ArgumentParser(prog="python -m fergit.runner.elsewhere", description=__doc__.split("\n\n")[0])
    commands = parser.add_subparsers(required=True)
    packing = commands.add_parser("pack", help="write what is to be trained")
    packing.add_argument("folder", type=Path)
    packing.add_argument("names", nargs="+", help="pipeline, or a study of studies/params.yaml")
    packing.set_defaults(command=lambda given: pack(given.folder, given.names))
    running = commands.add_parser("run", help="train it")
    running.add_argument("folder", type=Path)
    running.add_argument("--seconds", type=float, help="then what runs is stopped; it goes on at the next call")
    running.add_argument("--workers", type=int, default=1, help="how many trainings at once, on one device")
    running.set_defaults(command=lambda given: run(given.folder, given.seconds, given.workers))
    given = parser.parse_args()
    if left := given.command(given):
        raise SystemExit(f"error: {left} of the trainings are not done; the same command goes on with them")


if __name__ == "__main__":
    main()
