"""A run over its stages: checked and estimated before it is paid for, and objects to work with."""
