"""Recordings as values: their format, their names, what makes two requests equal, chunks. No I/O in here."""
