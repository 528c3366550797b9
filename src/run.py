"""Run one stage of the pipeline; dvc.yaml calls this, and so may you: ``python src/run.py train synthetic residual 0``.

A stage gets just the keys of params.yaml that dvc.yaml lists for it.
"""

import argparse
import functools
import inspect
import sys

try:
    from fergit.core import paths
    from fergit.core.errors import FergitError
    from fergit.core.files import keep_newest, write_text
    from fergit.core.params import stage_params, tracked_params
    from fergit.runner import schema, variants
    from fergit.runner.command import one_line
except ModuleNotFoundError as missing:
    raise SystemExit(
        f"error: this Python ({sys.executable}) has no package {missing.name}; use the project's environment: "
        "`source .venv/bin/activate`, after `make setup`"
    ) from None
except KeyboardInterrupt:
    sys.exit(130)


def check():
    """Check params.yaml and studies/params.yaml."""
    variants.check_studies()
    params = load_params()
    for name in params["datasets"]:
        changed = [f"{section}.{key}" for section, values in params[name]["overrides"].items() for key in values]
        if changed:
            print(f"note: {name} has its own {', '.join(changed)}; change these in its block of params.yaml")
        asked = {(model, f"seed-{seed}") for model in params["models"] for seed in params["seeds"]}
        trained = paths.results(name).glob("*/02-train/seed-*/")
        left = sorted(paths.relative(one) for one in trained if (one.parts[-3], one.name) not in asked)
        if left:
            names = ", ".join(left)
            print(f"note: results of models or seeds that params.yaml does not name, left out of the report: {names}")
    # The same bytes each time: what depends on it runs after this stage, but not again because of it.
    write_text(paths.WORK / "params-are-valid", "yes\n")


def fetch(dataset):
    """Find, draw or download a data set's files and verify them."""
    from fergit.data import sources

    sources.fetch(dataset, stage_params("fetch", _params("fetch", dataset=dataset), dataset=dataset))


def reconstruction():
    """Derive the networks' layout from the paper."""
    _notebook("reconstruction", "00-reconstruction", paths.results("reconstruction"))


def preprocess(dataset):
    """Make a data set's images, labels and parts."""
    _notebook("preprocess", "01-preprocess", paths.results(dataset), dataset=dataset)


def train(dataset, model, seed):
    """Train one network with one seed."""
    folder = paths.results(dataset, model, seed)
    _notebook("train", "02-train", folder, dataset=dataset, model=model, seed=seed)
    # The newest stay, a study's among them: should results be lost or touched, they come back without training.
    keep_newest(paths.checkpoints(dataset, model, seed), paths.CHECKPOINTS_KEPT)


def predict(dataset, model):
    """Predict the validation and test images with all seeds of a network."""
    from fergit.runner.execute import set_environment

    params = _params("predict", dataset=dataset, model=model)
    set_environment()  # before Keras is imported
    from fergit.engine import trained

    trained.predict_heldout(dataset, model, params)


def evaluate(dataset, model):
    """Evaluate a network, all its seeds, on the test set."""
    _notebook("evaluate", "03-evaluate", paths.results(dataset, model), dataset=dataset, model=model)


def report(dataset):
    """Compare the networks and check the paper's claims."""
    _notebook("report", "04-report", paths.report(dataset), dataset=dataset)


def study(name):
    """Train and test what a study of studies/params.yaml asks for."""
    from fergit.runner import studies
    from fergit.runner.execute import set_environment

    set_environment()
    studies.run(name)


def cluster(names):
    """Train the runs of the pipeline or of studies on a Ray cluster; `dvc repro` then reuses them."""
    from fergit.runner import cluster
    from fergit.runner.execute import set_environment

    set_environment()
    cluster.run(names)


def study_report(name):
    """Say what a study found."""
    from fergit.runner.variants import load_study

    load_study(name)  # or one line says that there is none of this name
    _notebook("studies/dvc.yaml:report", "05-study", paths.study(name), name=name)


def leaks(dataset):
    """Measure what copies, sources and labels do to the accuracy."""
    _notebook("studies/dvc.yaml:leaks", "06-leaks", paths.leaks(dataset), dataset=dataset)


def gradcam(dataset):
    """Show which parts of the face the residual network's labels come from."""
    _notebook("studies/dvc.yaml:gradcam", "08-gradcam", paths.gradcam(dataset), dataset=dataset, model="residual")


