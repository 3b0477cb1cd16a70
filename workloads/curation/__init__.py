"""Curated tables: what the dashboards show, made from what jobs left, with privacy applied before writing.

Runs in the centre's MLflow image (`python -m curation`). Imports inside are relative, because the repository
knows this package as `workloads.curation`.
"""
