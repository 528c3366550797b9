"""A copy of this checkout to run the real pipeline in; for the tests of pipeline and torture."""

import copy
import hashlib
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

from ruamel.yaml import YAML

from fergit.core import paths


class Clone:
    """A copy of this checkout's files, as Git would commit them, with DVC's commands."""

    def __init__(self, root):
        self.root = root
        listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        for name in subprocess.run(listed, cwd=paths.ROOT, capture_output=True, text=True).stdout.split("\0")[:-1]:
            source, target = paths.ROOT / name, root / name
            made = name.startswith(("results/", "runs/", "dvc.lock", "tests/"))
            if source.is_file() and not made:
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(source, target)
        self.git("init", "-q")
        self.commit()

    def git(self, *command):
        """Run git; what it printed."""
        name = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
        return subprocess.run(
            ["git", *name, *command], cwd=self.root, check=True, capture_output=True, text=True
        ).stdout

    def forget_checkpoints(self):
        """Let the next training really train."""
        for folder in ("checkpoints", "outcomes"):
            shutil.rmtree(self.root / "work" / folder, ignore_errors=True)

    @staticmethod
    def machine():
        """The machine's name and the user's home, unless they are so short that they are found anywhere."""
        return [name for name in (os.uname().nodename, str(Path.home())) if len(name) > 5]

    def commit(self):
        self.git("add", ".")
        self.git("commit", "-qm", "clone")

    def copy(self, root):
        """Another clone, with whatever this one has come to."""
        shutil.copytree(self.root, root, symlinks=True)
        return self.elsewhere(root)

    def elsewhere(self, root):
        """The same commands in another folder."""
        twin = copy.copy(self)
        twin.root = root
        return twin

    def run(self, *command, env=()):
        """Run a command to its end; what it said is in ``stdout`` and ``stderr``. `env` changes or drops variables."""
        env = {name: value for name, value in (self._environment() | dict(env)).items() if value is not None}
        return subprocess.run(
            command, cwd=self.root, env=env, capture_output=True, text=True, errors="replace", stdin=subprocess.DEVNULL
        )

    def run_small_pipeline(self):
        """Run it all with few drawn faces, one network and one epoch; what it said."""
        self.set(
            fetch__draw__images=400,
            synthetic__split__held_out=0.4,
            synthetic__overrides__train={"epochs": 1},
            models=["basic"],
            evaluate__bootstrap_samples=100,
        )
        done = self.run("dvc", "repro")
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    def start(self, *command):
        """Start a command in a process group of its own, as a terminal does; it says everything on ``stdout``."""
        return subprocess.Popen(
            command,
            cwd=self.root,
            env=self._environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            process_group=0,
            # Ctrl-C must reach it even where the tests run in the background, which ignores it.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )

    def _environment(self):
        env = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
        return env | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{env['PATH']}"}

    def set(self, file="params.yaml", **changes):
        path = self.root / file
        yaml = YAML()
        params = yaml.load(path)
        for key, value in changes.items():
            section = params
            *parents, last = key.split("__")
            for parent in parents:
                section = section[parent]
            section[last] = value
        with path.open("w") as file:
            yaml.dump(params, file)

    def sums(self):
        """sha256 of dvc.lock and of every file under results/."""
        files = [self.root / "dvc.lock", *sorted((self.root / "results").rglob("*"))]
        return {
            str(file.relative_to(self.root)): hashlib.sha256(file.read_bytes()).hexdigest()
            for file in files
            if file.is_file()
        }
