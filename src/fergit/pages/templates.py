"""Pages that people write, as Jinja templates: text, numbers by their place in the results, and guards.

``{{ reports.fergit.models.residual.accuracy|score }}`` stands for a number; the filter after ``|`` is a function of
`fergit.pages.present`, and no number but a count goes without one. ``{% do rests_on(ENTRY, "reproduced") %}`` prints
nothing. It guards a sentence that rests on this verdict, as ``{% do rests_on(A < B) %}`` guards one that rests on a
condition: once that is otherwise, the page is refused. Instead, a page may have a sentence for each ``verdict(ENTRY)``.
"""

import traceback

from jinja2 import Environment, FileSystemLoader, StrictUndefined, TemplateSyntaxError, UndefinedError

from fergit.core import paths
from fergit.core.errors import FergitError
from fergit.pages import present

FILTERS = ("accuracy", "by_seed", "counted", "gain", "intervals", "percent", "points", "p_value", "score", "title")


def fill(folder, name, values):
    """Fill the template `name` of a folder with values: str.

    Raises FergitError, with the template's line, where a name or filter is unknown, a number has no filter, or a
    verdict is another than a sentence rests on.
    """
    environment = Environment(
        loader=FileSystemLoader(folder),
        undefined=StrictUndefined,
        finalize=_printed,
        extensions=["jinja2.ext.do"],
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {name: getattr(present, name) for name in FILTERS} | {"where": _where}
    source = paths.relative(folder / name)
    try:
        return environment.get_template(name).render(values, rests_on=_rests_on, verdict=_verdict)
    except TemplateSyntaxError as error:
        raise FergitError(f"{source}, line {error.lineno}: {error.message}") from None
    except (UndefinedError, FergitError, AttributeError, KeyError, TypeError, ValueError) as error:
        frames = reversed(traceback.extract_tb(error.__traceback__))
        line = next((frame.lineno for frame in frames if frame.filename.endswith(name)), 1)
        known = isinstance(error, UndefinedError | FergitError)
        raise FergitError(f"{source}, line {line}: {error if known else 'this filter is for other values'}") from None


def _where(rows, **wanted):
    """The one row that has these values, such as ``variant="without"``."""
    found = [row for row in rows if wanted.items() <= row.items()]
    if len(found) != 1:
        raise FergitError(f"{len(found)} rows have {wanted}; needed: one")
    return found[0]


def _verdict(entry):
    """The verdict of a claim, or the `direction` of a difference."""
    return entry.get("verdict") or present.direction(entry)


def _rests_on(found, expected=True):
    found = found if expected is True else _verdict(found)
    if found != expected:
        raise FergitError(
            f"the text needs {expected!r}, but results/ says {found!r}; rewrite the sentence and its guard"
        )


def _printed(value):
    """What is printed of a value without a filter: a text as it is, a count with separators."""
    if isinstance(value, float):
        raise FergitError(f"the number {value} has no filter, such as {{{{ ...|percent }}}}")
    if value is None or isinstance(value, bool):
        raise FergitError(f"{value} is no text; a sentence for each case needs {{% if ... %}}")
    return f"{value:,}" if isinstance(value, int) else value


def with_block(path, begin, end, block):
    """The text of a file with `block` between its lines `begin` and `end`, in place of what stood there.

    Raises FergitError where the file has not one of each, in this order.
    """
    before, *rest = path.read_text(encoding="utf-8").split(begin)
    _, *after = "".join(rest).split(end)
    if len(rest) != 1 or len(after) != 1 or end in before:
        raise FergitError(f"{paths.relative(path)}: needs one line {begin} and, below it, one line {end}")
    return f"{before}{begin}\n{block}\n{end}{after[0]}"
