"""What runs in the box: a container without network, key or memory, in which a job's own code works.

It imports nothing of `fed_site`; what both sides must agree about is channel.py.
"""
