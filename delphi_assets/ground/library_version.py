"""The version of this library that runs."""

from importlib import metadata


def library_version() -> str | None:
    """Of the installed package; None where Python only finds the source."""
    try:
        return metadata.version("delphi-assets")
    except metadata.PackageNotFoundError:
        return None
