"""What runs: networks as kernel namespaces, storage, metadata, names, and VMs whose containers really work.

`control.Fabric` is the way in for everybody else; the rest lives in one sandboxed process (docs/adr/0050).
"""
