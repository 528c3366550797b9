"""Trainings on a cluster: several Ray nodes on this machine, and what one of them does by itself."""

import contextlib
import fcntl
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import psutil
import pytest
from clone import Clone

from fergit.core import paths
from fergit.core.errors import FergitError
from fergit.core.files import write_arrays
from fergit.core.parallel import cores
from fergit.runner import cluster, studies
from fergit.runner.task import Task

STUDY = """studies:
  {name}:
    question: Do these trainings come out the same?
    dataset: synthetic
    models: [basic]
    seeds: [0, 1]
    set: {{train.epochs: 5}}
    vary: train.learning_rate
    values: {rates}
"""
FILES = ("predictions", "trainings", "history")


def test_a_node_with_other_packages_is_named():
    assert cluster._differences(cluster._versions()) is None
    other = cluster._versions() | {"numpy": "1.0", "keras": "2.0"}
    assert f"node {os.uname().nodename} has keras 3" in cluster._differences(other)
    assert "instead of 1.0; `make setup` there" in cluster._differences(other)


def test_two_trainings_of_a_machine_have_cores_of_their_own():
    code = (
        "import os, sys\nfrom fergit.runner.cluster import _cores\n"
        "with _cores(1):\n    print(os.sched_getaffinity(0), flush=True)\n    sys.stdin.read()\n"
    )
    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip("this machine has one core")
    env = os.environ | {"PYTHONPATH": str(paths.ROOT / "src")}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    several = [subprocess.Popen([sys.executable, "-c", code], env=env, **pipes) for _ in range(2)]
    first, second = (process.stdout.readline() for process in several)
    for process in several:
        process.communicate("")
    assert first != second and len(eval(first)) == len(eval(second)) == 1


