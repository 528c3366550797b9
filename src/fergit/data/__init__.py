"""From the files that a person has to 48x48 images with labels, each in one part of a split.

Each source has a module that reads it; archives, images and downloads have modules that all of them use.
"""
