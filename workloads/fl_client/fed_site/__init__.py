"""What the platform adds to NVFlare at a hospital: a start that waits for a kit, a health file, the privacy
policy.
"""
