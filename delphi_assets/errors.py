"""What can go wrong, as types.

Every error says the value received, what was expected and what to do about it. All of them are
`DelphiAssetsError`, so one `except` catches what this library raises on purpose and nothing else.
"""


class DelphiAssetsError(Exception):
    """Root of every error this library raises on purpose."""


class SettingError(DelphiAssetsError):
    """A setting of a profile or a launch is unknown, of the wrong type, or impossible."""


class DataError(DelphiAssetsError):
    """Something read from outside (corpus, model, coder, table) is not what it should be."""


class ConflictError(DelphiAssetsError):
    """The lake already holds data made with other settings under the same name."""


class StorageError(DelphiAssetsError):
    """Something cannot be written: no room, no permission, a file where a folder should be."""


class NotReadyError(DelphiAssetsError):
    """An earlier stage has not been materialized yet."""


class ServerError(DelphiAssetsError):
    """An LLM's server stays away, or has lost what was paid for; what arrived is stored."""


class NoAnswerError(DelphiAssetsError):
    """Of all that a stage asked an LLM, no answer can be used; each is stored with its reason."""


class BudgetError(DelphiAssetsError):
    """The next LLM call could exceed a budget; what was paid for is stored, and a run resumes."""
