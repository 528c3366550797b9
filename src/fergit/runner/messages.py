"""What is wrong in params.yaml, in one line: the key, the value and what is allowed."""

import difflib
import reprlib

from fergit.core.params import LONGEST, plain

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
}


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
    return f"{key} is {shown(first['input'])}; allowed: {allowed}"


def shown(value):
    """A value as YAML has it, short."""
    if value is None or isinstance(value, bool):
        return {None: "empty", True: "true", False: "false"}[value]
    try:
        return plain(SHOWN.repr(value))
    except ValueError:  # Python writes out no number of more than 4,300 digits
        return f"a number of {value.bit_length()} bits" if isinstance(value, int) else f"a {type(value).__name__}"
