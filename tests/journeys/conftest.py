"""Journeys use the real server and a real browser."""

from tests.browser import browser, context, serve

__all__ = ["browser", "context", "serve"]
