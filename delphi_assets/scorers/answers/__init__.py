"""What a judge's raw answer says."""
