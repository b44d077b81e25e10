"""Viewers in the slots of one session, which one thread steps."""

import itertools
import threading

from tsm_jax.serve import limits, viewers


class Slots:
  """Viewers, as many as a session has slots.

  The methods but `run` are for the thread that talks to viewers, and do not
  wait for the model.

  Attributes:
    session: a `session.Session`.
    error: the exception that ended `run`, or None.
  """

  def __init__(self, session, interval, metrics, emptied=lambda: None):
    """Has nobody in it.

    Args:
      session: a `session.Session`, which is nobody else's from now on.
      interval: seconds between two steps of a viewer.
      metrics: a `metrics.Metrics`.
      emptied: called by the thread of `run` when the last one has left.
    """
    self.session, self.error = session, None
    self._interval, self._metrics = interval, metrics
    self._emptied = emptied
    self._viewers, self._gone = [], []
    self._names = itertools.count()
    self._changed = threading.Condition()
    self._closed = False

  def enter(self, tell):
    """Takes a slot.

    Args:
      tell: called by the thread of `run` with a dict for the viewer, a
        `limits.Closing` that ends its connection, or None at its end. Call
        `sent` for each dict.

    Returns:
      A `viewers.Viewer`, or None if all slots are taken.
    """
    with self._changed:
      if len(self._viewers) >= self.session.slots:
        self._metrics.refused.inc()
        return None
      viewer = viewers.Viewer(next(self._names), tell, self._interval)
      self._viewers.append(viewer)
      self._metrics.viewers.set(len(self._viewers))
      return viewer

  def leave(self, viewer):
    """Frees a slot; the next viewer can have it at once."""
    with self._changed:
      self._viewers.remove(viewer)
      self._gone.append(viewer)
      self._metrics.viewers.set(len(self._viewers))
      self._changed.notify()

  def show(self, viewer, jpeg, seconds):
    """Lets a picture wait, if its time is due, in the place of an older one."""
    with self._changed:
      self._count_dropped(viewer.show(jpeg, seconds))
      self._changed.notify()

  def restart(self, viewer):
    """Begins another stream; the events that were open are told."""
    with self._changed:
      self._count_dropped(viewer.restart())
      self._changed.notify()

  def end(self, viewer):
    """Ends a stream after the picture that waits; the last events are told."""
    with self._changed:
      viewer.end()
      self._changed.notify()

  def sent(self, viewer):
    """One more answer was sent."""
    with self._changed:
      viewer.unsent -= 1
      self._changed.notify()

  def close(self):
    """Ends `run`."""
    with self._changed:
      self._closed = True
      self._changed.notify()

  def run(self, failed):
    """Steps the model until `close`, in a thread of its own.

    Args:
      failed: called without arguments if an exception ends it, which is then
        in `error`.
    """
    try:
      while (turns := self._wait()) is not None:
        self._step(turns)
    except Exception as error:
      self.error = error
      failed()

  def _wait(self):
    """`(viewer, turn)` of all for whom there is something to do, or None."""
    with self._changed:
      self._changed.wait_for(
        lambda: (
          self._closed or self._gone or any(v.is_due() for v in self._viewers)
        )
      )
      if self._closed:
        return None
      gone, self._gone = self._gone, []
      turns = [(v, v.turn()) for v in self._viewers if v.is_due()]
    for viewer in gone:
      if viewer.name in self.session.streams:
        self.session.remove(viewer.name)
    if gone and not self.session.streams and not turns:
      self._emptied()
    return turns

  def _step(self, turns):
    """One step for all whose turn it is."""
    shown = [viewer for viewer, turn in turns if self._prepare(viewer, *turn)]
    if not shown:
      return
    times = {viewer.name: viewer.next_time() for viewer in shown}
    with self._metrics.step_seconds.time():
      answers = self.session.step({v.name: v.image for v in shown}, times)
    self._metrics.steps.labels('shown').inc(len(shown))
    for viewer in shown:
      if told := viewer.answer(answers[viewer.name]):
        self._metrics.answer_seconds.observe(viewer.waited())
        self._tell(viewer, told)

  def _prepare(self, viewer, restarts, picture, end):
    """Does what comes before a step; whether there is one for this viewer."""
    if viewer.name not in self.session.streams:
      self.session.add(viewer.name)
    if restarts:
      events = viewer.begin() + list(self.session.reset(viewer.name))
      told = viewers.as_dicts(events)
      self._tell(viewer, {'restarted': restarts, 'events': told})
    if end:
      events = viewer.begin() + list(self.session.end(viewer.name))
      self._tell(viewer, {'events': viewers.as_dicts(events)})
      viewer.tell(None)
    if picture:
      try:
        viewer.take(*picture)
      except limits.Closing as closing:
        viewer.tell(closing)
        return False
    return viewer.next_time() is not None

  def _count_dropped(self, steps):
    self._metrics.steps.labels('dropped').inc(steps)

  def _tell(self, viewer, message):
    with self._changed:
      viewer.unsent += 1
    viewer.tell(message)
