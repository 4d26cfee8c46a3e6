"""The subject model: its tokenizer, its modules, and what flows in and out of them.

In: `ModelSettings`, names of hookpoints, token ids. Out: activations at the hooks.

1. `check_hookpoints` learns from the configuration alone, on PyTorch's meta device, which modules
   the model has and how wide their inputs and outputs are; no weight is read. The machine remembers
   it (`machine_cache`).
2. `load_subject` loads tokenizer and base model (the model without its language-modelling head).
3. `forward_to` runs the model until the last hook is reached, and no further.
"""

import difflib
import logging
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from importlib import metadata
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn

from delphi_assets.errors import DataError, DelphiAssetsError, SettingError
from delphi_assets.ground.hookpoint_names import module_of
from delphi_assets.ground.machine_cache import remembered
from delphi_assets.models.embedded import GEMMA, gemma_folder
from delphi_assets.settings import ModelSettings, Profile

Side = Literal["input", "output", "normalized input"]
"""What of a module is read. The last is a norm's input as TransformerLens's `hook_normalized` has
it: of an RMSNorm divided by its root mean square, before the gain; of a LayerNorm what it returns.
"""

log = logging.getLogger(__name__)

_WRAPPERS = ("model.", "transformer.", "gpt_neox.", "base_model.", "language_model.")
_DUMMY_LENGTH = 4


class Hook(NamedTuple):
    """A module of a model and the side of it that is read."""

    module: str
    side: Side


class HookpointShape(NamedTuple):
    """Widths of what a module reads and returns; None where it is not a [batch, seq, d] tensor."""

    module: str
    input: int | None
    output: int | None

    def width(self, side: Side) -> int | None:
        """Width of the hooked side."""
        return self.output if side == "output" else self.input


@dataclass(frozen=True)
class Subject:
    """A tokenizer and the base model it belongs to, on its device and ready to run."""

    tokenizer: Any
    model: Any

    @property
    def device(self) -> torch.device:
        """Where the inputs go."""
        device: torch.device = self.model.device
        return device

    @cached_property
    def special_ids(self) -> Tensor:
        """Token ids [n] on which activations are dropped when `filter_bos` is set."""
        return torch.tensor(special_ids(self.tokenizer), dtype=torch.long, device=self.device)


class _Captured(Exception):
    """Raised in a hook to leave the forward pass once every hook has been reached."""


def load_subject(settings: ModelSettings) -> Subject:
    """Tokenizer and base model, in evaluation mode and without gradients.

    Raises `DataError` when they cannot be loaded, `SettingError` for a device that is not there.
    """
    from transformers import AutoModel

    device = pick_device(settings.device)
    dtype = getattr(torch, settings.dtype)
    if not multiplies(device, dtype):
        log.warning(
            f"This CPU has no arithmetic of {settings.dtype}, in which the model is to run: a "
            "hundred times slower than in float32 has been seen; set model.dtype = 'float32', "
            "unless contexts of this run were captured already."
        )
    with readable(settings):
        model = AutoModel.from_pretrained(
            _location(settings), revision=settings.revision, dtype=dtype
        )
    model.eval().requires_grad_(False).to(device)
    return Subject(load_tokenizer(settings), model)


def load_tokenizer(settings: ModelSettings) -> Any:
    """The model's tokenizer; raises `DataError` when it cannot be loaded."""
    from transformers import AutoTokenizer

    with readable(settings):
        return AutoTokenizer.from_pretrained(_location(settings), revision=settings.revision)


def load_config(settings: ModelSettings) -> Any:
    """The model's configuration; raises `DataError` when it cannot be loaded."""
    from transformers import AutoConfig

    with readable(settings):
        return AutoConfig.from_pretrained(_location(settings), revision=settings.revision)


def vocabulary_size(config: Any) -> int:
    """Rows of the model's embedding; token ids are below it."""
    return int(config.get_text_config().vocab_size)


def special_ids(tokenizer: Any) -> list[int]:
    """Ids of BOS, EOS, padding and the like, in order."""
    added = tokenizer.added_tokens_decoder
    marked = {token for token, description in added.items() if description.special}
    return sorted(marked | set(tokenizer.all_special_ids))


