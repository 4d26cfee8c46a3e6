"""The notation of hookpoints: a module of the model, and behind an '@' the name of a coder.

In: a name such as `layers.9@wide`. Out: its parts, or what is wrong with it.
"""

import re
from collections.abc import Collection

from delphi_assets.ground.shown_values import shown

NAME = r"^[A-Za-z0-9][A-Za-z0-9_.-]*$"
LONGEST_NAME = 200
"""Characters of a name that becomes part of a folder's, which systems limit to 255 bytes."""


def module_of(hookpoint: str) -> str:
    """The module that a hookpoint names: all of it, or what stands before its '@'."""
    return hookpoint.partition("@")[0]


def coder_of(hookpoint: str) -> str:
    """The coder that a hookpoint names behind its '@'; empty when it names none."""
    return hookpoint.partition("@")[2]


def problem_of_hookpoint(
    hookpoint: str, named_coders: Collection[str], has_other_coder: bool
) -> str | None:
    """What is wrong with a hookpoint's name, None when nothing is.

    `named_coders` are those of coder.sparse_models; whether there is a coder.sparse_model for the
    hookpoints that name none is `has_other_coder`.
    """
    module, at, named = hookpoint.partition("@")
    pattern = NAME.replace("[A-Za-z0-9]", "[.A-Za-z0-9]", 1)
    if not re.fullmatch(pattern, module) or "..." in hookpoint or len(hookpoint) > LONGEST_NAME:
        return (
            f"cache.hookpoints holds {shown(hookpoint)}; expected a module name such as "
            "'layers.10' or 'layers.10.mlp', with '@' and the name of a coder behind it where it "
            f"has several, of at most {LONGEST_NAME} characters"
        )
    if at and named not in named_coders:
        return (
            f"cache.hookpoints holds {hookpoint!r}, but coder.sparse_models names no coder "
            f"{named!r}; expected one of {sorted(named_coders)}"
        )
    if not at and not has_other_coder:
        return (
            f"coder.sparse_model is missing, where cache.hookpoints holds {hookpoint!r}; expected "
            "a coder, or '@' and one of coder.sparse_models behind every hookpoint"
        )
    return None
