"""What carries the stages out: the schema of params.yaml, executed notebooks, studies.

Nothing here decides a number.
"""
