"""One training, wherever it runs: here, on a cluster's node or on a lent machine, which may lack pydantic and DVC."""

from dataclasses import dataclass

from fergit.core import paths


@dataclass(frozen=True)
class Task:
    """One training: its place in a study, and all that decides it.

    ``faces`` in its methods are Faces of all parts, in the task's split.
    """

    variant: str
    dataset: str
    model: str
    seed: int
    split: dict
    params: dict

    @property
    def title(self):
        """Its name in messages."""
        return " ".join(filter(None, (self.dataset, self.model, self.variant, f"seed {self.seed}")))

    def train(self, faces):
        """Train and test: trained.Outcome, which lies in ``work/`` too; it is read there if it was made before."""
        from fergit.engine.trained import train_and_test  # not above: it takes seconds to load Keras

        return train_and_test(self.model, faces, self.params, self.dataset, self.seed)

    def key(self, faces):
        """The hash of all that decides the training, with these faces or some of them."""
        from fergit.engine.checkpoint import training_key

        sections = {name: values for name, values in self.params.items() if name != "predict"}
        return training_key(self.dataset, self.model, faces, sections, self.seed)

    def is_trained(self, faces):
        """Whether ``work/`` has its finished checkpoint but not what it came to, as the pipeline leaves it."""
        from fergit.engine.checkpoint import read_arrays

        if self.outcome(faces).exists():
            return False
        _, *checkpoints = self.files(faces)
        found = (read_arrays(file) for file in checkpoints)
        return any(arrays is not None and arrays["state"]["training"]["stopped"] for arrays in found)

    def outcome(self, faces):
        """The file that holds what it came to, Path."""
        return paths.outcome(self.dataset, self.model, self.seed, self.key(faces))

    def files(self, faces):
        """The files that it left in ``work/``, list of Path: what it came to, and its checkpoint."""
        key = self.key(faces.take(faces.split != "test"))
        return [self.outcome(faces), *paths.checkpoints(self.dataset, self.model, self.seed).glob(f"{key}-*.npz")]
