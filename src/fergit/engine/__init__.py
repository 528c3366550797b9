"""The paper's networks and their training: everything that decides a trained weight, and nothing else.

A training depends on this folder and on `fergit.core`; its checkpoint is keyed by these two.
"""
