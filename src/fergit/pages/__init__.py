"""Numbers as people see them: tables, figures, README.md and REPLICATION.md.

Nothing here computes a result, and nothing here imports Keras.
"""
