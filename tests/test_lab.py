"""`make lab`: JupyterLab is reached from this machine alone, and only by who has its token."""

import json
import os
import re
import shlex
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import psutil
import pytest

from fergit.core import paths

pytestmark = pytest.mark.corners  # it takes as long as JupyterLab to start


def lab_command():
    """What `make lab` runs, less the environment that it would set up first."""
    recipe = subprocess.run(["make", "-n", "lab", "VENV=nowhere"], cwd=paths.ROOT, capture_output=True, text=True)
    [line] = [line for line in recipe.stdout.splitlines() if "jupyter lab" in line]
    program, *arguments = shlex.split(line)
    assert program.endswith("bin/jupyter")
    return [sys.executable, "-m", "jupyter", *arguments]


def test_root_alone_is_allowed_as_root(monkeypatch, tmp_path):
    for user in ("0", "1000"):
        (tmp_path / "id").write_text(f"#!/bin/sh\necho {user}\n")
        (tmp_path / "id").chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
        assert ("--allow-root" in lab_command()) == (user == "0")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def lab(tmp_path):
    """The command running: its port, its token and its process."""
    home = tmp_path / "home"
    env = {name: value for name, value in os.environ.items() if not name.startswith("JUPYTER")}
    port = free_port()
    process = subprocess.Popen(
        [*lab_command(), "--no-browser", f"--port={port}"],
        cwd=paths.ROOT,
        env=env | {"HOME": str(home), "XDG_RUNTIME_DIR": str(home), "JUPYTER_RUNTIME_DIR": str(home / "runtime")},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        end = time.monotonic() + 120
        while not (found := list((home / "runtime").glob("jpserver-*.json"))):
            assert process.poll() is None and time.monotonic() < end, "JupyterLab did not start"
            time.sleep(0.2)
        yield port, json.loads(found[0].read_text())["token"], process
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def status(port, token=None):
    request = urllib.request.Request(f"http://127.0.0.1:{port}/api/contents")
    if token:
        request.add_header("Authorization", f"token {token}")
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    end = time.monotonic() + 60
    while True:
        try:
            with opener.open(request, timeout=30) as answer:
                return answer.status
        except urllib.error.HTTPError as refused:
            return refused.code
        except urllib.error.URLError:  # it has told its token, but does not listen yet
            assert time.monotonic() < end
            time.sleep(0.2)


def test_only_this_machine_and_only_with_the_token(lab):
    port, token, process = lab
    assert re.fullmatch("[0-9a-f]{48}", token)
    assert status(port) == 403 and status(port, "0" * 48) == 403
    assert status(port, token) == 200
    processes = [process, *psutil.Process(process.pid).children(recursive=True)]
    listening = {
        connection.laddr.ip
        for one in processes
        for connection in psutil.Process(one.pid).net_connections()
        if connection.status == psutil.CONN_LISTEN
    }
    assert listening == {"127.0.0.1"}
    for notebook in Path(paths.NOTEBOOKS).rglob("*"):
        assert not notebook.is_file() or token.encode() not in notebook.read_bytes()
