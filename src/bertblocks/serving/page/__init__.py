"""The page at /: try the model in a browser."""

from bertblocks.serving.page.routes import PageRoutes

__all__ = ["PageRoutes"]
