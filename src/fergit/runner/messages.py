"""What is wrong in params.yaml, in one line: the key, the value and what is allowed."""

import difflib
import re
import reprlib

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError

from fergit.core import paths
from fergit.core.errors import FergitError
from fergit.core.params import LONGEST, plain
from fergit.core.params import read as read_yaml

SHOWN = reprlib.Repr()  # of a value: aliases of aliases can make a few lines of YAML gigabytes long
SHOWN.maxstring = SHOWN.maxother = 80
UNKNOWN = ("extra_forbidden", "invalid_key")  # pydantic's words for a key that it does not know
ALLOWED = {  # where pydantic's words are those of Python
    "list_type": "a list, such as [a, b]",
    "dict_type": "a section of lines `key: value`",
    "model_type": "a section of lines `key: value`",
    "bool_type": "true or false",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "string_type": "text",
    "finite_number": "a number",
    "string_too_short": "text of at least one sign",
}
INDENTED = "is not indented like the lines before it"
MISTAKES = {  # in YAML: what of the parser's words shows one, and ours
    "'\\t'": "has a tab; write spaces",
    "unknown escape": "has a backslash in double quotes; write single quotes",
    "expected ',' or": "opens a bracket or brace that is not closed",
    "end of stream": "opens a quote that is not closed",
    "could not find expected ':'": "has no colon with a space after it",
    "<block end>": f"{INDENTED}, or the line before it has no space after its colon",
    "mapping values": f"{INDENTED}, or has a second colon (put such text in quotes), or the line before it has no "
    "space after its colon",
}


def read(path):
    """As `fergit.core.params.read`, but the usual mistakes in YAML are named as a person would."""
    try:
        return read_yaml(path)
    except FergitError as error:
        if "not valid YAML" not in str(error) or not (known := _mistake(path.read_text(encoding="utf-8"))):
            raise
        raise FergitError(f"{paths.relative(path)}, line {known}") from None


def _mistake(text):
    """The line of a mistake in YAML and what it is, "8: has a tab; ..."; None for a rare one."""
    try:
        YAML(typ="safe", pure=True).load(text)
    except MarkedYAMLError as error:
        line, problem = error.problem_mark.line, str(error.problem)
        if key := re.match('found duplicate key "(.*?)" with', problem):
            before = text.splitlines()[:line]
            same = [
                n for n, other in enumerate(before, 1) if other[error.problem_mark.column :].startswith(f"{key[1]}:")
            ]
            return f"{line + 1}: {key[1]} stands there twice{f', first in line {same[-1]}' if same else ''}; keep one"
        begins = error.context_mark.line if error.context_mark else None
        if "expected ',' or" in problem and begins == line and "got ':'" in problem:
            return f"{line + 1}: lacks a comma within its brackets or braces"
        if "<block end>" in problem and text.splitlines()[line : line + 1][0][: error.problem_mark.column].strip():
            return f"{line + 1}: goes on after a closing quote or bracket; within '...' an apostrophe is written ''"
        for words, ours in MISTAKES.items():
            if words in problem:
                begun = error.context_mark if "opens" in ours or "has no colon" in ours else error.problem_mark
                return f"{begun.line + 1}: {ours}"
    except Exception:  # ruamel raises ValueError, RecursionError and others, besides its own
        return None


def explain(error, section_at, where=()):
    """One line for a pydantic error.

    `section_at` gives the model, or the names allowed, at a place, a tuple of keys; `where` is that of what was
    validated.
    """
    # Of several errors, an unknown key is told first: a misspelt key is an unknown one and a missing one.
    first = min(error.errors(), key=lambda found: found["type"] not in UNKNOWN)
    kind, where = first["type"], (*where, *first["loc"])
    unknown = kind in UNKNOWN or kind == "literal_error" and where[-1] == "[key]"
    where = [part for part in where if part != "[key]"]
    key = plain(".".join(map(str, where)))
    if unknown:
        section = section_at(where[:-1])
        known = list(section) if isinstance(section, tuple) else list(section.model_fields)
        near = difflib.get_close_matches(str(where[-1])[:LONGEST], known, 1, 0.5)
        if first["input"] is None and len(where) == 1 and not near:
            return f"{key} is empty; indent the lines that belong to it"
        if first["input"] is None and isinstance(where[-1], int):  # {held_out: 0,2}
            return f"unknown key {key}; a number has a point, not a comma, as in 0.2"
        return f"unknown key {key}; " + (f"did you mean {near[0]}?" if near else f"allowed: {', '.join(known)}")
    if kind == "missing":
        return f"{key} is missing"
    if kind == "value_error":
        message = plain(str(first["ctx"]["error"]))
        return f"{key}: {message}" if key else message
    if kind in ("too_short", "too_long"):
        bound = first["ctx"].get("min_length") or first["ctx"]["max_length"]
        allowed = f"at {'least' if kind == 'too_short' else 'most'} {bound} of them"
    else:
        allowed = ALLOWED.get(kind, first["msg"].removeprefix("Input should be "))
        if kind == "string_type" and isinstance(first["input"], int | float):
            allowed += f", such as '{shown(first['input'])}' with its quotes"
    return f"{key} is {shown(first['input'])}; allowed: {allowed}"


def shown(value):
    """A value as YAML has it, short."""
    if value is None or isinstance(value, bool):
        return {None: "empty", True: "true", False: "false"}[value]
    try:
        if isinstance(value, str):  # as it was typed, so without Python's doubled backslashes
            return f"'{plain(value[:80])}{'...' if len(value) > 80 else ''}'"
        return plain(SHOWN.repr(value))
    except ValueError:  # Python writes out no number of more than 4,300 digits
        return f"a number of {value.bit_length()} bits" if isinstance(value, int) else f"a {type(value).__name__}"
