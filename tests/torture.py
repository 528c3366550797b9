"""A training killed again and again, by every means, must end with the bytes of one that was left alone.

``make torture`` runs it in full; `test_torture.py` a short form.
"""

import json
import random
import signal
import subprocess
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import psutil
from clone import Clone

STAGE = "train@synthetic-basic-0"
CHECKPOINTS = "work/checkpoints"
PATIENCE = 120  # seconds until a training must have come where we wait for it


class Attempt:
    """One `dvc repro` of the training, its output read as it comes."""

    def __init__(self, clone):
        self.clone, self.output = clone, ""
        # DVC does not write this file atomically: killed at that moment it cannot start again. `make repro` sees to it.
        lock = clone.root / ".dvc" / "tmp" / "rwlock"
        if lock.exists() and not lock.read_bytes():
            lock.unlink()
        self.process = clone.start("dvc", "repro", STAGE)
        self.reader = threading.Thread(target=self._read)
        self.reader.start()

    def _read(self):
        for line in self.process.stdout:
            self.output += line

    def wait_for(self, happened):
        end = time.monotonic() + PATIENCE
        while not happened():
            if self.process.poll() is not None or time.monotonic() > end:
                raise AssertionError(f"it did not come to that:\n{self.output}")
            time.sleep(0.001)

    def wait_within_an_epoch(self, moment):
        """Until an epoch has ended, and then for a share of another."""
        self.wait_for(lambda: self.output.count("| epoch ") == 1)
        begin = time.monotonic()
        self.wait_for(lambda: self.output.count("| epoch ") == 2)
        time.sleep(moment * (time.monotonic() - begin))

    def wait_for_a_checkpoint_being_written(self):
        folder = self.clone.root / CHECKPOINTS
        self.wait_for(lambda: any(folder.rglob(".*.partial")))

    def kill(self):
        """SIGKILL to every process of it at once, as when the power fails."""
        tree = [*psutil.Process(self.process.pid).children(recursive=True), psutil.Process(self.process.pid)]
        for process in tree:
            process.kill()
        psutil.wait_procs(tree, timeout=30)
        return self.end()

    def kill_kernel(self):
        """SIGKILL to the notebook's process alone, as the system does when memory runs out."""
        kernels = [
            child
            for child in psutil.Process(self.process.pid).children(recursive=True)
            if "ipykernel_launcher" in " ".join(child.cmdline())
        ]
        assert len(kernels) == 1
        kernels[0].kill()
        return self.end()

    def end(self):
        self.process.wait(timeout=PATIENCE)
        self.reader.join()
        return self.output


def killed_at_start(clone, moment):
    attempt = Attempt(clone)
    time.sleep(10 * moment)
    attempt.kill()


def killed_in_an_epoch(clone, moment):
    attempt = Attempt(clone)
    attempt.wait_within_an_epoch(moment)
    attempt.kill()


def killed_while_it_saves(clone, moment):
    attempt = Attempt(clone)
    attempt.wait_for_a_checkpoint_being_written()
    time.sleep(0.1 * moment)
    attempt.kill()


def kernel_killed(clone, moment):
    attempt = Attempt(clone)
    attempt.wait_within_an_epoch(moment)
    said = attempt.kill_kernel()
    assert attempt.process.returncode != 0
    assert "error: 02-train: its Python process was killed, most likely for lack of memory" in said, said


def interrupted(clone, moment):
    attempt = Attempt(clone)
    attempt.wait_within_an_epoch(moment)
    attempt.process.send_signal(signal.SIGINT)
    for child in psutil.Process(attempt.process.pid).children():
        child.send_signal(signal.SIGINT)  # a terminal sends it to the whole group
    attempt.end()
    assert attempt.process.returncode != 0


def disk_full(clone, moment):
    """A disk with room for the checkpoint that is there, but not for the next beside it."""
    folder = clone.root / CHECKPOINTS
    [checkpoint] = folder.rglob("*.npz")
    before = checkpoint.read_bytes()
    size = f"size={int(len(before) * (1.1 + 0.8 * moment))}"
    if subprocess.run(["mount", "-t", "tmpfs", "-o", size, "tmpfs", checkpoint.parent], capture_output=True).returncode:
        print("disk_full: left out; it needs the right to mount a small disk")
        return
    try:
        checkpoint.write_bytes(before)
        attempt = Attempt(clone)
        said = attempt.end()
        after = checkpoint.read_bytes()
    finally:
        subprocess.run(["umount", checkpoint.parent], check=True)
    assert attempt.process.returncode != 0
    assert "error: the disk is full" in said, said
    assert after == before


KILLS = (killed_in_an_epoch, killed_while_it_saves, killed_at_start, kernel_killed)


def prepare(folder, epochs):
    """A clone with its images made, ready to train."""
    clone = Clone(folder)
    train = {"epochs": epochs, "reduce_lr": {"patience": 2, "factor": 0.5}, "early_stopping_patience": epochs}
    clone.set(fetch__draw__images=400, synthetic__split__held_out=0.4, synthetic__overrides__train=train)
    done = clone.run("dvc", "repro", "preprocess@synthetic")
    assert done.returncode == 0, done.stdout + done.stderr
    return clone


def torture(folder, attacks, epochs, seed=0):
    """Train undisturbed in one clone, under all attacks in another; both must end the same.

    Parameters
    ----------
    folder : Path
        Empty; the two clones are made in it.
    attacks : list of function
        Each starts ``dvc repro`` once and stops it; the training must have more epochs than there are attacks.
    epochs : int
    seed : int
        Of the moments.
    """
    alone = prepare(folder / "alone", epochs)
    attacked = alone.copy(folder / "attacked")
    assert Attempt(alone).end().count("| epoch ") == epochs

    moments = random.Random(seed)
    for number, attack in enumerate(attacks, start=1):
        attack(attacked, moments.random())
        print(
            f"{number}/{len(attacks)} {attack.__name__}: {epochs_saved(attacked)} of {epochs} epochs saved", flush=True
        )
    said = Attempt(attacked).end()
    assert "resumed after epoch" in said and said.count("| epoch ") < epochs, said
    assert attacked.sums() == alone.sums()
    weights = "models/synthetic/basic/seed-0.weights.h5"
    assert (attacked.root / weights).read_bytes() == (alone.root / weights).read_bytes()
    print(f"same bytes as undisturbed: weights, dvc.lock and {len(alone.sums()) - 1} results", flush=True)


def epochs_saved(clone):
    """How far the clone's checkpoint is."""
    found = 0
    for file in (clone.root / CHECKPOINTS).rglob("*.npz"):
        with np.load(file) as arrays:
            found = len(json.loads(str(arrays["state"]))["training"]["history"])
    return found


def main():
    attacks = [KILLS[i % len(KILLS)] for i in range(20)] + [interrupted, disk_full]
    with tempfile.TemporaryDirectory(prefix="torture-") as folder:
        torture(Path(folder), attacks, epochs=60)


if __name__ == "__main__":
    main()
