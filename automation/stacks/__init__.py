"""A stack: reached, planned, deployed, taken down, and taken up again after a run that was killed."""
