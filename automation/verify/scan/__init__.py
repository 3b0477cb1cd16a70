"""Checkov's opinion of the same deployment, as ARM templates."""
