"""This machine: what it has and lacks, how it is set up, and the suite that runs on it."""
