"""Isolation, proven: what a deployment really allows, compared with the statement of intent.

Four independent answers to one question, who may do what:

- the graph (`reach`, `matrix`): computed from addresses, rules, routes and peerings alone;
- identities (`identity`): computed from role assignments;
- names (`dns`): computed from zones, links and records;
- the running federation (`packets`, `probes`): measured, where it can be.

Everything is read from the outputs of azure-native resources (`resources`), whether they come from an
exported state or from Resource Manager itself (`live`). Nothing here changes anything.
"""
