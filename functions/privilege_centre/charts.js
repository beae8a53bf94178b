// Charts as SVG, drawn at the width they have, so that their letters keep their size. Each stands beside a text or a
// table that says the same.

const amountOf = (row) => row.points ?? row.spend;

/** Draws into a figure whenever its width changes: `draw(width)` gives the SVG. */
function drawn(figure, draw) {
  let before = 0;
  const redraw = () => {
    const width = Math.floor(figure.clientWidth);
    if (width < 40 || width === before) return;
    before = width;
    figure.querySelector(':scope > svg')?.remove();
    figure.prepend(draw(width));
  };
  new ResizeObserver(redraw).observe(figure);
  return () => {
    before = 0;
    redraw();
  };
}

/** A round number at or above `most`, and the marks up to it. */
function scale(most, least = 0) {
  const span = Math.max(most, 0) - Math.min(least, 0) || 1;
  const rough = span / 3;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((each) => each * power).find((each) => each >= rough);
  const [low, high] = [Math.floor(Math.min(least, 0) / step), Math.ceil(Math.max(most, 0) / step) || 1];
  return Array.from({ length: high - low + 1 }, (_, index) => (low + index) * step);
}

const compact = (value) => number(value, { notation: 'compact', maximumFractionDigits: 1 });

/** The months of an outlook: what expires in each, and where its last day stands. */
function monthsOf(outlook) {
  const months = new Map();
  for (const each of outlook.days) {
    const month = each.date.slice(0, 7);
    const row = months.get(month) ?? { month, expires: 0 };
    row.expires += Number(each.expires);
    row.amount = amountOf(each);
    row.tier = each.tier;
    row.last = each.date;
    months.set(month, row);
  }
  return [...months.values()];
}

/** Runs of days with one tier: [{tier, from, to}], as indexes. */
function runsOf(rows, tierOf) {
  const runs = [];
  rows.forEach((row, index) => {
    const last = runs.at(-1);
    if (last?.tier === tierOf(row)) last.to = index;
    else runs.push({ tier: tierOf(row), from: index, to: index });
  });
  return runs;
}

/** The measure on each coming day above, what expires in each month below, on one line of time. */
function outlookSvg(outlook, width, shown) {
  const days = [outlook.today, ...outlook.days];
  const months = monthsOf(outlook);
  const [left, right, top, upper, gap, lower, base] = [46, 10, 24, 150, 34, 74, 26];
  const height = top + upper + gap + lower + base;
  const x = (index) => left + (index / (days.length - 1)) * (width - left - right);
  const marks = scale(Math.max(...days.map((each) => Number(amountOf(each)))));
  const y = (value) => top + upper - (value / marks.at(-1)) * upper;
  const parts = marks.map((mark) => [
    makeSvg('line.grid', { x1: left, x2: width - right, y1: y(mark), y2: y(mark) }),
    makeSvg('text', { x: left - 8, y: y(mark) + 4, 'text-anchor': 'end' }, compact(mark)),
  ]);
  const steps = days.map((each, index) => `${index ? `H${x(index)}V` : `M${x(0)} `}${y(Number(amountOf(each)))}`).join('');
  parts.push(makeSvg('path.area', { d: `${steps}V${y(0)}H${x(0)}Z` }), makeSvg('path.line', { d: steps }));
  parts.push(makeSvg('circle.here', { cx: x(0), cy: y(Number(amountOf(days[0]))), r: 5 }));
  let taken = 0; // up to here the line of tiers is written on
  for (const run of runsOf(days, (each) => each.tier)) {
    if (run.from) parts.push(makeSvg('line.turn', { x1: x(run.from), x2: x(run.from), y1: top, y2: top + upper }));
    const [at, wide] = [Math.max(x(run.from), taken), 9 * tierName(run.tier).length];
    if (run.from > 0 && at + wide > Math.max(x(run.to), x(run.from) + wide)) continue;
    parts.push(makeSvg('text.tier', { x: at, y: top - 8 }, tierName(run.tier)));
    taken = at + wide + 8;
  }
  parts.push(bars(outlook, months, { x, width, left, right, floor: top + upper + gap + lower, lower, shown }));
  return makeSvg('svg.chart', { viewBox: `0 0 ${width} ${height}`, width, height, 'aria-hidden': 'true', focusable: 'false' }, parts);
}

