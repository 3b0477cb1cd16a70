"""Tools of a maintainer of emulator/arm; nothing here runs with the emulator."""
