"""Record what a language model's API answered, once; answer from the recordings ever after."""

__version__ = "0.1.0"
