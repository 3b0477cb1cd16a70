"""The control plane: Azure Resource Manager for the resource types of the catalogue.

`control_plane.ControlPlane(store, key).handle(request)` is the whole of it; http.py puts it on the wire.
"""
