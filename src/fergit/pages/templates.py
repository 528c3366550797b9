"""Pages that people write, filled with values by their names.

``{{fergit.residual.accuracy}}`` stands for a value, ``{{table.claims}}`` for a table.
``{{fergit.residual.macro_f1|decimals}}`` names a format; without one, the value's name and kind decide.
``{{verdict fergit.residual.accuracy: reproduced}}`` prints nothing. It guards a sentence that rests on this verdict:
once the verdict changes, the page is refused. ``{{! a remark }}`` prints nothing either. A line of nothing but guards
and remarks is left out.
"""

import difflib
import re

from fergit.core.errors import FergitError
from fergit.pages.present import p_value, percent, points

DIRECTIVE = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)


FORMATS = {
    "percent": percent,
    "whole": lambda share: percent(share, 0),
    "points": points,
    "spread": lambda share: f"{100 * share:.1f}",  # of a standard deviation, in points
    "decimals": lambda number: f"{number:.2f}",
    "number": lambda number: f"{number:,.0f}",
    "p": p_value,
}
USUAL = {"difference": "points", "sd": "spread", "p": "p", "p_holm": "p"}  # by the last part of a name


def text_of(name, value, form=None):
    """A value as text; `form` is one of FORMATS."""
    if isinstance(value, str):
        return value
    if form is None:
        form = USUAL.get(name.rpartition(".")[2], "number" if isinstance(value, int) else "percent")
    return FORMATS[form](value)


def fill(text, source, values, verdicts, required=()):
    """Fill a template.

    Parameters
    ----------
    text : str
    source : str
        The template's name, for messages.
    values : dict of str to str, int or float
    verdicts : dict of str to str
        What ``verdict`` guards are held against.
    required : iterable of str
        Names of which each must be used.

    Returns
    -------
    str

    Raises
    ------
    FergitError
        A name or format is unknown, a required name is not used, or a verdict is another than a sentence rests on: one
        line with the template's line.
    """
    used = set()

    def replaced(match):
        where = f"{source}, line {text.count(chr(10), 0, match.start()) + 1}"
        inside = " ".join(match[1].split())
        if inside.startswith("!"):
            return ""
        if inside.startswith("verdict "):
            name, _, expected = (part.strip() for part in inside.removeprefix("verdict ").partition(":"))
            _known(name, verdicts, "verdict", where)
            if verdicts[name] != expected:
                raise FergitError(
                    f"{where}: this text rests on {name!r} being {expected!r}, but results/ says {verdicts[name]!r}; "
                    "rewrite the sentence and its guard"
                )
            return ""
        name, _, form = (part.strip() for part in inside.partition("|"))
        _known(name, values, "value", where)
        if form:
            _known(form, FORMATS, "format", where)
        used.add(name)
        return text_of(name, values[name], form or None)

    lines = []
    for line in DIRECTIVE.sub(lambda match: _marked(replaced(match)), text).split("\n"):
        if "\0" not in line or line.replace("\0", "").strip():
            lines.append(line.replace("\0", "").rstrip() if "\0" in line else line)
    unused = [name for name in required if name not in used]
    if unused:
        raise FergitError(f"{source}: does not use {{{{{unused[0]}}}}}, which belongs there")
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines))


def _marked(replacement):
    """A mark where a guard or a remark stood, by which lines of nothing else are known."""
    return replacement or "\0"


def _known(name, names, kind, where):
    if name not in names:
        near = difflib.get_close_matches(name, names, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise FergitError(f"{where}: no {kind} {name!r}{hint}")


def with_block(path, begin, end, block):
    """The text of a file with `block` between its lines `begin` and `end`, in place of what stood there.

    Raises
    ------
    FergitError
        The file has not one of each, in this order.
    """
    text = path.read_text(encoding="utf-8")
    if text.count(begin) != 1 or text.count(end) != 1 or text.index(begin) > text.index(end):
        raise FergitError(f"{path.name}: needs one line {begin} and, below it, one line {end}")
    before, after = text.split(begin)[0], text.split(end)[1]
    return f"{before}{begin}\n{block}\n{end}{after}"
