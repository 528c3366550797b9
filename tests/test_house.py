"""The house: which room may import which, and that DVC watches for each stage just the rooms that decide its result."""

import ast
import re
from functools import cache

import nbformat
import pytest
from clone import Clone

from fergit.core import paths
from fergit.core.params import read

SOURCE = paths.ROOT / "src"
MODULES = {".".join(file.relative_to(SOURCE).with_suffix("").parts): file for file in SOURCE.rglob("*.py")}
MAY_IMPORT = {
    "core": (),
    "paper": (),
    "data": ("core",),
    "engine": ("core",),
    "analysis": ("core", "paper"),
    "pages": ("core", "paper", "analysis"),
    "runner": ("core", "data", "engine"),
    "use": ("core", "paper", "data", "engine", "analysis", "pages"),
}
EXCEPTIONS = {"fergit.analysis.gradcam": ("engine",)}  # it explains a network
# runner/ and run.py only carry a stage out: they hand parameters, which DVC tracks, to a notebook or a function. So a
# change there is no reason to train again. The stage `check` alone is about runner itself.
CARRIES_OUT = "runner"
STAGES = {
    f"{prefix}{name}": body.get("do", body)
    for prefix, file in (("", "dvc.yaml"), ("studies/", "studies/dvc.yaml"))
    for name, body in read(paths.ROOT / file)["stages"].items()
}


def room(module):
    return module.split(".")[1]


def imported(tree):
    """The modules of ours that some code imports, wherever it does."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
            found.add(node.module)
    return {module for module in found if module in MODULES and module.count(".") == 2}


@cache
def imports_of(module):
    return imported(ast.parse(MODULES[module].read_text(encoding="utf-8")))


def reached(modules):
    """All modules that these import, and these import, and so on."""
    found, todo = set(), set(modules)
    while todo:
        found |= todo
        todo = {other for module in todo for other in imports_of(module)} - found
    return found


@pytest.mark.parametrize("name", sorted(name for name in MODULES if name.startswith("fergit.")))
def test_a_room_imports_only_what_it_may(name):
    if name.endswith("__init__"):
        assert not imported(ast.parse(MODULES[name].read_text(encoding="utf-8")))
        return
    assert name.count(".") == 2, "every module lies in a room"
    allowed = {room(name), *MAY_IMPORT[room(name)], *EXCEPTIONS.get(name, ())}
    assert {room(other) for other in imports_of(name)} <= allowed


def test_pages_are_drawn_without_keras():
    pages = [name for name in MODULES if re.fullmatch(r"fergit\.pages\.(?!__init__)\w+", name)]
    assert "engine" not in {room(name) for name in reached(pages)}


def test_every_room_says_what_belongs_there():
    for name in MAY_IMPORT:
        text = ast.get_docstring(ast.parse((SOURCE / "fergit" / name / "__init__.py").read_text(encoding="utf-8")))
        assert text and len(re.findall(r"[.:] |[.]$", text, re.M)) >= 2, name


def test_no_module_is_longer_than_300_lines():
    lengths = {str(file.relative_to(SOURCE)): len(file.read_text("utf-8").splitlines()) for file in MODULES.values()}
    assert not {name: length for name, length in lengths.items() if length > 300}


def stages_code(stage):
    """What a stage runs, as syntax trees: its function in src/run.py, what that calls there, its notebook."""
    tree = ast.parse((SOURCE / "run.py").read_text(encoding="utf-8"))
    functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    todo, called = [re.match(r"python src/run.py (\S+)", STAGES[stage]["cmd"])[1].replace("-", "_")], {}
    while todo:
        name = todo.pop()
        called[name] = functions[name]
        names = {node.id for node in ast.walk(functions[name]) if isinstance(node, ast.Name)}
        todo += [other for other in names & functions.keys() if other not in called]
    texts = {node.value for body in called.values() for node in ast.walk(body) if isinstance(node, ast.Constant)}
    notebooks = [path for path in sorted(paths.NOTEBOOKS.glob("*.ipynb")) if path.stem in texts]
    cells = [
        ast.parse(cell.source)
        for path in notebooks
        for cell in nbformat.read(path, as_version=4).cells
        if cell.cell_type == "code"
    ]
    top = [node for node in tree.body if not isinstance(node, ast.FunctionDef)]
    return [*top, *called.values(), *cells], notebooks


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_depends_on_the_rooms_that_it_reaches_and_on_no_other(stage):
    code, notebooks = stages_code(stage)
    rooms = {room(module) for module in reached(module for tree in code for module in imported(tree))}
    if stage != "check":
        rooms -= {CARRIES_OUT}
    read = [f"notebooks/{path.name}" for path in notebooks]
    for path in notebooks:  # a table beside its notebook, if the notebook names it
        text = path.read_text(encoding="utf-8")
        read += [f"notebooks/{table.name}" for table in paths.NOTEBOOKS.glob("*.csv") if table.name in text]
    watched = [dep for dep in STAGES[stage]["deps"] if dep.startswith(("src/", "notebooks/"))]
    assert sorted(watched) == sorted([*read, *(f"src/fergit/{name}" for name in rooms)])


PRETEND = """
from pathlib import Path
from dvc.repo import Repo

