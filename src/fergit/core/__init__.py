"""What every other folder stands on: errors, paths, files, and the arrays of faces.

Nothing here imports another folder of ours, and a change here may cost every training.
"""
