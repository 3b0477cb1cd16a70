"""Federated statistics of the heart data."""
