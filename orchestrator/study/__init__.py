"""From a spec to its trials and what is to be done with them."""
