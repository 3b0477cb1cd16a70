"""From a pull request to production: what the workflows in `.github/` and the delivery commands of `fed` do.

Everything here runs the same on a laptop and in a workflow; the workflows hold no logic of their own.
"""
