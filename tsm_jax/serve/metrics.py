"""What is counted, in the text format of Prometheus."""

import prometheus_client as prometheus

CONTENT_TYPE = prometheus.CONTENT_TYPE_LATEST
_SECONDS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5)


class Metrics:
  """The counters of one server.

  Attributes:
    slots, viewers: how many there are.
    refused: viewers for whom no slot was free.
    closed: connections that the server ended, by WebSocket's code.
    steps: of the model for viewers: `shown`, or `dropped`, as a newer picture
      or another stream came before it was computed.
    step_seconds: of the model, for all viewers with a picture.
    answer_seconds: from the arrival of a picture to its answer.
  """

  def __init__(self, slots):
    """Counts from 0; `slots` is how many viewers there may be."""
    self.registry = registry = prometheus.CollectorRegistry()
    prometheus.ProcessCollector(registry=registry)

    def create(kind, name, text, *more, **kwargs):
      return kind(f'tsm_jax_{name}', text, *more, registry=registry, **kwargs)

    self.slots = create(prometheus.Gauge, 'slots', 'Viewers at most.')
    self.slots.set(slots)
    self.viewers = create(prometheus.Gauge, 'viewers', 'Viewers now.')
    self.refused = create(
      prometheus.Counter, 'refused', 'Viewers for whom there was no slot.'
    )
    self.closed = create(
      prometheus.Counter,
      'closed',
      'Connections that the server ended.',
      ['code'],
    )
    self.steps = create(
      prometheus.Counter,
      'steps',
      'Steps of the model that were due.',
      ['what'],
    )
    self.step_seconds = create(
      prometheus.Histogram,
      'step_seconds',
      'A step of the model, for all viewers with a picture.',
      buckets=_SECONDS,
    )
    self.answer_seconds = create(
      prometheus.Histogram,
      'answer_seconds',
      'From the arrival of a picture to its answer.',
      buckets=_SECONDS,
    )

  def text(self):
    """All of them, as bytes."""
    return prometheus.generate_latest(self.registry)