def test_a_node_without_enough_free_cores_is_named(monkeypatch, tmp_path):
    """All taken, or more asked for than there are: fewer or more of them would give other bytes."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    several = os.sched_getaffinity(0)
    with contextlib.ExitStack() as taken:
        for core in several:
            lock = taken.enter_context(open(tmp_path / f"fergit-core-{core}-{os.getuid()}", "w"))
            fcntl.flock(lock, fcntl.LOCK_EX)
        for number in {1, len(several) + 1} - {len(several)}:
            with pytest.raises(FergitError, match=f"has no {number} free cores"), cluster._cores(number):
                pass
    assert os.sched_getaffinity(0) == several
    with cluster._cores(len(several)):  # all of them: Ray gives no other training a share
        assert os.sched_getaffinity(0) == several


def test_a_gpu_that_keras_does_not_see_is_refused(monkeypatch):
    from fergit.engine import backend

    monkeypatch.setattr(backend, "gpu", lambda: None)
    with pytest.raises(FergitError, match="has a GPU that tensorflow does not see; `make setup GPU=1` there"):
        cluster._work(None, None, "nowhere", cluster._versions(), None)


def test_a_finished_training_is_not_sent(monkeypatch, tmp_path):
    """The pipeline leaves its checkpoint alone: from that it is only predicted, here."""
    from bars import barred

    faces, done = barred(), []
    params = {"train": {"distribution": "none"}}
    tasks = [Task("", "synthetic", "basic", seed, {}, params) for seed in range(3)]
    monkeypatch.setattr(paths, "WORK", tmp_path)
    monkeypatch.setattr(studies, "distinct_tasks", lambda names: [(task, faces) for task in tasks])
    monkeypatch.setattr(Task, "train", lambda self, faces: done.append(self.seed))
    for task, stopped in zip(tasks, (True, False), strict=False):
        file = (
            paths.checkpoints("synthetic", "basic", task.seed) / f"{task.key(faces.take(faces.split != 'test'))}-1.npz"
        )
        write_arrays(file, state=np.array(json.dumps({"training": {"stopped": stopped}})))
    monkeypatch.setenv("RAY_ADDRESS", "nowhere")
    sent = []
    monkeypatch.setattr(cluster, "_train", lambda trainings, mark: sent.extend(task.seed for task, _ in trainings))
    monkeypatch.setattr(cluster, "ProcessPoolExecutor", lambda *_: ThreadPoolExecutor(1))
    cluster.run(["pipeline"])
    assert (done, sent) == ([0], [1, 2])


def test_without_an_address_it_says_so(monkeypatch):
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    with pytest.raises(FergitError, match="RAY_ADDRESS is not set; set it to .* or to local"):
        cluster.run(["pipeline"])


def test_a_cluster_without_ray_is_one_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(FergitError, match="Ray is not installed; `make setup CLUSTER=1` installs it"):
        cluster._connect()


def test_what_a_node_without_the_shared_folder_trained_comes_back(monkeypatch, tmp_path):
    """Its two files, as bytes; a node that has the folder leaves them there."""
    from bars import barred

    task = Task("", "synthetic", "basic", 0, {}, {"network": {}, "predict": {"mirror": False}})
    faces = barred()

    def train(self, faces):
        checkpoint = paths.checkpoints("synthetic", "basic", 0) / f"{self.key(faces.take(faces.split != 'test'))}-1.npz"
        for file, content in ((self.outcome(faces), b"outcome"), (checkpoint, b"checkpoint")):
            file.parent.mkdir(parents=True)
            file.write_bytes(content)

    monkeypatch.setattr(Task, "train", train)
    monkeypatch.setattr(paths, "WORK", tmp_path / "node")
    found = cluster._work(task, faces, str(tmp_path / "nowhere" / "mark"), cluster._versions(), cores())
    assert sorted(found.values()) == [b"checkpoint", b"outcome"]
    assert {name.split("/")[0] for name in found} == {"outcomes", "checkpoints"}
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared" / "mark").touch()
    assert cluster._work(task, faces, str(tmp_path / "shared" / "mark"), cluster._versions(), cores()) == {}
    assert sorted(file.relative_to(tmp_path / "shared").as_posix() for file in paths.WORK.rglob("*.npz")) == sorted(
        found
    )


# From here on with Ray: slow, for each training starts a process of its own.


@pytest.fixture
def several():
    """Four nodes."""
    with cluster_of(4) as nodes:
        yield nodes


@contextlib.contextmanager
def cluster_of(number, **settings):
    """So many nodes with all of this machine's cores each, beside a head that has none; `settings` are Ray's own."""
    pytest.importorskip("ray", reason="Ray is not installed: make setup CLUSTER=1")
    from ray.cluster_utils import Cluster

    nodes = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "_system_config": settings})
    for _ in range(number):
        nodes.add_node(num_cpus=len(os.sched_getaffinity(0)))
    try:
        yield nodes
    finally:
        with contextlib.suppress(Exception):
            nodes.shutdown()


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    clone = Clone(tmp_path_factory.mktemp("cluster") / "clone")
    clone.set(fetch__draw__images=400, synthetic__split__held_out=0.4)
    rates = {"eight": "[0.0004, 0.0007, 0.001, 0.0015]", "two": "[0.0005]"}
    studies = [STUDY.format(name=name, rates=several) for name, several in rates.items()]
    text = "".join([studies[0], *(study.removeprefix("studies:\n") for study in studies[1:])])
    (clone.root / "studies" / "params.yaml").write_text(text)
    assert clone.run("python", "src/run.py", "fetch", "synthetic").returncode == 0
    return clone


def start(clone, nodes, *command, **variables):
    """Start ``python src/run.py`` with the cluster's address, if any; what it says goes into a file, ``.log``."""
    log = clone.root / f"{command[-1]}.log"
    with log.open("w") as file:
        process = subprocess.Popen(
            [sys.executable, "src/run.py", *command],
            cwd=clone.root,
            env=clone._environment() | {"RAY_ADDRESS": nodes.address if nodes else ""} | variables,
            stdout=file,
            stderr=subprocess.STDOUT,
        )
    process.log = log
    return process


def said(process):
    """The exit status, and what it said."""
    return process.wait(1200), process.log.read_text()


def study(clone, name):
    return [(clone.root / f"results/studies/{name}/{kind}.csv").read_bytes() for kind in FILES]


def ray_nodes(nodes):
    """The nodes that the cluster's head knows."""
    code = "import ray, sys; ray.init(sys.argv[1]); print(sum(node['Alive'] for node in ray.nodes()))"
    done = subprocess.run([sys.executable, "-c", code, nodes.address], capture_output=True, text=True)
    return int(done.stdout or 0)


def wait_for(condition, seconds=600):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.2)


