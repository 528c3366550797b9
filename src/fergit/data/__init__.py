"""From the files that a person has to 48x48 images with labels, each in one part of a split.

One module reads one source; what is common to them (archives, images, downloads) stands beside.
"""
