"""A run on the Hugging Face hub: written with a model card, read and verified.

What is in such a repository:
  model.safetensors       the weights, in the authors' form
  model.safetensors.json  labels, fields of the model and of its input
  config.json             the configuration of the run
  tsm_jax.json            the run in short, and the SHA-256 of all files
  README.md               the model card
and the curves and the confusion matrix, if the run has them.
"""