function bars(outlook, months, at) {
  const most = Math.max(...months.map((row) => row.expires)) || 1;
  const indexOf = new Map(outlook.days.map((each, index) => [each.date, index + 1]));
  const parts = [makeSvg('line.axis', { x1: at.left, x2: at.width - at.right, y1: at.floor, y2: at.floor })];
  let from = 0;
  let lastLabel = -Infinity;
  for (const row of months) {
    const to = indexOf.get(row.last);
    const [start, end] = [at.x(from), at.x(to)];
    from = to;
    const wide = Math.max(3, Math.min(34, end - start - 6));
    const middle = (start + end) / 2;
    if (row.expires > 0) {
      const tall = Math.max(3, (row.expires / most) * (at.lower - 20));
      parts.push(makeSvg('rect.bar', { x: middle - wide / 2, y: at.floor - tall, width: wide, height: tall, rx: Math.min(4, wide / 2) }));
      if (end - start > 40) {
        parts.push(makeSvg('text.value', { x: middle, y: at.floor - tall - 5, 'text-anchor': 'middle' }, compact(row.expires)));
      }
    }
    const label = monthOf(row.month, { month: 'short' });
    if (middle - lastLabel > 44 && end - start > 14) {
      parts.push(makeSvg('text', { x: middle, y: at.floor + 18, 'text-anchor': 'middle' }, label));
      lastLabel = middle;
    }
  }
  parts.push(makeSvg('text.caption', { x: at.left, y: at.floor - at.lower - 10 }, at.shown));
  return parts;
}

/** The measure after each entry, oldest first, with the tier held above it; `chosen` is marked. */
function timelineSvg(entries, width, chosen) {
  const [left, right, top, tall, base] = [50, 14, 30, 190, 26];
  const height = top + tall + base;
  const times = entries.map((entry) => Date.parse(entry.posted_at));
  const span = times.at(-1) - times[0] || 1;
  const x = (index) => left + (entries.length < 2 ? 0.5 : (times[index] - times[0]) / span) * (width - left - right);
  const values = entries.map((entry) => Number(entry.balance));
  const marks = scale(Math.max(...values), Math.min(...values));
  const y = (value) => top + tall - ((value - marks[0]) / (marks.at(-1) - marks[0])) * tall;
  const parts = [];
  const runs = runsOf(entries, (entry) => entry.tier_after);
  runs.forEach((run, index) => {
    const [start, end] = [x(run.from), index + 1 < runs.length ? x(runs[index + 1].from) : width - right];
    parts.push(makeSvg(index % 2 ? 'rect.band.odd' : 'rect.band', { x: start, y: top, width: Math.max(0, end - start), height: tall }));
    if (end - start > 40) parts.push(makeSvg('text.tier', { x: start + 6, y: top - 8 }, tierName(run.tier)));
  });
  for (const mark of marks) {
    parts.push(makeSvg('line.grid', { x1: left, x2: width - right, y1: y(mark), y2: y(mark) }));
    parts.push(makeSvg('text', { x: left - 8, y: y(mark) + 4, 'text-anchor': 'end' }, compact(mark)));
  }
  const steps = values.map((value, index) => (index ? `H${x(index)}V${y(value)}` : `M${x(0)} ${y(value)}`)).join('');
  parts.push(makeSvg('path.line', { d: steps }));
  entries.forEach((entry, index) => {
    const kind = ROSE.has(entry.kind) ? 'up' : FELL.has(entry.kind) ? 'down' : 'still';
    parts.push(makeSvg(`circle.dot.${kind}`, { cx: x(index), cy: y(values[index]), r: entry.tier_before === entry.tier_after ? 3.5 : 5.5 }));
  });
  if (chosen !== null) {
    parts.push(makeSvg('line.cursor', { x1: x(chosen), x2: x(chosen), y1: top, y2: top + tall }));
    parts.push(makeSvg('circle.chosen', { cx: x(chosen), cy: y(values[chosen]), r: 8 }));
  }
  const ends = [[0, 'start'], [entries.length - 1, 'end']].slice(0, entries.length > 1 ? 2 : 1);
  for (const [index, anchor] of ends) {
    parts.push(makeSvg('text', { x: x(index), y: top + tall + 19, 'text-anchor': anchor }, day(entries[index].posted_at.slice(0, 10), { day: 'numeric', month: 'short', year: 'numeric' })));
  }
  const svg = makeSvg('svg.chart', { viewBox: `0 0 ${width} ${height}`, width, height, 'aria-hidden': 'true', focusable: 'false' }, parts);
  return { svg, nearest: (at) => nearest(entries, x, at) };
}

function nearest(entries, x, at) {
  let best = 0;
  for (let index = 1; index < entries.length; index += 1) {
    if (Math.abs(x(index) - at) <= Math.abs(x(best) - at)) best = index;
  }
  return best;
}

const ROSE = new Set(['accrual', 'reinstatement']);
const FELL = new Set(['clawback', 'expiry', 'penalty']);
