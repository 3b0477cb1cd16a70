"""What the platform adds to NVFlare at the centre: start, admission by certificate, honest job states,
tracking.
"""
