"""Pulumi components, one concern a file: centre, hospital, their peering, and their parts.

Nothing here knows whether Azure is real. What is allowed, named and addressed comes from `federation/`.
"""
