"""Transports for HTTP clients: the harness answers in-process, without a socket."""
