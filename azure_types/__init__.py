"""What Azure publishes about itself, as data, each fact once. It imports nothing else of this repository.

`roles`: the built-in roles. `security_rules`: the rules that every network security group ends with.
"""
