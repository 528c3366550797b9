"""Trainings on another machine, such as one with a GPU, that may lack TensorFlow, DVC and the original data.

``python -m fergit.runner.elsewhere pack FOLDER NAME...`` writes what the pipeline (the name ``pipeline``) and studies
(theirs) have to train; ``... run FOLDER`` trains it there, as much as fits into some seconds. What it leaves in
``work/`` there, copied into ``work/`` here, is taken up by `dvc repro` as if it had been trained here.
"""

import argparse
import multiprocessing
import os
import pickle
import time
from pathlib import Path

from fergit.core import paths, progress
from fergit.core.errors import FergitError
from fergit.core.files import write_atomically
from fergit.runner.command import one_line, reason


def pack(folder, names):
    """Write the trainings of ``pipeline`` and studies, each once, in the order of `names`, to ``tasks.pickle``.

    It holds the Faces of each data set once, and (Task, its parts of them, key) for each training.
    """
    from fergit.data import datasets
    from fergit.runner.studies import distinct_tasks

    tasks, images = [], {}
    for task, faces in distinct_tasks(names):
        if task.dataset not in images:
            images[task.dataset] = datasets.load(task.dataset)
        parts = dict(zip(faces.sample_id.tolist(), faces.split.tolist(), strict=True))
        split = [parts.get(name, "") for name in images[task.dataset].sample_id.tolist()]
        tasks.append((task, split, task.key(faces)))
    with write_atomically(folder / "tasks.pickle") as file:
        pickle.dump((images, tasks), file)


def run(folder, seconds, workers):
    """Train the tasks of a folder in order, so many at once; after so many seconds, whatever runs is stopped.

    A second call goes on where the first one was stopped. Returns how many tasks are not done.
    """
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # or the first takes the whole GPU
    context = multiprocessing.get_context("spawn")
    claimed, left = context.Value("i", 0), context.Value("i", len(_read(folder)[1]))
    deadline = None if seconds is None else time.monotonic() + seconds
    processes = [context.Process(target=_work, args=(folder, claimed, left), daemon=True) for _ in range(workers)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(None if deadline is None else max(0, deadline - time.monotonic()))
    for process in processes:
        process.kill()
        process.join()
        for partial in paths.WORK.glob(f"*/*/.*.{process.pid}.partial"):
            partial.unlink(missing_ok=True)  # it was writing when it was stopped
    return left.get_obj().value  # without the lock, which a process that was killed may hold


def _read(folder):
    file = folder / "tasks.pickle"
    try:
        return pickle.loads(file.read_bytes())
    except (OSError, EOFError, pickle.UnpicklingError, ValueError, LookupError, ImportError, AttributeError) as error:
        raise FergitError(f"{file}: not what `pack` wrote ({error}); copy it again") from None


def _work(folder, claimed, left):
    images, tasks = _read(folder)
    while True:
        with claimed.get_lock():
            number = claimed.value
            claimed.value += 1
        if number >= len(tasks):
            return
        task, split, key = tasks[number]
        title, begin = f"{number + 1} of {len(tasks)}: {task.title}", time.monotonic()
        try:
            faces = images[task.dataset].with_split(split)
            faces = faces.take(faces.split != "")
            if task.key(faces) != key:
                raise FergitError("the task was packed by other code than is here, or with other images")
            outcome = task.train(faces)
        except Exception as error:  # the others go on
            progress.line(f"{title} | failed: {reason(type(error).__name__, str(error))}")
            continue
        right = outcome.probabilities["validation"].argmax(axis=1) == faces.labels[faces.split == "validation"]
        with left.get_lock():
            left.value -= 1
        took = time.monotonic() - begin
        progress.line(f"{title} | done in {took:.0f} s | validation accuracy {right.mean():.4f}")


def main():
    parser = argparse.ArgumentParser(prog="python -m fergit.runner.elsewhere", description=__doc__.split("\n\n")[0])
    commands = parser.add_subparsers(required=True)
    packing = commands.add_parser("pack", help="write what is to be trained")
    packing.add_argument("folder", type=Path)
    packing.add_argument("names", nargs="+", help="pipeline, or a study of studies/params.yaml")
    packing.set_defaults(command=lambda given: pack(given.folder, given.names))
    running = commands.add_parser("run", help="train it")
    running.add_argument("folder", type=Path)
    running.add_argument("--seconds", type=float, help="stop after so many seconds; the next call continues")
    running.add_argument("--workers", type=int, default=1, help="how many trainings at once, on one device")
    running.set_defaults(command=lambda given: run(given.folder, given.seconds, given.workers))
    given = parser.parse_args()
    with one_line("interrupted; the same command goes on where it was"):
        if left := given.command(given):
            raise FergitError(f"{left} of the trainings are not done; the same command goes on with them")


if __name__ == "__main__":
    main()
