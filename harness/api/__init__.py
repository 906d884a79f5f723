"""The wire: what requests, answers, errors and events look like. No I/O in here."""
