"""The shipped joint maps, one YAML file each."""
