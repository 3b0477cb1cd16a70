"""A hospital joins or leaves: its entry in the stack file, its address range, what its subscription lacks."""
