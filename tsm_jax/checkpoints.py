"""Trained models by their path; see `tsm_jax.runs.checkpoints`."""

from tsm_jax.runs.checkpoints import TrainedModel, restore_model

__all__ = ['TrainedModel', 'restore_model']
