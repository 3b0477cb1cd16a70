"""Data sets: their schemas, and the check of a file. One code for hospitals' VMs, the centre and laptops."""
