"""Where the parts of a face lie in 48x48 images, rows and columns in pixels.

Measured on the mean of FERGIT's 49,300 images: its eyes are darkest in rows 17 and 18 at columns 15 and 32, the brows
run into them from above, the nose ends in row 32, the mouth is darkest in row 38.
"""

EYES, MOUTH = 17.5, 38  # rows
REGIONS = {"mouth": (35, 44, 13, 35), "nose": (22, 35, 18, 30), "eyes": (16, 22, 8, 40), "brows": (11, 16, 8, 40)}
LOWER = {"synthetic": 3}  # rows by which a data set's faces lie lower than FERGIT's: drawn heads show more hair


def regions(dataset):
    """`REGIONS` where the faces of a data set have them: {name: (row from, row to, column from, column to)}."""
    lower = LOWER.get(dataset, 0)
    return {name: (top + lower, bottom + lower, *columns) for name, (top, bottom, *columns) in REGIONS.items()}
