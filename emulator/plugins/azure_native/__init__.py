"""The provider `azure-native`: translates inputs into requests of Azure Resource Manager, and answers back.

The types, and how Azure and Pulumi keep their properties, are described in azure_types. check.py completes
and judges inputs, foretold.py answers previews, refresh.py compares, client.py sends requests as the real
provider does, provider.py is the life of a resource. The rules of Azure itself are in emulator/arm.
"""
