"""Trainings on a Ray cluster: a task each, which asks for as many cores as this process has or for one GPU.

What they come to lies in ``work/`` afterwards, as if they had run here. Placement and retries are Ray's.
"""

import contextlib
import fcntl
import multiprocessing
import os
import platform
import tempfile
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from importlib import metadata
from pathlib import Path

from fergit.core import paths, progress
from fergit.core.errors import FergitError
from fergit.core.files import write_atomically
from fergit.core.parallel import cores
from fergit.runner.command import reason

PACKAGES = ("keras", "numpy", "opencv-python-headless", "pandas")  # of a node as here, and the backend
RETRIES = 3  # of a training whose node was lost


def run(names):
    """Train what the pipeline (the name ``pipeline``) and studies ask for, and what ``work/`` does not hold yet.

    An error is: no Ray, no cluster, a node with other packages, a training that failed; what the others did is kept.
    """
    from fergit.runner.studies import distinct_tasks

    if not os.environ.get("RAY_ADDRESS"):
        raise FergitError("RAY_ADDRESS is not set; set it to the address of a Ray cluster, or to local")
    trainings = []
    for task, faces in distinct_tasks(names):
        if task.is_trained(faces):
            task.train(faces)  # it only predicts
        elif not task.outcome(faces).exists():
            trainings.append((task, faces))
    if not trainings:
        return
    if any(task.params["train"]["distribution"] != "none" for task, _ in trainings):
        raise FergitError("train.distribution is 'data_parallel'; allowed on a cluster: none (a training has one GPU)")
    paths.WORK.mkdir(exist_ok=True)
    spawn = multiprocessing.get_context("spawn")
    with (
        tempfile.NamedTemporaryFile(dir=paths.WORK, prefix=".cluster-") as mark,
        ProcessPoolExecutor(1, spawn) as apart,  # Ray ends the process if it loses its head
    ):
        try:
            apart.submit(_train, trainings, mark.name).result()
        except BrokenProcessPool:
            raise FergitError(
                f"the Ray cluster at {os.environ.get('RAY_ADDRESS')} was lost; what was done is kept, and the same "
                "command goes on with the rest"
            ) from None


def _connect():
    """Ray, connected to the cluster at RAY_ADDRESS, whose processes get this checkout's code."""
    from fergit.runner.execute import ENVIRONMENT

    # Ray would try for ever what takes too much memory, leave out lines that look alike, and report its use.
    os.environ |= {"RAY_task_oom_retries": "1", "RAY_DEDUP_LOGS": "0", "RAY_USAGE_STATS_ENABLED": "0"}
    try:
        import ray
    except ModuleNotFoundError:
        raise FergitError("RAY_ADDRESS is set, but Ray is not installed; `make setup CLUSTER=1` installs it") from None
    address = os.environ["RAY_ADDRESS"]
    variables = {name: value.replace(f"{paths.ROOT}/", "") for name, value in ENVIRONMENT.items()}
    if "TF_ENABLE_ONEDNN_OPTS" in os.environ:
        variables["TF_ENABLE_ONEDNN_OPTS"] = os.environ["TF_ENABLE_ONEDNN_OPTS"]
    excluded = [f"/{path.name}" for path in paths.ROOT.iterdir() if path.name != "src"]
    code = {"working_dir": str(paths.ROOT), "excludes": excluded, "env_vars": variables}
    try:
        ray.init(address, runtime_env=code, logging_level="ERROR")
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise FergitError(f"RAY_ADDRESS is {address!r}, where no Ray cluster answers: {_line(error)}") from None
    return ray


