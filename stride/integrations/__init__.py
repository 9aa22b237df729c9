"""Stride in training that a framework runs: callbacks for Keras, Lightning and transformers, and `follow` for PyTorch."""
