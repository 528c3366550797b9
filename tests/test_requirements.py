"""The lock files hold what pyproject.toml asks for, with hashes and without an address."""

import re
import subprocess
import sys
import tomllib

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from fergit.core import paths

FILE = tomllib.loads((paths.ROOT / "pyproject.toml").read_text())
ALWAYS, EXTRAS = FILE["project"]["dependencies"], FILE["project"]["optional-dependencies"]
APP, CLUSTER = FILE["dependency-groups"]["app"], FILE["dependency-groups"]["cluster"]
DECLARED = {
    "requirements.txt": ALWAYS + EXTRAS["test"],
    "requirements-gpu.txt": ALWAYS + EXTRAS["test"] + EXTRAS["gpu"],
    "requirements-app.txt": APP,
    "requirements-cluster.txt": CLUSTER,
}


def pinned(name):
    """The versions in a lock file: several where they depend on the Python."""
    versions = {}
    for line in (paths.ROOT / name).read_text().splitlines():
        if match := re.match(r"([A-Za-z0-9._-]+)(?:\[.*?\])?==(\S+)", line):
            versions.setdefault(canonicalize_name(match[1]), []).append(match[2])
    return versions


@pytest.mark.parametrize("name", DECLARED)
def test_what_is_declared_is_locked(name):
    versions = pinned(name)
    for requirement in map(Requirement, DECLARED[name]):
        found = versions.get(canonicalize_name(requirement.name))
        assert found, f"{name} lacks {requirement.name}; `make lock`"
        assert all(requirement.specifier.contains(version) for version in found), f"{requirement}: {found}; `make lock`"


@pytest.mark.parametrize("name", DECLARED)
def test_every_pin_has_a_hash_and_no_address(name):
    text = (paths.ROOT / name).read_text()
    comment, *entries = re.split(r"\n(?=[A-Za-z0-9])", text)
    assert comment.startswith("#") and len(entries) >= len(DECLARED[name])
    assert all("--hash=sha256:" in entry for entry in entries)
    assert "://" not in text and "index-url" not in text.replace("--no-emit-index-url", "")


def test_the_lock_files_agree():
    plain, gpu, app, cluster = map(pinned, DECLARED)
    assert {name: gpu.get(name) for name in plain} == plain
    assert {name: plain.get(name) for name in app} == app
    both = cluster.keys() & plain
    assert len(both) >= 10 and {name: cluster[name] for name in both} == {name: plain[name] for name in both}


def test_the_app_needs_no_tensorflow():
    assert set(pinned("requirements-app.txt")) == {"numpy", "opencv-python-headless", "tornado"}


@pytest.mark.parametrize("version", [(2, 7, 18), (3, 10, 13), (3, 14, 0)])
def test_another_python_is_one_clear_line(tmp_path, version):
    """A stand-in for that Python: it runs what `make setup` asks it, as if it were of that version."""
    python, text = tmp_path / "python", ".".join(map(str, version))
    code = f"import sys; sys.version_info, sys.version = {version}, '{text} (main)'; exec(sys.argv[1])"
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" -c "{code}" "$2"\n')
    python.chmod(0o755)
    command = ["make", "setup", f"PYTHON={python}", f"VENV={tmp_path / 'venv'}"]
    done = subprocess.run(command, cwd=paths.ROOT, capture_output=True, text=True)
    said = f"Python 3.11 to 3.13 is needed, this is {text}; say which: make PYTHON=python3.11"
    assert done.returncode and said in done.stderr.splitlines() and not (tmp_path / "venv").exists()


def test_licences_of_all_direct_dependencies_are_listed():
    text = (paths.ROOT / "docs" / "dependencies.md").read_text()
    declared = ALWAYS + APP + CLUSTER + sum(EXTRAS.values(), [])
    for requirement in map(Requirement, declared):
        assert f"| {requirement.name} |" in text, requirement.name
