"""Run a notebook through Papermill, so that the executed one is the same bytes each time."""

import importlib.util
import logging
import os
import pprint
import tempfile
from pathlib import Path

import nbformat
import papermill
from nbclient.exceptions import DeadKernelError
from papermill.exceptions import PapermillExecutionError
from papermill.translators import PythonTranslator, papermill_translators

from fergit.core import paths, progress
from fergit.core.errors import FergitError
from fergit.runner import notebooks
from fergit.runner.command import reason

ERROR_TAG = "papermill-error-cell-tag"
BACKENDS = ("tensorflow", "jax", "torch")  # Keras' that can train

# What the kernel must find, wherever it is started from.
ENVIRONMENT = {
    "PYTHONPATH": str(paths.ROOT / "src"),  # the code of this checkout and of no other
    "PYTHONHASHSEED": "0",
    "KERAS_BACKEND": os.environ.get("KERAS_BACKEND", "tensorflow"),
    "KERAS_HOME": str(paths.WORK / "keras"),  # whatever ~/.keras/keras.json says
    "TF_CPP_MIN_LOG_LEVEL": "3",  # TensorFlow's start-up lines carry clocks and process numbers
    "JUPYTER_PREFER_ENV_PATH": "1",  # this environment's python3 kernel, not one of the same name elsewhere
    "PYDEVD_DISABLE_FILE_VALIDATION": "1",  # a debugger's warning about frozen modules
    # Arrays in huge pages: a training step takes up to 8 % less. Without glibc 2.35 it is ignored.
    "GLIBC_TUNABLES": os.environ.get("GLIBC_TUNABLES", "glibc.malloc.hugetlb=1"),
    "MPLCONFIGDIR": str(paths.WORK / "matplotlib"),  # no style of the user's own
}


class ParametersCell(PythonTranslator):
    """The injected cell, in lines that fit a page, and the same bytes whether or not the user installed black."""

    @classmethod
    def translate_dict(cls, values):
        return pprint.pformat(values, width=100, sort_dicts=False)

    @classmethod
    def assign(cls, name, text):
        return f"{name} = " + text.replace("\n", "\n" + " " * len(f"{name} = "))

    @classmethod
    def codify(cls, parameters, comment="Parameters"):
        return super(PythonTranslator, cls).codify(parameters, comment)


papermill_translators.register("python", ParametersCell)


def set_environment():
    """Let nothing that the user set for other programs decide what is computed; call it before Keras is imported.

    Raises
    ------
    FergitError
        KERAS_BACKEND names no backend, or one that is not installed.
    """
    backend = ENVIRONMENT["KERAS_BACKEND"]
    if backend not in BACKENDS:
        raise FergitError(f"KERAS_BACKEND is {backend!r}; allowed: {', '.join(BACKENDS)}")
    if importlib.util.find_spec(backend) is None:
        raise FergitError(f"KERAS_BACKEND is {backend!r}, which is not installed; `.venv/bin/pip install {backend}`")
    os.environ.update(ENVIRONMENT)
    os.environ.pop("JUPYTER_PATH", None)  # kernels elsewhere would go first


def execute_notebook(name, target, parameters):
    """Run ``notebooks/<name>.ipynb`` with `parameters` and write it to `target`, once every cell has run.

    Raises
    ------
    FergitError
        A cell failed or the kernel died: names the cell and the error; the notebook up to there is kept under work/.
    """
    for library in ("papermill", "asyncio"):  # what they log of a kernel that died is said below, in one line
        logging.getLogger(library).setLevel(logging.CRITICAL)
    set_environment()
    _make_font_cache()
    with tempfile.TemporaryDirectory(prefix="fergit-") as folder:
        executed = Path(folder) / f"{name}.ipynb"
        try:
            with progress.shown_on_terminal():
                papermill.execute_notebook(
                    paths.NOTEBOOKS / f"{name}.ipynb",
                    executed,
                    parameters,
                    kernel_name="python3",
                    language="python",
                    cwd=paths.ROOT,
                    progress_bar=False,
                    shutdown_kernel="immediate",  # after Ctrl-C; asked politely, a kernel prints where it was
                    extra_arguments=["--log-level=40"],  # it warns of talking over loopback: that is how Jupyter works
                )
        except PapermillExecutionError as error:
            failed, kept = _keep(executed, target)
            raise FergitError(f"{reason(error.ename, error.evalue)} [{name}, {failed}; see {kept}]") from None
        except DeadKernelError:
            _, kept = _keep(executed, target)
            raise FergitError(
                f"{name}: its Python process was killed, most likely for lack of memory: close other programs or lower "
                f"train.batch_size [see {kept}]"
            ) from None
        except RuntimeError as error:
            if "Kernel died before replying" not in str(error):
                raise
            raise FergitError(f"{name}: its Python process did not start; `make setup` repairs .venv") from None
        notebook = notebooks.canonical(nbformat.read(executed, as_version=4), keep_outputs=True)
    notebooks.write(notebook, target)


def _make_font_cache():
    """Matplotlib announces its font cache when it first makes it: let that not be in a notebook."""
    folder = Path(ENVIRONMENT["MPLCONFIGDIR"])
    folder.mkdir(parents=True, exist_ok=True)
    if not any(folder.glob("fontlist*.json")):
        import matplotlib.font_manager  # noqa: F401


def _keep(executed, target):
    """Keep what ran of a failed notebook: the id of the cell that failed, and where the notebook is."""
    # The checkout of a queued experiment is gone once it has failed: so not there, but where it was queued.
    workspace = Path(os.environ.get("DVC_ROOT", paths.ROOT)).resolve()
    folder = paths.WORK / "failed" if workspace == paths.ROOT else workspace / "work" / "failed" / paths.ROOT.name
    kept = folder / target.relative_to(paths.RESULTS)
    failed = "before its first cell"
    if executed.exists():
        notebook = nbformat.read(executed, as_version=4)
        # Papermill adds cells of its own, which would shift the count.
        notebook.cells = [cell for cell in notebook.cells if ERROR_TAG not in cell.metadata.get("tags", [])]
        notebooks.write(notebook, kept)
        for cell in notebook.cells:
            if any(output.output_type == "error" for output in cell.get("outputs", [])):
                failed = cell.id
    return failed, paths.relative(kept)
