"""Questions that people ask the lake in SQL: by a command, in a shell, or shipped with a name."""
