"""Entry of ``python -m automation``; people use ``./fed``."""

from automation.cli import main

main()
