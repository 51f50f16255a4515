"""A study as its YAML file describes it, loaded and checked."""
