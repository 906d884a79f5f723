"""The Responses engine: a state machine without I/O, clock or randomness, and what it needs."""
