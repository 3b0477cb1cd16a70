"""The provider `azure-native`: translates inputs into requests of Azure Resource Manager, and answers back.

shapes/ is the table of types, layout.py moves properties between Pulumi's flat objects and ARM's nested ones,
client.py sends requests as the real provider does, provider.py is the life of a resource. The rules of Azure
itself are not here but in emulator/arm.
"""
