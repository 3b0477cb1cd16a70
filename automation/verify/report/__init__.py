"""What a verification says: tables on a terminal, JSON, the report and its picture."""
