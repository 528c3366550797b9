"""The parameters of a stage: just those keys of params.yaml that dvc.yaml lists for it.

So no stage reads what DVC does not track, and a notebook run by hand gets what the pipeline would give it. Whether the
values are allowed is checked elsewhere, before any stage runs: `fergit.runner.schema`.
"""

import functools
import re
import sys

from ruamel.yaml import YAML

from fergit.core import paths
from fergit.core.errors import FergitError

LONGEST = 200  # characters of the user's own text in a message


def stage_params(stage, injected=None, **items):
    """The parameters of a stage, with the data set's own block merged in.

    Parameters
    ----------
    stage : str
        As DVC names it, without ``@...``: ``"train"``, ``"studies/dvc.yaml:leaks"``.
    injected : dict, optional
        What `tracked_params` gave the runner; None reads the files.
    **items : str or int
        What follows the stage's ``@``: ``dataset="ckplus", model="residual", seed=0``; or a study's ``name``.

    Returns
    -------
    dict
        Section by section, such as ``{"train": {"epochs": 100, ...}, "network": {...}}``.

    Raises
    ------
    FergitError
        A file cannot be read, or a key that the stage needs is missing.
    """
    if injected is None and "ipykernel" in sys.modules:
        print(
            "Run by hand, this notebook writes into results/ as the pipeline does; `git restore results` undoes that."
        )
    sections = tracked_params(stage, **items) if injected is None else injected
    dataset = items.get("dataset") or sections.get("studies", {}).get(items.get("name"), {}).get("dataset")
    own = sections.get(dataset, {})
    merged = merge(sections | own, own.get("overrides", {}))
    return {name: values for name, values in merged.items() if name not in (dataset, "overrides")}


def tracked_params(stage, known=None, **items):
    """The keys that DVC tracks for a stage, with their values, before anything is merged; see `stage_params`.

    ``known`` holds files that are read already, {Path: dict}.
    """
    files = functools.cache(lambda path: (known or {}).get(path) or read(path))
    file, _, name = stage.rpartition(":")
    body = read(paths.ROOT / file if file else paths.PIPELINE)["stages"][name]
    if "name" in items:
        items = {"dataset": files(paths.STUDIES)["studies"][items["name"]]["dataset"]} | items
    sections = {}
    for entry in body.get("do", body).get("params", []):
        for source, keys in (entry if isinstance(entry, dict) else {"params.yaml": [entry]}).items():
            path = {"params.yaml": paths.PARAMS, "studies/params.yaml": paths.STUDIES}[source]
            values = files(path)
            for key in keys:
                try:
                    _copy(values, sections, _filled(key, items).split("."))
                except (KeyError, TypeError):
                    message = f"{stage}: no {_filled(key, items)!r} in {paths.relative(path)}"
                    raise FergitError(message) from None
    return sections


def merge(base, changes):
    """`base` with `changes` in place of its own values, section by section; neither is changed."""
    return base | {
        key: merge(base[key], value) if isinstance(value, dict) and isinstance(base.get(key), dict) else value
        for key, value in changes.items()
    }


def read(path):
    """A YAML file of sections, as a dict.

    Raises
    ------
    FergitError
        There is no such file, or it is no YAML: one line.
    """
    name = paths.relative(path)
    try:
        values = YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise FergitError(f"{name}: no such file; `git checkout {name}` brings it back") from None
    except UnicodeDecodeError:
        raise FergitError(f"{name}: not UTF-8 text") from None
    except OSError as error:
        raise FergitError(f"{name}: cannot be read ({error.strerror})") from None
    except Exception as error:  # ruamel raises ValueError, RecursionError and others, besides its own
        where = getattr(error, "problem_mark", None)
        line = f", line {where.line + 1}" if where else ""
        problem = str(getattr(error, "problem", None) or error or type(error).__name__).splitlines()[0]
        raise FergitError(f"{name}{line}: not valid YAML: {plain(problem)}") from None
    if not isinstance(values, dict):
        raise FergitError(f"{name}: {'is empty' if values is None else 'has no sections'}; allowed: lines `key: value`")
    return values


def plain(text):
    """Text of the user's own for a message: short, and without what moves a terminal's cursor."""
    text = text if len(text) <= LONGEST else f"{text[:LONGEST]}..."
    return text if text.isprintable() else text.encode("unicode_escape").decode("ascii")


def _filled(key, items):
    """A key of dvc.yaml with its template filled in: ``${item.dataset}``, ``${item}`` of a data set, ``${key}``."""
    names = {"${item}": "dataset", "${key}": "name"}
    return re.sub(r"\$\{\w+(?:\.(\w+))?\}", lambda match: str(items[match[1] or names[match[0]]]), key)


def _copy(values, target, parts):
    """Copy the value at ``a.b.c`` to the same place of another dict."""
    *parents, last = parts
    for parent in parents:
        values, target = values[parent], target.setdefault(parent, {})
    target[last] = values[last]
