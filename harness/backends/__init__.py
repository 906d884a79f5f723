"""Whatever answers an inference request: replay, record, upstream."""
