"""The command line: click, a file for each command, no logic."""
