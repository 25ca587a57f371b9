"""The machine that runs a program."""
