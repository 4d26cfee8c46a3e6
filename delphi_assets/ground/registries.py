"""What settings call by name: the scorers, explainers, coder formats and so on that there are.

In: a name. Out: what it stands for, imported when it is asked for.

They know the settings, and settings are checked against their names: so the
names stand below both.
"""

from delphi_assets.ground.registry import Registry

SCORERS = Registry(
    "scorer",
    "a",
    {
        "detection": "delphi_assets.scorers.detection:detection",
        "fuzz": "delphi_assets.scorers.fuzz:fuzz",
        "intruder": "delphi_assets.scorers.intruder:intruder",
        "discrimination": "delphi_assets.scorers.discrimination:discrimination",
        "simulation": "delphi_assets.scorers.simulation:simulation",
        "surprisal": "delphi_assets.scorers.surprisal:surprisal",
        "embedding": "delphi_assets.scorers.embedding:embedding",
        "example_embedding": "delphi_assets.scorers.example_embedding:example_embedding",
    },
)

EXPLAINERS = Registry(
    "explainer",
    "an",
    {
        "default": "delphi_assets.explainers.default:DEFAULT",
        "contrastive": "delphi_assets.explainers.contrastive:CONTRASTIVE",
        "single_token": "delphi_assets.explainers.single_token:SINGLE_TOKEN",
        "best_of_k": "delphi_assets.explainers.best_of_k:BEST_OF_K",
        "lexical": "delphi_assets.explainers.counting:LEXICAL",
        "none": "delphi_assets.explainers.stored:NONE",
    },
    check="delphi_assets.explainers.checks:problem_of",
)

SOURCES = Registry(
    "non-activating source",
    "a",
    {
        "random": "delphi_assets.selection.non_activating.shipped:RANDOM",
        "co-occurrence": "delphi_assets.selection.non_activating.shipped:CO_OCCURRENCE",
        "decoder": "delphi_assets.selection.non_activating.shipped:DECODER",
        "encoder": "delphi_assets.selection.non_activating.shipped:ENCODER",
        "semantic": "delphi_assets.selection.non_activating.shipped:SEMANTIC",
    },
)

CODER_FORMATS = Registry(
    "coder format",
    "a",
    {
        "SAELens": "delphi_assets.coders.saelens:SAELens",
        "Gemma Scope": "delphi_assets.coders.gemma_scope:GemmaScope",
        "dictionary_learning": "delphi_assets.coders.dictionary_learning:DictionaryLearning",
        "sparsify": "delphi_assets.coders.sparsify:Sparsify",
    },
)

TRAIN_SAMPLERS = Registry(
    "train sampler",
    "a",
    {
        "top": "delphi_assets.selection.samplers:TOP",
        "random": "delphi_assets.selection.samplers:RANDOM",
        "quantiles": "delphi_assets.selection.samplers:QUANTILES",
        "mix": "delphi_assets.selection.samplers:MIX",
    },
)

TEST_SAMPLERS = Registry(
    "test sampler",
    "a",
    {
        "quantiles": "delphi_assets.selection.samplers:HELD_OUT_QUANTILES",
        "activations": "delphi_assets.selection.samplers:HELD_OUT_ACTIVATIONS",
    },
)

NEIGHBOUR_METHODS = Registry(
    "neighbour method",
    "a",
    {
        "co-occurrence": "delphi_assets.selection.neighbours.co_occurrence:CoOccurrence",
        "decoder": "delphi_assets.selection.neighbours.weight_similarity:DECODER",
        "encoder": "delphi_assets.selection.neighbours.weight_similarity:ENCODER",
    },
)

TRANSPORTS = Registry(
    "transport",
    "a",
    {
        "litellm": "delphi_assets.llm.transports.through_litellm:LiteLLM",
        "local": "delphi_assets.llm.transports.local:Local",
    },
)

RUNNERS = Registry("runner", "a", {"library": "delphi_assets.runs.running:by_library"})
