"""What the paper says, typed once with its page, and what follows from it.

Nothing here is measured by this project.
"""
