"""Clips seen in several views, in time and in space."""


def view_logits(model, variables, frames, preprocessing):
  """The logits of clips seen in several views.

  Args:
    model: a Flax module.
    variables: params and batch_stats.
    frames: uint8 `[B, V, T, S, S, C]`.
    preprocessing: a `preprocess.Preprocessing`.

  Returns:
    float32 `[B, K]`, the mean over the views of a clip.
  """
  views = frames.reshape((-1, *frames.shape[2:]))  # [B * V, T, S, S, C]
  logits = model.apply(variables, preprocessing.normalize(views), train=False)
  return logits.reshape((*frames.shape[:2], -1)).mean(axis=1)
