"""The environment that make builds: when it refuses to, and which checkout's code its Python finds."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from fergit.core import paths

WHERE = "from fergit.core import paths; print(paths.ROOT)"


def make(folder, *arguments):
    return subprocess.run(["make", *arguments], cwd=folder, env=bare(), capture_output=True, text=True)


def bare(**changes):
    inherited = ("PYTHONPATH", "MAKEFLAGS", "MAKELEVEL", "MFLAGS")  # the last three of the make that runs the tests
    return {name: value for name, value in os.environ.items() if name not in inherited} | changes


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """A folder with what `make setup` and a notebook need, and no environment."""
    folder = tmp_path_factory.mktemp("make") / "checkout"
    shutil.copytree(paths.ROOT / "src", folder / "src", ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "notebooks").mkdir()
    for name in ("Makefile", *(path.name for path in paths.ROOT.glob("requirements*.txt"))):
        shutil.copy(paths.ROOT / name, folder)
    return folder


@pytest.fixture(scope="module")
def finished(checkout):
    """A copy of it with a finished environment: this one's packages, seen through another's Python."""
    checkout = Path(shutil.copytree(checkout, checkout.parent / "finished"))
    (checkout / ".git").mkdir()
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", ".venv"], cwd=checkout, check=True)
    [packages] = (checkout / ".venv" / "lib").glob("python*/site-packages")
    own = [path for path in sys.path if path.endswith("site-packages")]
    (packages / "borrowed.pth").write_text("\n".join(own) + "\n")
    shutil.copy(checkout / "requirements.txt", checkout / ".venv")
    done = make(checkout, "setup")
    assert done.returncode == 0 and not done.stdout, done.stdout + done.stderr
    return checkout


def test_an_unpacked_download_is_told_so_before_anything_is_installed(checkout):
    done = make(checkout, "repro")
    assert done.returncode and not (checkout / ".venv").exists()
    assert done.stdout.startswith("error: this folder is no Git repository") and done.stdout.count("\n") == 1


@pytest.mark.parametrize(
    ("asked", "locks"),
    [
        ((), ["requirements"]),
        (("CLUSTER=1",), ["requirements", "requirements-cluster"]),
        (("GPU=1", "CLUSTER=1"), ["requirements-gpu", "requirements-cluster"]),
    ],
)
def test_ray_comes_on_top_of_what_is_asked_for(checkout, asked, locks):
    done = make(checkout, "--dry-run", "setup", *asked)
    assert re.findall(r"--require-hashes --requirement (\S+)\.txt", done.stdout) == locks, done.stdout


def test_a_link_to_a_finished_environment_is_used_and_never_installed_into(finished):
    twin = finished.parent / "twin"  # without its own environment
    shutil.copytree(finished, twin, ignore=shutil.ignore_patterns(".venv"))
    (twin / ".venv").symlink_to("../finished/.venv")
    os.utime(twin / "requirements.txt")  # a fresh clone's is newer than any environment
    assert make(twin, "setup").returncode == 0
    done = make(twin, ".venv/requirements-app.txt")  # the whole environment has what the app needs
    assert done.returncode == 0 and not done.stdout + done.stderr
    with (twin / "requirements.txt").open("a") as file:
        file.write("# another\n")
    done = make(twin, "setup")
    assert done.returncode and done.stdout.startswith("error: .venv is a link") and done.stdout.count("\n") == 1


def test_the_package_is_found_wherever_in_the_checkout_one_starts(finished, tmp_path):
    python = finished / ".venv" / "bin" / "python"
    for folder in (finished, finished / "notebooks", finished / "src" / "fergit" / "core"):
        done = subprocess.run([python, "-c", WHERE], cwd=folder, env=bare(), capture_output=True, text=True)
        assert done.stdout == f"{finished}\n", done.stderr
    done = subprocess.run([python, "-c", WHERE], cwd=tmp_path, env=bare(), capture_output=True, text=True)
    assert "ModuleNotFoundError" in done.stderr


def test_another_checkout_that_shares_the_environment_runs_its_own_code(finished, tmp_path):
    """As a queued experiment does, whose checkout lies within the one that queued it."""
    python, other = finished / ".venv" / "bin" / "python", finished / ".dvc" / "tmp" / "exps" / "other"
    shutil.copytree(finished / "src", other / "src")
    (other / "src" / "where.py").write_text(WHERE)
    for folder in (finished, finished / "notebooks", other, tmp_path):
        script = subprocess.run([python, other / "src" / "where.py"], cwd=folder, env=bare(), capture_output=True)
        kernel = subprocess.run(
            [python, "-c", WHERE], cwd=folder, env=bare(PYTHONPATH=str(other / "src")), capture_output=True
        )
        assert script.stdout.decode() == kernel.stdout.decode() == f"{other}\n"
    done = subprocess.run([python, "-c", WHERE], cwd=other, env=bare(), capture_output=True, text=True)
    assert done.stdout == f"{other}\n"


def test_plain_papermill_finds_the_package(finished):
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(WHERE)])
    notebook.metadata["kernelspec"] = {"display_name": "Python 3", "language": "python", "name": "python3"}
    nbformat.write(notebook, finished / "notebooks" / "n.ipynb")
    command = [finished / ".venv" / "bin" / "python", "-m", "papermill", "notebooks/n.ipynb", "out.ipynb"]
    env = bare(JUPYTER_PREFER_ENV_PATH="1", HOME=str(finished))
    done = subprocess.run(command, cwd=finished, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    [cell] = nbformat.read(finished / "out.ipynb", as_version=4).cells
    assert Path(cell.outputs[0].text.strip()) == finished


def test_containers_type_readmes_own_command():
    """No Docker is needed to see that they do; building the images is not tested."""
    docker = (paths.ROOT / "Dockerfile").read_text(encoding="utf-8")
    container = json.loads((paths.ROOT / ".devcontainer" / "devcontainer.json").read_text(encoding="utf-8"))
    readme = (paths.ROOT / "README.md").read_text(encoding="utf-8")
    command = re.search("```\n(make .*)\n```", readme)[1]
    assert f"\nRUN {command}\n" in docker and container["postCreateCommand"] == command
    assert (paths.ROOT / ".devcontainer" / container["build"]["dockerfile"]).samefile(paths.ROOT / "Dockerfile")
    assert f" AS {container['build']['target']}\n" in docker
    copied = re.search("COPY (.*) ./\n", docker)[1].split()
    assert all((paths.ROOT / name).is_file() for name in copied)
