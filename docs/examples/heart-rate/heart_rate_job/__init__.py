"""Maximum heart rate by age and sex."""
