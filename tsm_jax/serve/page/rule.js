// Turns the scores of one stream into events, as they come, as Python does: see
// `tsm_jax/stream/events/` for what the fields of a rule mean.

const ROUNDING = 1e-6;  // times are sums of steps, which are not exact
const SMALLEST = 2 ** -126;  // a probability whose logarithm is taken

// What decides for one stream by a rule: `add(time, logits)` and `end(time)`
// give the events that have ended, each {start, end, label, score, decided};
// `label`, `score` and `probabilities` say what goes on.
export function create(rule, labels) {
  return rule.preset === 'official_demo'
    ? new Demo(labels) : new Decider(rule, labels);
}

// Logits that give these probabilities; a constant makes no difference.
export function logits(probabilities) {
  return Array.from(
    probabilities, (p) => Math.fround(Math.log(Math.max(p, SMALLEST))));
}

export function softmax(values) {
  const most = Math.max(...values);
  const shares = values.map((value) => Math.exp(value - most));
  const total = shares.reduce((sum, share) => sum + share, 0);
  return shares.map((share) => share / total);
}

function mean(rows) {
  return rows[0].map(
    (_, i) => rows.reduce((sum, row) => sum + row[i], 0) / rows.length);
}

function check(time, last) {
  if (!Number.isFinite(time) || (last !== null && time <= last)) {
    throw new Error(`An answer of ${time} s comes after one of ${last} s.`);
  }
}

function byStart(a, b) {
  return a.start - b.start || a.end - b.end || (a.label < b.label ? -1 : 1);
}

class Decider {
  constructor(rule, labels) {
    this.rule = rule;
    this.labels = labels;
    const own = new Map(Object.entries(rule.thresholds));
    const pairs = labels.map((label) => own.get(label) ?? [rule.on, rule.off]);
    this.on = pairs.map(([on]) => on);
    this.off = pairs.map(([, off]) => off);
    this.mayBe = labels.map((label) => !rule.background.includes(label));
    this.answers = [];  // {time, logits} in the window
    this.open = new Map();  // stretches by class
    this.first = this.last = this.probabilities = null;
    this.label = '';
    this.score = 0;
  }

  add(time, logits) {
    this.smooth(time, logits);
    const ended = this.labels.map((_, i) => {
      const likely = this.mayBe[i] && this.probabilities[i] >= this.off[i];
      return likely || this.open.has(i) ? this.follow(i, time) : null;
    });
    this.show();
    return ended.filter(Boolean).sort(byStart);
  }

  // Ends the stream, with all that is open; the next `add` begins another.
  end(time = this.last) {
    const ended = [];
    for (const [i, stretch] of [...this.open]) {
      let late = this.rule.shift_end;
      if (stretch.end === null) {  // it goes on to the end
        stretch.end = Math.max(time, this.last);
        late = 0;
      }
      ended.push(this.close(i, late));
    }
    this.answers = [];
    this.first = this.last = this.probabilities = null;
    this.show();
    return ended.filter(Boolean).sort(byStart);
  }

  smooth(time, logits) {
    check(time, this.last);
    this.first ??= time;
    this.last = time;
    this.answers.push({time, logits});
    const oldest = time - this.rule.window + ROUNDING;
    while (this.answers.length > 1 && this.answers[0].time <= oldest) {
      this.answers.shift();
    }
    this.probabilities = softmax(mean(this.answers.map(({logits}) => logits)));
  }

  // Goes on with one class; the event of it that has ended now, or null.
  follow(i, time) {
    const rule = this.rule, probability = this.probabilities[i];
    let stretch = this.open.get(i), event = null;
    if (probability >= this.off[i]) {
      if (stretch?.isOver(time, rule.merge_gap)) {
        event = this.close(i, rule.shift_end);
        stretch = undefined;
      }
      if (!stretch) this.open.set(i, stretch = new Stretch(time));
      stretch.goOn(probability, probability >= this.on[i]);
      if (stretch.decided === null && stretch.isEvent(time, rule.min_length)) {
        stretch.decided = time;
      }
    } else if (stretch) {
      stretch.fall(time, probability);
      if (stretch.isOver(time, rule.merge_gap)) {
        event = this.close(i, rule.shift_end);
      }
    }
    return event;
  }