def pick_device(name: str) -> torch.device:
    """The device named in `model.device`; `auto` takes a GPU when there is one.

    Raises `SettingError` when the device is unknown or not there.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise SettingError(
            f"model.device = {name!r} cannot be used ({str(error).splitlines()[0]}); expected "
            "auto, cpu, cuda or cuda:N."
        ) from error
    return device


def resolve_hookpoint(model: nn.Module, name: str) -> str:
    """The module of the base model that a hookpoint names before its '@', if it has one.

    A leading "." and the prefixes under which wrappers hold the base model are accepted, because
    users of Delphi write ".model.layers.10". Raises `SettingError` with the nearest names.
    """
    modules = {module for module, _ in model.named_modules() if module}
    stripped = module_of(name)
    while stripped not in modules:
        shorter = strip_wrapper(stripped)
        if shorter == stripped:
            nearest = difflib.get_close_matches(stripped, sorted(modules), n=3, cutoff=0.0)
            raise SettingError(
                f"cache.hookpoints holds {name!r}, which names no module of the model; expected "
                f"for example one of {nearest}."
            )
        stripped = shorter
    return stripped


def multiplies(device: torch.device, dtype: torch.dtype) -> bool:
    """Whether matrices of this precision are multiplied there by instructions that it has.

    torch goes without them on a CPU that has none, one number after the other.
    """
    if device.type != "cpu":
        return True
    has = {
        torch.bfloat16: torch.ops.mkldnn._is_mkldnn_bf16_supported,
        torch.float16: torch.ops.mkldnn._is_mkldnn_fp16_supported,
    }
    return dtype not in has or bool(has[dtype]())


def strip_wrapper(name: str) -> str:
    """A hookpoint's name without its first wrapper prefix; unchanged when it has none."""
    for prefix in (".", *_WRAPPERS):
        if name.startswith(prefix):
            return name[len(prefix) :]
    return name


def check_hookpoints(profile: Profile) -> dict[str, HookpointShape]:
    """Module and widths of every hookpoint of the profile, by the profile's names.

    Reads the configuration only; an architecture that cannot run on the meta device is loaded.
    Raises `SettingError` for a hookpoint that the model does not have, `DataError` for a model
    that cannot be read.
    """
    with readable(profile.model):
        file = Path(_location(profile.model)) / "config.json"
        # A model of the hub has no file of that name, and is looked at every time.
        config = file.read_text(encoding="utf-8") if file.is_file() else None
    if config is None:
        return _shapes(profile)
    # To build it, transformers and its dependencies are loaded: seconds each time.
    known = {name: metadata.version(name) for name in ("torch", "transformers")}
    code = Path(__file__).read_text(encoding="utf-8")
    depends = [config, profile.cache.hookpoints, known, code]
    found = remembered(depends, lambda: _shapes(profile))
    return {name: HookpointShape(*shape) for name, shape in found.items()}


def _shapes(profile: Profile) -> dict[str, HookpointShape]:
    from transformers import AutoModel

    config = load_config(profile.model)
    with readable(profile.model), torch.device("meta"):
        # Other kinds of attention look into the mask, and tensors on meta have no values.
        model = AutoModel.from_config(config, attn_implementation="eager").eval()
    modules = {name: resolve_hookpoint(model, name) for name in profile.cache.hookpoints}
    try:
        widths = _widths(model, set(modules.values()))
    except (RuntimeError, NotImplementedError, ValueError, TypeError):
        widths = _widths(load_subject(profile.model).model, set(modules.values()))
    return {name: HookpointShape(module, *widths[module]) for name, module in modules.items()}


def _widths(model: nn.Module, modules: set[str]) -> dict[str, tuple[int | None, int | None]]:
    """(input, output) width of the modules, from a forward pass over a few zeros."""
    found: dict[str, tuple[int | None, int | None]] = dict.fromkeys(modules, (None, None))

    def note(name: str) -> Any:
        def hook(_: nn.Module, args: Any, kwargs: Any, output: Any) -> None:
            found[name] = (_width(_first_input(args, kwargs)), _width(_unpack(output)))

        return hook

    handles = [
        model.get_submodule(name).register_forward_hook(note(name), with_kwargs=True)
        for name in modules
    ]
    try:
        device = next(model.parameters()).device
        dummy = torch.zeros(1, _DUMMY_LENGTH, dtype=torch.long, device=device)
        with torch.no_grad():
            # Without a mask transformers looks into position ids, which the meta device lacks.
            model(input_ids=dummy, attention_mask=torch.ones_like(dummy), use_cache=False)
    finally:
        for handle in handles:
            handle.remove()
    return found


