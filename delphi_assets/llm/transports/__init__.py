"""Ways to reach models that come with delphi-assets."""
