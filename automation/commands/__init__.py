"""The commands of `fed`, one file each: `automation/commands/verify.py` is `fed verify`.

A file holds a function `command` (its signature is the command's arguments, its docstring the help) or, for a
command with commands of its own, a `typer.Typer` named `app`. A constant `PANEL` says under which heading of
``fed --help`` it is (`PANELS` in cli.py). Nothing slow is imported at the top of such a file: every `fed`
passes here.
"""
