"""Runs of EleutherAI's Delphi, read into the lake's tables and written back in its layout."""
