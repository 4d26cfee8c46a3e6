"""The lake: where files live, how they look, and how they are written, merged and read."""
