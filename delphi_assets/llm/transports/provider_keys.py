"""Which environment variables LiteLLM's providers take keys and addresses from.

In: a model and the settings of its calls. Out: nothing, or a `SettingError` that says which
variable or setting is missing. No key is read, printed or sent.

The names of LiteLLM's providers and variables are listed here, as loading LiteLLM to ask it takes
seconds; a test compares them with what it says and does. A provider that is not listed is not
refused for a key: there are too many ways to give one to a cloud.
"""

import os
from collections.abc import Iterable

from delphi_assets.errors import SettingError
from delphi_assets.llm.calls.litellm_calls import served
from delphi_assets.settings import LLMSettings

# fmt: off
_KEYED = (
    "ai21", "ai21_chat", "anthropic", "azure", "baseten", "cerebras", "cloudflare",
    "codestral", "cohere", "dashscope", "deepinfra", "deepseek", "edenai", "featherless_ai",
    "fireworks_ai", "gemini", "groq", "huggingface", "inception", "mistral", "modelscope",
    "moonshot", "nadir", "nebius", "nlp_cloud", "novita", "nvidia_nim", "openai",
    "openrouter", "perplexity", "qwen_ai_platform", "qwencloud", "replicate", "tencent",
    "together_ai", "vercel_ai_gateway", "volcengine", "wandb", "xai",
)
# fmt: on
"""Providers that take a key from <PROVIDER>_API_KEY, or from a variable of `_ALSO`."""

_ALSO = {
    "ai21_chat": ("AI21_API_KEY",),
    "anthropic": ("ANTHROPIC_AUTH_TOKEN",),
    "azure": ("AZURE_OPENAI_API_KEY", "AZURE_AD_TOKEN", "AZURE_CLIENT_ID"),
    "cohere": ("CO_API_KEY",),
    "fireworks_ai": ("FIREWORKS_API_KEY", "FIREWORKSAI_API_KEY", "FIREWORKS_AI_TOKEN"),
    "gemini": ("GOOGLE_API_KEY",),
    "huggingface": ("HF_TOKEN",),
    "openrouter": ("OR_API_KEY",),
    "perplexity": ("PERPLEXITYAI_API_KEY",),
    "qwen_ai_platform": ("DASHSCOPE_API_KEY",),
    "qwencloud": ("DASHSCOPE_API_KEY",),
    "replicate": ("REPLICATE_API_TOKEN",),
    "together_ai": ("TOGETHERAI_API_KEY", "TOGETHER_API_KEY", "TOGETHER_AI_TOKEN"),
    "vercel_ai_gateway": ("VERCEL_OIDC_TOKEN",),
    "volcengine": ("ARK_API_KEY",),
}

KEYS = {name: (f"{name.upper()}_API_KEY", *_ALSO.get(name, ())) for name in _KEYED} | {
    "datarobot": ("DATAROBOT_API_TOKEN",),
    "text-completion-openai": ("OPENAI_API_KEY",),
    "text-completion-codestral": ("CODESTRAL_API_KEY",),
    "text-completion-inception": ("INCEPTION_API_KEY",),
}
"""By provider: variables, of which one has to be set."""

_OPENAI = ("OPENAI_API_BASE", "OPENAI_BASE_URL")

SERVERS = {
    "ai21": _OPENAI,
    "aiohttp_openai": _OPENAI,
    "custom_openai": _OPENAI,
    "hosted_vllm": ("HOSTED_VLLM_API_BASE",),
    "litellm_proxy": ("LITELLM_PROXY_API_BASE", *_OPENAI),
    "lm_studio": ("LM_STUDIO_API_BASE", *_OPENAI),
    "xinference": _OPENAI,
    "a2a": ("A2A_API_BASE",),
    "azure_ai": ("AZURE_AI_API_BASE",),
    "custom": (),
    "heroku": ("HEROKU_API_BASE",),
    "oobabooga": (),
    "triton": (),
}
"""By provider that has no address of its own: variables, of which one may give it. Without any,
LiteLLM sends what is asked of the first seven to OpenAI, and refuses the others."""


def check_address(settings: LLMSettings, setting: str, model: str) -> None:
    """Refuse a model without the address or the key that its provider needs.

    A server of one's own (`api_base`) may need no key and is not checked for one.
    """
    if settings.api_base is not None:
        return
    provider = _provider(model)
    if provider in SERVERS and not _any_set(SERVERS[provider]):
        raise SettingError(
            f"{setting} = {model!r} names a server of your own, and nothing says where it is: "
            "LiteLLM would refuse to call it, or send the texts to OpenAI; set llm.api_base (or, "
            f"for this model alone, api_base in [llm.models.{model!r}]) to the server's base URL, "
            "for example 'http://127.0.0.1:8000/v1'."
        )
    if provider in KEYS and not _any_set(KEYS[provider]):
        raise SettingError(
            f"{setting} = {model!r} needs {' or '.join(KEYS[provider])} in the environment; set "
            "it, or set llm.api_base for a server of your own."
        )


def _provider(model: str) -> str:
    prefix, slash, _ = model.partition("/")
    return prefix if slash and (prefix in KEYS or prefix in SERVERS) else served(model).provider


def _any_set(variables: Iterable[str]) -> bool:
    return any(os.environ.get(variable) for variable in variables)
