"""What a run that was killed leaves behind, and how the next one goes on from there."""
