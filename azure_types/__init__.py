"""What Azure publishes about itself, as data, each fact once. It imports nothing else of this repository.

`types`: the types that are known here, each an `AzureType` of a row in `overrides` and of the generated
types.json (docs/adr/0028). `roles`: the built-in roles. `security_rules`: the rules that every network
security group ends with.
"""