def _train(trainings, mark):
    """Send trainings (task, faces) to the cluster, and keep what comes back; `mark` is a file of work/."""
    ray, packages = _connect(), _versions()
    nodes = [node for node in ray.nodes() if node["Alive"]]
    check, on = ray.remote(num_cpus=0)(_differences), ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy
    checks = [check.options(scheduling_strategy=on(node["NodeID"], False)).remote(packages) for node in nodes]
    try:
        different = [line for line in ray.get(checks) if line]
    except ray.exceptions.RayError as error:
        raise FergitError(f"a node could not be checked: {_reason(ray, error)}") from None
    if different:
        raise FergitError("; ".join(different))
    offers = [(node["Resources"].get("CPU", 0), node["Resources"].get("GPU", 0)) for node in nodes]
    dealt, waiting = {id(faces): ray.put(faces) for _, faces in trainings}, {}
    for task, faces in trainings:
        device = task.params["train"]["device"]
        gpus = int(device == "gpu" or device == "auto" and any(node_gpus for _, node_gpus in offers))
        number = 1 if gpus else cores()
        if not any(cpus >= number and node_gpus >= gpus for cpus, node_gpus in offers):
            progress.line(
                f"{task.title} | waits for a node with {number} cores{' and a GPU' * gpus}, which it asks for"
            )
        work = ray.remote(max_calls=1)(_work).options(
            name=task.title, num_cpus=number, num_gpus=gpus, max_retries=RETRIES, scheduling_strategy="SPREAD"
        )
        waiting[work.remote(task, dealt[id(faces)], mark, packages, None if gpus else number)] = task.title
    _collect(ray, waiting)


def _collect(ray, waiting):
    """Keep what trainings come to, {Ray's reference: title}, as they end."""
    failed, number = [], len(waiting)
    while waiting:
        [ready], _ = ray.wait(list(waiting))
        title = waiting.pop(ready)
        try:
            files = ray.get(ready)
        except ray.exceptions.RayError as error:
            failed.append(f"{title}: {_reason(ray, error)}")
            progress.line(f"{failed[-1]} [{number - len(waiting)} of {number}]")
            continue
        for name, content in files.items():
            with write_atomically(paths.WORK / name) as file:
                file.write(content)
        progress.line(f"{title} | done [{number - len(waiting)} of {number}]")
    if failed:
        raise FergitError(f"{len(failed)} of {number} trainings failed, the others are kept; {failed[0]}")


def _reason(ray, error):
    """What went wrong with a task, in a line."""
    if isinstance(error, ray.exceptions.OutOfMemoryError | ray.exceptions.WorkerCrashedError):
        return "its process was killed, most likely for lack of memory: lower train.batch_size or train fewer at once"
    cause = getattr(error, "cause", error)
    return reason(type(cause).__name__, str(cause))


def _line(error):
    return (str(error).strip() or type(error).__name__).splitlines()[0]


# From here on, what runs on the nodes.


def _work(task, faces, mark, packages, number):
    """Train; the files that it leaves, as bytes by their names, unless this node has the sender's folder."""
    if different := _differences(packages):  # of a node that came later
        raise FergitError(different)
    if shared := Path(mark).exists():
        paths.WORK = Path(mark).parent
    if number is None:
        from fergit.engine.backend import gpu, keras

        if gpu() is None:
            backend = keras.backend.backend()
            raise FergitError(f"node {platform.node()} has a GPU that {backend} does not see; `make setup GPU=1` there")
    with _cores(number) if number else contextlib.nullcontext():
        task.train(faces)
    return {} if shared else {str(file.relative_to(paths.WORK)): file.read_bytes() for file in task.files(faces)}


def _versions():
    backend = os.environ.get("KERAS_BACKEND", "tensorflow")
    return {"Python": platform.python_version()} | {name: metadata.version(name) for name in (*PACKAGES, backend)}


def _differences(packages):
    """How this node's versions differ from `packages`, in a line; None where they do not."""
    try:
        own = _versions()
    except metadata.PackageNotFoundError as error:
        return f"node {platform.node()} has no package {error.name}; `make setup` there installs it"
    other = [f"{name} {own[name]} instead of {version}" for name, version in packages.items() if own[name] != version]
    if other:
        return f"node {platform.node()} has {', '.join(other)}; `make setup` there installs what is locked"


@contextlib.contextmanager
def _cores(number):
    """Compute on so many cores that no other training of this machine has: their number decides the bytes."""
    every = os.sched_getaffinity(0)
    with contextlib.ExitStack() as taken:
        free = []
        for core in sorted(every) if number < len(every) else ():
            lock = taken.enter_context(open(f"{tempfile.gettempdir()}/fergit-core-{core}-{os.getuid()}", "w"))
            with contextlib.suppress(BlockingIOError):
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                free.append(core)
            if len(free) == number:
                break
        if number > len(every) or number < len(every) and len(free) < number:
            raise FergitError(
                f"node {platform.node()} has no {number} free cores; set `ray start --num-cpus` to what it has"
            )
        os.sched_setaffinity(0, free or every)
        yield
