"""From predictions to numbers: metrics, intervals, claims, copies, studies.

Functions here return numbers and tables, never sentences or figures.
"""
