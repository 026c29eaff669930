"""What a language model's reading adds to the detectors of model text."""
