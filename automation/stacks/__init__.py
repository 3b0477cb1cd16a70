"""A stack: reached, planned, deployed, taken down, and resumed after a run that was killed."""