def ship(dataset, model, seed):
    """Write a trained network as models/<dataset>-<model>.npz and .onnx."""
    from fergit.runner.execute import set_environment
    from fergit.use import shipped

    set_environment()
    stem, training = shipped.ship(dataset, model, seed)
    print(
        f"wrote {paths.relative(stem)}.npz and .onnx; `python src/predict.py --network {stem.name} photo.jpg` uses it"
    )
    if not training["trained"]:
        print("note: this network did not learn: on validation it hardly beats the majority class", file=sys.stderr)


def card(dataset, model):
    """Measure a shipped network: each class, rounding, worse images; its card in models/README.md."""
    from fergit.use import card

    _notebook("studies/dvc.yaml:card", "09-card", card.folder(dataset, model), dataset=dataset, model=model)


def pages():
    """Fill README.md, REPLICATION.md and docs/ in from docs/templates, and models/README.md's card."""
    from fergit.pages import documents
    from fergit.use import card

    load_params()  # what is wrong in params.yaml is said before a page is filled in
    text = card.text()  # first: if it cannot be made, no page is written
    for name in documents.write():
        print(f"wrote {name}")
    write_text(card.README, text)


def site():
    """Write all pages and executed notebooks as a website that needs no network."""
    from fergit.use import site

    for note in site.build(paths.WORK / "site"):
        print(f"note: {note}", file=sys.stderr)
    print(f"open {paths.relative(paths.WORK / 'site' / 'index.html')} in a browser")


def _notebook(stage, notebook, folder, **items):
    from fergit.runner.execute import execute_notebook

    execute_notebook(notebook, folder / f"{notebook}.ipynb", items | {"params": _params(stage, **items)})


load_params = functools.cache(schema.load_params)  # read and checked once


def _params(stage, **items):
    """What dvc.yaml lists for a stage, once all of params.yaml is known to be valid."""
    values = load_params()
    if items.get("seed", values["seeds"][0]) not in (seeds := values["seeds"]):
        raise FergitError(f"seed is {items['seed']}; allowed: those of params.yaml, {', '.join(map(str, seeds))}")
    return tracked_params(stage, {paths.PARAMS: values}, **items)


STAGES = [check, reconstruction, fetch, preprocess, train, predict, evaluate, report, study, cluster, study_report]
STAGES += [leaks, gradcam, ship, card, pages, site]


def known_dataset(name):
    if name not in (known := schema.datasets(load_params())):
        raise argparse.ArgumentTypeError(f"invalid choice: {name!r} (params.yaml has {', '.join(known)})")
    return name


ARGUMENTS = {
    "dataset": {"type": known_dataset, "help": "one that has a block in params.yaml, such as synthetic or ckplus"},
    "model": {"choices": schema.Network.__args__, "help": f"the network: {' or '.join(schema.Network.__args__)}"},
    "seed": {"type": int, "help": "a whole number, the seed of a training"},
    "names": {"nargs": "+", "help": "pipeline, or studies of studies/params.yaml"},
    "name": {"help": "of a study in studies/params.yaml"},
}


def parser():
    explained = "\n".join(f"  {name.upper():8} {argument['help']}" for name, argument in ARGUMENTS.items())
    parser = argparse.ArgumentParser(
        description="Run one stage of the pipeline, as dvc.yaml does.",
        epilog=f"arguments:\n{explained}\n\nexample: python src/run.py train synthetic residual 0",
        formatter_class=lambda prog: argparse.RawDescriptionHelpFormatter(prog, max_help_position=20),
    )
    stages = parser.add_subparsers(title="stages", required=True, metavar="stage", help="its arguments: what it does")
    for stage in STAGES:
        description = stage.__doc__[0].lower() + stage.__doc__[1:-1]
        names = list(inspect.signature(stage).parameters)
        takes = f"{' '.join(names).upper()}: " if names else ""
        own = stages.add_parser(stage.__name__.replace("_", "-"), help=takes + description, description=description)
        own.set_defaults(stage=stage)
        for name in names:
            own.add_argument(name, metavar=name.upper(), **ARGUMENTS[name])
    return parser


def main():
    with one_line("interrupted; `dvc repro` goes on where it was"):
        items = vars(parser().parse_args())
        try:
            items.pop("stage")(**items)
        except FergitError as error:
            dataset = items.get("dataset")
            if "`dvc repro" not in str(error) or dataset is None or dataset in load_params()["datasets"]:
                raise
            raise FergitError(f"{error}, once params.yaml names {dataset} under `datasets`") from None


if __name__ == "__main__":
    main()