@pytest.mark.corners
def test_a_study_comes_out_the_same_while_a_node_is_killed(clone, several):
    status, text = said(start(clone, None, "study", "eight"))
    assert status == 0, text
    here = study(clone, "eight")
    clone.forget_checkpoints()

    process = start(clone, several, "study", "eight")
    trains = lambda: re.search(r"pid=(\d+).* epoch 2/5", process.log.read_text())  # noqa: E731
    wait_for(trains)
    worker = psutil.Process(int(trains()[1]))
    worker.parent().kill()  # the node of that training
    with contextlib.suppress(psutil.NoSuchProcess):
        worker.kill()
    status, text = said(process)
    assert status == 0, text
    assert study(clone, "eight") == here
    assert "[8 of 8]" in text
    assert re.search(r"resumed after epoch [2-4]\b", text)  # on another node, from the same folder


@pytest.mark.corners
def test_a_node_with_other_packages_is_refused(clone, several, tmp_path):
    """It has a Keras of another version: the other lies before this one's packages."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv"], check=True)
    [packages] = (tmp_path / "venv" / "lib").glob("python*/site-packages")
    own = [path for path in sys.path if path.endswith("site-packages")]
    (packages / "borrowed.pth").write_text("\n".join([*own, str(Path(sys.modules["ray"].__file__).parents[1])]))
    (packages / "keras-1.0.dist-info").mkdir()
    (packages / "keras-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: keras\nVersion: 1.0\n")
    command = [tmp_path / "venv" / "bin" / "python", "-m", "ray.scripts.scripts", "start", "--block"]
    node = subprocess.Popen([*command, f"--address={several.address}", "--num-cpus=1"], process_group=0)
    try:
        wait_for(lambda: ray_nodes(several) == 6, 120)
        status, text = said(start(clone, several, "cluster", "two"))
    finally:
        os.killpg(node.pid, signal.SIGTERM)
    last = text.splitlines()[-1]
    assert status == 1 and last.startswith("error: node ") and "has keras 1.0 instead of 3." in last, text


@pytest.mark.corners
def test_two_studies_at_once(clone, several):
    processes = [start(clone, several, "study", name) for name in ("eight", "two")]
    for status, text in map(said, processes):
        assert status == 0, text


@pytest.mark.corners
def test_a_lost_head_is_one_line_and_what_was_done_is_taken_up(clone, several):
    clone.forget_checkpoints()
    process = start(clone, several, "study", "eight")
    outcomes = lambda: list((clone.root / "work" / "outcomes").rglob("*.npz"))  # noqa: E731
    wait_for(outcomes)
    several.head_node.kill_gcs_server()
    status, text = said(process)
    assert status == 1 and text.splitlines()[-1].startswith("error: the Ray cluster at "), text
    done = len(outcomes())
    status, text = said(start(clone, None, "study", "eight"))
    assert status == 0 and text.count("| epoch 5/5") <= 8 - done, text


@pytest.mark.corners
def test_a_training_that_takes_too_much_memory_is_named(clone, several):
    """As if it did: the process is killed each time it begins to compute."""
    clone.forget_checkpoints()
    process = start(clone, several, "cluster", "two")
    tried = set()
    while process.poll() is None:
        for other in psutil.process_iter(["name", "cmdline"]):
            if " ".join(other.info["cmdline"] or ()).startswith("ray::synthetic basic"):
                tried.add(other.pid)
                with contextlib.suppress(psutil.NoSuchProcess):
                    other.send_signal(signal.SIGKILL)
        time.sleep(0.1)
    status, text = said(process)
    assert status == 1 and "most likely for lack of memory: lower train.batch_size" in text.splitlines()[-1], text
    assert len(tried) == 2 * (1 + cluster.RETRIES)


@pytest.mark.corners
def test_rays_own_memory_monitor_is_one_line(clone):
    """Its limit is below what the machine uses anyway, so it ends whatever starts, the check of a node first."""
    clone.forget_checkpoints()
    with cluster_of(1, memory_usage_threshold=0.01, memory_monitor_refresh_ms=250) as nodes:
        status, text = said(start(clone, nodes, "cluster", "two"))
    assert status == 1 and "most likely for lack of memory: lower train.batch_size" in text.splitlines()[-1], text
