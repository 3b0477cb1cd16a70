"""Prepares a clone for its first use: the Python environment and the Pulumi engine.

Runs on the machine's own Python before any package is installed, so everything here is standard library.
The launcher `fed` calls it when a stamp in ``.venv`` is missing or no longer true.
"""
