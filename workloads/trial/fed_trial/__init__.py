"""A job on a laptop before anybody is asked: composed, boxed, let out and judged by the platform's own code,
at made-up hospitals, without a network.

What a real run has besides: NVFlare's transport and processes, and the box's container.
"""