def forward_to(
    model: nn.Module, hooks: Collection[Hook], input_ids: Tensor, attention_mask: Tensor
) -> dict[Hook, Tensor]:
    """Activations [batch, seq, d] at `hooks`, several of which may be at one module.

    `input_ids` and `attention_mask` are [batch, seq]. The pass ends at the last hook that it
    reaches. Raises `DataError` when one is not reached, its activation has another shape, or a
    normalized input is asked of a module that is no norm.
    """
    wanted = frozenset(hooks)
    captured: dict[Hook, Tensor] = {}

    def keep(hook: Hook, activation: Any) -> None:
        if hook in captured:
            return
        if not isinstance(activation, Tensor) or activation.shape[:-1] != input_ids.shape:
            shape = tuple(activation.shape) if isinstance(activation, Tensor) else None
            raise DataError(
                f"the {hook.side} of module {hook.module!r} has shape {shape}; expected [batch, "
                f"seq, d] with [batch, seq] = {tuple(input_ids.shape)}. Hook another module."
            )
        if len(captured) + 1 == len(wanted):
            captured[hook] = activation
            raise _Captured
        # The pass goes on, and models such as Falcon add to what a module returned in place.
        captured[hook] = activation.clone()

    with _hooked(model, wanted, keep), torch.no_grad():
        try:
            model(input_ids=input_ids, attention_mask=attention_mask, use_cache=False)
        except _Captured:
            return captured
    missed = [f"the {hook.side} of {hook.module!r}" for hook in sorted(wanted - set(captured))]
    raise DataError(f"the forward pass does not reach {', '.join(missed)}; hook another module.")


@contextmanager
def _hooked(
    model: nn.Module, hooks: Collection[Hook], keep: Callable[[Hook, Any], None]
) -> Iterator[None]:
    handles = []

    def before(hook: Hook) -> Any:
        return lambda _, args, kwargs: keep(hook, _first_input(args, kwargs))

    def after(hook: Hook) -> Any:
        return lambda _, args, output: keep(hook, _unpack(output))

    def normalized(hook: Hook, epsilon: float) -> Any:
        return lambda _, args, kwargs: keep(hook, _rms_norm(_first_input(args, kwargs), epsilon))

    for hook in hooks:
        module = model.get_submodule(hook.module)
        if hook.side == "input":
            handles.append(module.register_forward_pre_hook(before(hook), with_kwargs=True))
        elif hook.side == "output" or isinstance(module, nn.LayerNorm):
            handles.append(module.register_forward_hook(after(hook)))
        else:
            scaled = normalized(hook, _epsilon(module, hook.module))
            handles.append(module.register_forward_pre_hook(scaled, with_kwargs=True))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _first_input(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """What the module reads: its first argument, or `hidden_states` where it is passed by name."""
    return args[0] if args else kwargs.get("hidden_states")


def _unpack(output: Any) -> Any:
    return output[0] if isinstance(output, tuple) else output


def _epsilon(module: nn.Module, name: str) -> float:
    """What an RMSNorm adds to the mean square."""
    epsilon = getattr(module, "variance_epsilon", getattr(module, "eps", None))
    if "RMSNorm" not in type(module).__name__ or epsilon is None:
        raise DataError(
            f"the normalized input of module {name!r} is to be read, but that is a "
            f"{type(module).__name__}; expected a LayerNorm or RMSNorm."
        )
    return float(epsilon)


def _rms_norm(x: Tensor, epsilon: float) -> Tensor:
    """`x` [..., d] over its root mean square, in single precision, as norms compute it."""
    x = x.float()
    return x * torch.rsqrt(x.pow(2).mean(dim=-1, keepdim=True) + epsilon)


def _width(activation: Any) -> int | None:
    is_stream = isinstance(activation, Tensor) and activation.ndim == 3
    return int(activation.shape[-1]) if is_stream else None


def _location(settings: ModelSettings) -> str:
    return str(gemma_folder()) if settings.name == GEMMA else settings.name


@contextmanager
def readable(settings: ModelSettings) -> Iterator[None]:
    """Turn what goes wrong while reading a model into a `DataError` that names it."""
    if settings.name.startswith("embedded:") and settings.name != GEMMA:
        raise SettingError(f"model.name = {settings.name!r} is unknown; expected {GEMMA!r}.")
    try:
        yield
    except DelphiAssetsError:
        raise
    except Exception as error:
        # A damaged folder makes transformers raise whatever it stumbles over.
        raise DataError(
            f"model.name = {settings.name!r} (revision {settings.revision!r}) cannot be loaded: "
            f"{type(error).__name__}: {error}; expected a model of the Hugging Face hub that can "
            f"be reached, a folder in its layout, or {GEMMA!r}."
        ) from error


def leading_bos(tokenizer: Any) -> int | None:
    """The BOS token if the tokenizer puts one before a text by default."""
    bos: int | None = tokenizer.bos_token_id
    return bos if bos is not None and tokenizer("a")["input_ids"][:1] == [bos] else None
