"""What the stage predictions does for every scorer: items, tasks, questions, rows."""
