"""Who can open which port to whom, computed from addresses, rules, routes and peerings alone."""
