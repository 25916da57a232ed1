"""Pages for people who have no Python: one file each, nothing fetched."""

from hyperrank.pages.front_page import front_page

__all__ = ["front_page"]
