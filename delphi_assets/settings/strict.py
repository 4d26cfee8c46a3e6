"""What settings have in common: they are frozen, and strict."""

from pydantic import BaseModel, ConfigDict


class Settings(BaseModel):
    """Frozen, and strict: what is unknown, of another type or not finite is refused."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        strict=True,
        allow_inf_nan=False,
    )
