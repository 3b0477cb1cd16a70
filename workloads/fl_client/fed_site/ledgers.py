"""Names of a hospital's ledgers, in the client's folder. The container server has them from here, too."""

BUDGET_FILE = "budget.json"
"""What is spent of the privacy budget (privacy.py)."""
RELEASED_FILE = "released.json"
"""What statistics left (released.py)."""
RUNS_FILE = "runs.json"
"""How often each code ran (runs.py)."""
