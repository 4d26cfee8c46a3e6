"""Who answers: LLMs that are prompted, models in memory, counting."""
