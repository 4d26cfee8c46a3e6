"""What `delphi-assets` can be told to do: a module for each command, with a `COMMAND` in it."""
