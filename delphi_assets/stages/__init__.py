"""The stages of a run together: in which order, run by whom, and what is said of them.

`order` says which there are, `library` runs them here, `running` goes over them with whatever
runner there is, `summary` says what came out.
"""
