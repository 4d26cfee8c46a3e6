"""Programs that measure; each prints JSON. They are no tests and run on their own."""
