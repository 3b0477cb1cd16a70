"""Survival after a stay for heart failure."""
