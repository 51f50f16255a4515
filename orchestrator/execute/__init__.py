"""Running planned trials: one protocol, in this process or on Ray Tune."""
