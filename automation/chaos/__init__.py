"""Faults on purpose, in a copy of this clone with an emulator of its own, and what became of it."""
