"""Features and skeletons that others have published, brought into the data root."""
