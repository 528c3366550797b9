"""Studies: many trainings that differ in one value of params.yaml, defined in ``studies/params.yaml``.

A training of a study is the pipeline's own: what params.yaml holds too gives the same predictions. It keeps the
pipeline's checkpoints: a study that was interrupted goes on where it was, and none trains what is trained already.
"""

import itertools
import json
import os
from dataclasses import replace

import pandas as pd

from fergit.core import paths, progress
from fergit.core.files import keep_newest, write_json, write_table
from fergit.core.params import stage_params
from fergit.data import datasets
from fergit.runner import cluster
from fergit.runner.schema import TRAINING, load_params
from fergit.runner.task import Task
from fergit.runner.variants import load_study

KEYS = ("variant", "network", "seed")  # of a training, first in every table


def distinct_tasks(names):
    """The trainings of the pipeline (the name ``pipeline``) and of studies, each once: Task and Faces, in its split."""
    dealt, seen = {}, []
    for task in (task for name in names for task in (pipeline_tasks() if name == "pipeline" else study_tasks(name))):
        if (one := replace(task, variant="")) not in seen:
            seen.append(one)
            split = json.dumps([task.dataset, task.split])
            if split not in dealt:
                dealt[split] = datasets.preprocess(task.dataset, {"split": task.split})
            yield task, dealt[split]


def pipeline_tasks():
    """The trainings that params.yaml asks for: list of Task."""
    params = load_params()
    several = itertools.product(params["datasets"], params["models"], params["seeds"])
    return [_task("", params, *one) for one in several]


def study_tasks(name):
    """The trainings of a study, in its order: list of Task. Raises as `load_study`."""
    study, variants = load_study(name)
    several = itertools.product(variants.items(), study["models"], study["seeds"])
    return [_task(variant, params, study["dataset"], model, seed) for (variant, params), model, seed in several]


def run(name):
    """Train and test whatever a study asks for.

    Writes predictions.csv (a row for each training and image of validation and test), trainings.csv (a row for each
    training) and history.csv (a row for each epoch) to ``results/studies/<name>/``, and what it cost to
    ``runs/studies/``.
    """
    from fergit.engine.trained import outcome_tables  # not above: it takes seconds to load Keras

    if os.environ.get("RAY_ADDRESS"):
        cluster.run([name])  # what it leaves in work/ is taken up here
    tables, runs, split = {"predictions": {}, "trainings": {}, "history": {}}, [], None
    tasks = study_tasks(name)
    for task in tasks:
        if task.split != split:
            split, faces = task.split, datasets.preprocess(task.dataset, {"split": task.split})
        progress.line(f"study {name} | {task.variant} | {task.model} | seed {task.seed}")
        outcome = task.train(faces)
        runs.append({"seconds": round(outcome.training.seconds, 1)} | outcome.training.machine)
        for kind, table in outcome_tables(outcome, faces).items():
            tables[kind][task.variant, task.model, task.seed] = table
    folder = paths.study(name)
    for kind, several in tables.items():
        write_table(folder / f"{kind}.csv", pd.concat(several, names=KEYS).reset_index(KEYS))
    write_json(paths.RUNS / "studies" / f"{name}.json", runs)
    for task in tasks:
        keep_newest(paths.checkpoints(task.dataset, task.model, task.seed), paths.CHECKPOINTS_KEPT)


def _task(variant, params, dataset, model, seed):
    merged = stage_params("train", params, dataset=dataset)
    settings = {section: merged[section] for section in (*TRAINING, "predict")}
    return Task(variant, dataset, model, seed, params[dataset]["split"], settings)
