"""A run over its stages: checked, estimated and tried before it is paid for, run, and objects to
work with.

`order` says which stages there are, `library` runs them here, `running` finds whatever
runner there is, `summary` says what came out.
"""
