"""Where things are kept: recordings in a directory; conversations and responses in a database."""
