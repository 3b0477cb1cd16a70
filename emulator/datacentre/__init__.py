"""What runs: networks as kernel namespaces, storage, metadata, names, and VMs whose containers really work.

`control.Datacentre` is the way in for everybody else; the rest is in one sandboxed process (docs/adr/0050).
"""
