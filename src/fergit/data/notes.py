"""Sentences on what a source has and should not have, or has not and should: lists of them, empty if all is well."""


def compare(counts, published, where=""):
    """A sentence for each class whose number of images is not the published one."""
    return [
        f"{counts.get(name, 0):,} images of class {name}{where}; published: {published.get(name, 0):,}"
        for name in counts | published
        if counts.get(name, 0) != published.get(name, 0)
    ]


def not_read(archive, names):
    """A sentence on the members of an archive that are none of these."""
    return such_as("files in no known folder or of no known kind, not read", sorted(set(archive.names) - set(names)))


def such_as(what, names):
    """A sentence with the number of names and the first of them."""
    return [f"{what}: {len(names):,}, such as {names[0]}"] if names else []
