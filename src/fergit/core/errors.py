"""The one error type that users of this project meet."""


class FergitError(Exception):
    """Something the user can mend: the message is one line that says what is wrong and what would be right."""
