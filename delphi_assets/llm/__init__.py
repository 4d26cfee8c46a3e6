"""Asking LLMs: what is asked, what came back, and never paying twice for an answer."""

from delphi_assets.llm.client import Client
from delphi_assets.llm.completions import Completion, CompletionLog
from delphi_assets.llm.requests import Message, Request

__all__ = ["Client", "Completion", "CompletionLog", "Message", "Request"]
