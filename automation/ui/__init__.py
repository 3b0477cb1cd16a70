"""How every command speaks: its arguments, its tables and sentences, its errors and exit codes."""
