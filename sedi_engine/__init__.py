"""The engine of SeDi Studio: generate, filter, compose, train, feed back."""

__version__ = "0.1.0"