repo = Repo()
stages = repo.index.stages
for item in [*(out for stage in stages for out in stage.outs), *(dep for stage in stages for dep in stage.deps)]:
    path = Path(item.fs_path)
    if not path.exists():
        file = path if path.suffix else path / "file"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(path.name)
repo.commit(force=True)
"""


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A clone in which every stage has run, the studies' too: its results are made up."""
    clone = Clone(tmp_path_factory.mktemp("finished") / "clone")
    done = clone.run("python", "-c", PRETEND)
    assert done.returncode == 0, done.stderr
    clone.commit()
    return clone


def would_run(clone):
    done = clone.run("dvc", "repro", "--dry", "--all-pipelines")
    assert done.returncode == 0, done.stdout + done.stderr
    return {name.removeprefix("studies/dvc.yaml:") for name in re.findall(r"Running stage '([^']+)'", done.stdout)}


def change(clone, *rooms):
    """One more sentence in every module of these rooms."""
    for name in rooms:
        for file in (clone.root / "src" / "fergit" / name).glob("*.py"):
            file.write_text(file.read_text(encoding="utf-8") + "# One more sentence.\n", encoding="utf-8")


def test_what_runs_again_after_a_change(finished):
    assert would_run(finished) == set()

    cache = finished.root / "src" / "fergit" / "engine" / "__pycache__"
    cache.mkdir(exist_ok=True)
    (cache / "network.cpython-311.pyc").write_bytes(b"compiled")
    assert would_run(finished) == set()

    change(finished, "pages", "analysis", "use", "paper", "runner")
    kinds = {name.split("@")[0] for name in would_run(finished)}
    assert "evaluate" in kinds and "report" in kinds and not kinds & {"train", "predict", "fetch"}

    finished.git("checkout", "src")
    change(finished, "engine")
    everything = {name for name in would_run(finished) if name.split("@")[0] in ("train", "predict")}
    params, studies = (read(finished.root / name) for name in ("params.yaml", "studies/params.yaml"))
    pairs = [(dataset, model) for dataset in params["datasets"] for model in params["models"]]
    assert everything == {
        *(f"train@{dataset}-{model}-{seed}" for dataset, model in pairs for seed in params["seeds"]),
        *(f"predict@{dataset}-{model}" for dataset, model in pairs),
        *(f"train@{name}" for name in studies["studies"]),
    }


def test_every_test_that_reliability_names_is_there():
    named = re.findall(r"`((?:test_|torture)\w*(?:\.py)?)`", (paths.ROOT / "docs/reliability.md").read_text("utf-8"))
    files = {file.name: file.read_text(encoding="utf-8") for file in (paths.ROOT / "tests").rglob("*.py")}
    whole = "\n".join(files.values())
    assert len(named) > 50
    assert not [name for name in named if name not in files and f"def {name}(" not in whole]