  // Removes an open stretch; the event that it was, or null. Its end is moved
  // back by `late` seconds.
  close(i, late) {
    const stretch = this.open.get(i);
    this.open.delete(i);
    if (!stretch.isEvent(stretch.end, this.rule.min_length)) return null;
    const start = Math.max(this.first, stretch.start - this.rule.shift_start);
    return {
      start,
      end: Math.max(start, stretch.end - late),
      label: this.labels[i],
      score: stretch.total / stretch.count,
      decided: stretch.decided ?? stretch.end,
    };
  }

  show() {
    this.label = '';
    this.score = 0;
    for (const i of [...this.open.keys()].sort((a, b) => a - b)) {
      const decided = this.open.get(i).decided !== null;
      if (decided && this.probabilities[i] > this.score) {
        this.label = this.labels[i];
        this.score = this.probabilities[i];
      }
    }
  }
}

// Time in which a class is likely: it is over when it fell for too long, and an
// event if it was likely enough once, and for long enough.
class Stretch {
  constructor(time) {
    this.start = time;
    this.end = null;  // of the last fall, unless it went on
    this.reached = false;
    this.decided = null;  // since when it is sure to be an event
    this.total = this.count = 0;  // of the probabilities from start to end
    this.gapTotal = this.gapCount = 0;  // of those since the end
  }

  goOn(probability, reached) {
    this.total += this.gapTotal + probability;
    this.count += this.gapCount + 1;
    this.end = null;
    this.gapTotal = this.gapCount = 0;
    this.reached ||= reached;
  }

  fall(time, probability) {
    this.end ??= time;
    this.gapTotal += probability;
    this.gapCount += 1;
  }

  isOver(time, mergeGap) {
    return this.end !== null && time - this.end >= mergeGap - ROUNDING;
  }

  isEvent(time, minLength) {
    return this.reached && time - this.start >= minLength - ROUNDING;
  }
}

// The rule of the official online demo, for its 27 gestures by the alphabet.
const NUM_LOGITS = 12;
const OTHER = 0, NOTHING = 2;  // 'Doing other things', 'No gesture'
const NEVER_SHOWN = [3, 7, 8, 21, 22];  // rolling, turning, pulling the hand

class Demo {
  constructor(labels) {
    this.names = [...labels].sort();
    this.number = labels.map((label) => this.names.indexOf(label));
    this.startAnew();
  }

  startAnew() {
    this.logits = [];
    this.history = [NOTHING, NOTHING];
    this.start = this.last = this.probabilities = null;
    this.total = this.count = 0;
    this.label = '';
    this.score = 0;
  }

  add(time, logits) {
    check(time, this.last);
    const ordered = [];
    this.number.forEach((number, i) => { ordered[number] = logits[i]; });
    this.logits = [...this.logits, ordered].slice(-NUM_LOGITS);
    const average = mean(this.logits);
    const shown = this.choose(average.indexOf(Math.max(...average)));
    const ended = shown !== this.history[1] ? this.close(time) : [];
    this.history = [this.history[1], shown];
    this.last = time;
    const likely = softmax(average);
    this.probabilities = this.number.map((number) => likely[number]);
    this.label = shown === NOTHING ? '' : this.names[shown];
    this.score = shown === NOTHING ? 0 : likely[shown];
    if (shown !== NOTHING) {
      this.start ??= time;
      this.total += this.score;
      this.count += 1;
    }
    return ended;
  }

  // What the demo shows, by what is most probable.
  choose(index) {
    const [before, last] = this.history;
    if (NEVER_SHOWN.includes(index)) index = last;
    if (index === OTHER) index = NOTHING;
    return index !== last && last !== before ? last : index;
  }

  close(time) {
    const {start, total, count, label} = this;
    this.start = null;
    this.total = this.count = 0;
    if (start === null) return [];
    return [{start, end: time, label, score: total / count, decided: start}];
  }

  // Ends the stream; the next `add` begins another.
  end(time = this.last) {
    const ended = this.close(Math.max(time, this.last ?? 0));
    this.startAnew();
    return ended;
  }
}
