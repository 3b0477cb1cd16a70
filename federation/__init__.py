"""The domain of the federation: parties, settings, names, addresses and who may open which port to whom.

Pure Python apart from `providers.py`: nothing here makes a resource, reads a clock twice or asks a network.
"""
