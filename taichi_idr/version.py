"""The version of this package, as in pyproject.toml and CHANGELOG.md."""

__version__ = "0.1.0"
