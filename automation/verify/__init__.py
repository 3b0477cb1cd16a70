"""Isolation, proven: what a deployment really allows, compared with the statement of intent.

Four independent answers to one question, who may do what, each in a room of its own:

- `reach`, the graph: computed from addresses, rules, routes and peerings alone;
- `access`, identities: computed from role assignments;
- `names`: computed from zones, links and records;
- `observed`, the running federation: measured, where it can be.

Everything is read from the outputs of azure-native resources (`facts`), whether they come from an exported
state or from Resource Manager itself. Nothing here changes anything.
"""
