"""``python -m harness``: the command line without its script."""

from harness.cli.main import main

main()
