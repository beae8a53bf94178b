// What an agent sees besides: a search, the timeline with every cause on it, two moments compared, and decisions.

const A_PAGE = 100;
const AT_FIRST = 1000; // so many entries a timeline shows without being asked for more
const ID = /^[A-Za-z0-9][A-Za-z0-9._:-]{0,63}$/;

/** The search; `found(id)` shows a member. */
function searchCard(found) {
  const input = make('input', { type: 'search', id: newId('member'), name: 'member', value: session.member, autocomplete: 'off', spellcheck: 'false', autocapitalize: 'none', maxlength: 64 });
  const wrong = make('p.field-error', { id: newId('wrong'), role: 'alert' });
  const form = make('form.search', { role: 'search', submit: (event) => {
    event.preventDefault();
    const id = input.value.trim();
    const good = ID.test(id) && id !== 'me';
    wrong.textContent = good ? '' : t('search.wrong');
    input.setAttribute('aria-invalid', String(!good));
    if (!good) input.focus();
    else found(id);
  } },
  field(t('search.label'), input), make('button.button.strong', { type: 'submit' }, t('search')), wrong);
  input.setAttribute('aria-describedby', wrong.id);
  return make('section.card.search-card', make('h2.hidden', t('search')), form);
}

/** A member as an agent sees them: the member's own view, the timeline, the decisions. */
function agentView(summary) {
  return make('section.member', { 'aria-label': t('member', { id: summary.member_id }) },
    make('div', make('h2.member-title', t('member', { id: summary.member_id })), asOf(summary)),
    tabbed(t('views'), [
      { label: t('view.member'), panel: () => memberView(summary) },
      { label: t('view.timeline'), panel: () => timelineView(summary) },
      { label: t('view.decisions'), panel: () => decisionsCard(summary.member_id) },
    ], 'views'));
}

// --- the timeline, and two moments of it

function timelineView(summary) {
  const member = summary.member_id;
  const difference = differenceCard(summary);
  const place = make('div');
  const select = make('select', { id: newId('program') },
    Object.entries(summary.programs).map(([id, program]) => make('option', { value: id }, program.title ?? id)));
  select.addEventListener('change', load);

  function load() {
    const program = { id: select.value, ...summary.programs[select.value] };
    difference.choose(program.id);
    fill(place, () => entriesOf(member, program.id), (page) => {
      if (!page.entries.length && !page.cursor) return make('p.empty', t('statement.empty'));
      return timeline(program, member, page, difference);
    }, { lines: 7 });
  }
  load();
  return [card(t('timeline'), make('div.filters', field(t('filter.program'), select)), place), difference.section];
}

/** The latest entries of a program, from as many pages as it takes. */
async function entriesOf(member, program) {
  const found = { entries: [], cursor: undefined };
  do {
    const page = await ask(memberPath(member, 'statement'), { program, limit: A_PAGE, cursor: found.cursor });
    found.entries.push(...page.entries);
    found.cursor = page.cursor;
  } while (found.cursor && found.entries.length < AT_FIRST);
  return found;
}

/** The chart as a slider over the entries, the chosen entry beside it, and the list of all. */
function timeline(program, member, page, difference) {
  let entries = page.entries.toReversed();
  let cursor = page.cursor;
  let chosen = entries.length - 1;
  const shown = make('div.chosen-entry'); // not announced: the slider says the same
  const slider = make('div.slider', { role: 'slider', tabindex: '0', 'aria-label': t('timeline.slider'), 'aria-orientation': 'horizontal', keydown: moved, pointerdown: pointed });
  const figure = make('figure.chart-figure', slider, make('figcaption', t('timeline.how')));
  const list = make('ol.entries.compact', { reversed: true });
  const more = make('div.more');
  let nearestTo = () => 0;
  const redraw = drawn(slider, (width) => {
    const { svg, nearest: near } = timelineSvg(entries, width, chosen);
    nearestTo = near;
    return svg;
  });

  function show(index) {
    chosen = Math.max(0, Math.min(entries.length - 1, index));
    const entry = entries[chosen];
    slider.setAttribute('aria-valuemin', '1');
    slider.setAttribute('aria-valuemax', String(entries.length));
    slider.setAttribute('aria-valuenow', String(chosen + 1));
    slider.setAttribute('aria-valuetext', valueText(program, entry));
    redraw();
    shown.replaceChildren(
      make('p.position', t('timeline.position', { n: number(chosen + 1), all: number(entries.length) })),
      make('ol.entries', entryItem(program, entry, member)),
      make('p.note', `${t('recorded', { at: moment(entry.posted_at, program.time_zone) })}${occurredText(program, entry)}`),
      make('div.pick', button(t('pick.from'), () => difference.pick('from', entry.posted_at), { kind: 'quiet' }),
        button(t('pick.to'), () => difference.pick('to', entry.posted_at), { kind: 'quiet' })));
  }

  function moved(event) {
    const to = {
      ArrowLeft: chosen - 1, ArrowDown: chosen - 1, ArrowRight: chosen + 1, ArrowUp: chosen + 1,
      PageDown: chosen - 10, PageUp: chosen + 10, Home: 0, End: entries.length - 1,
    }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    show(to);
  }

  function pointed(event) {
    show(nearestTo(event.clientX - slider.getBoundingClientRect().left));
  }

  function relist() {
    list.replaceChildren(...entries.toReversed().map((entry) => entryItem(program, entry, member)));
    more.replaceChildren();
    if (cursor) more.append(button(t('more'), older, { kind: 'quiet' }));
  }

  async function older() {
    const many = entries.length;
    more.replaceChildren(skeleton(2));
    try {
      const next = await ask(memberPath(member, 'statement'), { program: program.id, limit: A_PAGE, cursor });
      entries = [...next.entries.toReversed(), ...entries];
      cursor = next.cursor;
      chosen += next.entries.length;
      relist();
      show(chosen);
      announce(t('more.loaded', { count: next.entries.length, n: number(next.entries.length) }));
      focusable(list.children[many] ?? list).focus();
    } catch (error) {
      more.replaceChildren(errorBox(error, older));
    }
  }

  relist();
  if (!entries.length) return [list, more];
  show(chosen);
  return [
    make('div.timeline', figure, shown),
    make('details', make('summary', t('timeline.list')), list, more),
  ];
}

function occurredText(program, entry) {
  const [occurred, posted] = [entry.occurred_at, entry.posted_at].map((at) => moment(at, program.time_zone));
  return occurred === posted ? '' : ` · ${t('occurred', { at: occurred })}`;
}

function valueText(program, entry) {
  const tier = entry.tier_before === entry.tier_after ? tierName(entry.tier_after) : `${tierName(entry.tier_before)} ${t('to')} ${tierName(entry.tier_after)}`;
  const reasons = entry.reasons.map((reason) => reason.text).join('; ');
  return `${moment(entry.posted_at, program.time_zone)}: ${worded('kind', entry.kind)}, ${signed(program, amountOf(entry))}. ${reasons}. ${t('balance', { amount: amountText(program, entry.balance) })}, ${tier}`;
}

/** Two moments of one program: opening, every cause, closing. */
function differenceCard(summary) {
  const member = summary.member_id;
  const place = make('div');
  const select = make('select', { id: newId('program') },
    Object.entries(summary.programs).map(([id, program]) => make('option', { value: id }, program.title ?? id)));
  const inputs = Object.fromEntries(['from', 'to'].map((name) => [name, make('input', { type: 'datetime-local', id: newId(name), name, step: '1' })]));
  const exact = { from: null, to: null }; // what was picked, to the millisecond: the fields show seconds
  const month = new Date(Date.parse(summary.as_of) - 30 * 86400000).toISOString();
  set('from', month);
  set('to', summary.as_of);
  for (const name of ['from', 'to']) inputs[name].addEventListener('input', () => (exact[name] = null));
  const form = make('form.filters', { submit: (event) => (event.preventDefault(), explain()) },
    field(t('filter.program'), select), field(t('difference.from'), inputs.from), field(t('difference.to'), inputs.to),
    make('div.field-buttons', make('button.button.strong', { type: 'submit' }, t('difference.explain'))));
  const section = card(t('difference'), make('p.about', t('difference.about')), form, place);

  function set(name, instant) {
    exact[name] = instant;
    inputs[name].value = instant.slice(0, 19);
  }

  function explain() {
    const program = { id: select.value, ...summary.programs[select.value] };
    const at = (name) => exact[name] ?? (inputs[name].value && `${inputs[name].value.length === 16 ? `${inputs[name].value}:00` : inputs[name].value}Z`);
    const query = { program: program.id, from: at('from'), to: at('to') };
    fill(place, () => ask(memberPath(member, 'explanation'), query), (found) => differenceView(program, member, found), { lines: 5 });
  }

  return {
    section,
    choose: (program) => {
      select.value = program;
      place.replaceChildren();
    },
    pick: (name, instant) => {
      set(name, instant);
      announce(t(`picked.${name}`, { at: moment(instant) }));
      if (name === 'to') inputs.to.focus();
    },
  };
}

function differenceView(program, member, found) {
  const side = (title, at) => make('div.side', make('p.eyebrow', title), make('p.side-tier', tierName(at.tier)),
    make('p.side-amount', amountText(program, amountOf(at))), make('p.note', moment(at.at, program.time_zone)));
  const most = Math.max(...found.causes.map((cause) => Math.abs(Number(amountOf(cause)))), 1);
  return make('div.difference',
    make('p.lead', found.text),
    make('div.sides', side(t('opening'), found.opening), make('span.arrow', { 'aria-hidden': 'true' }, '→'), side(t('closing'), found.closing)),
    found.causes.length ? make('ul.causes', found.causes.map((cause) => causeItem(program, member, cause, most))) : make('p.empty', t('difference.nothing')),
    found.receipts.length > 0 && make('div', make('h3', t('receipts')), found.receipts.map((each) => receiptView(program, each))));
}

function causeItem(program, member, cause, most) {
  const amount = Number(amountOf(cause));
  const rest = (cause.entries_in_all ?? cause.entries.length) - cause.entries.length;
  return make('li.cause',
    make('div.cause-head', make('b', sentence(cause.text ?? causeName(cause))), cause.recorded_later && make('span.badge', t('recorded_later')),
      make('span.cause-amount', signed(program, amountOf(cause)))),
    make('meter.cause-bar', { max: most, value: Math.abs(amount), 'aria-hidden': 'true' }),
    make('details', make('summary', t('entries', { count: cause.entries_in_all ?? cause.entries.length, n: number(cause.entries_in_all ?? cause.entries.length) })),
      make('ol.entries.compact', cause.entries.map((entry) => {
        const item = entryItem(program, entry, member);
        if (entry.recorded_later) item.append(make('p.badge', t('recorded_later')));
        return item;
      })),
      rest > 0 && make('p.note', t('entries.rest', { count: rest, n: number(rest) }))));
}

// --- decisions

function decisionsCard(member) {
  const place = make('div');
  const query = { limit: 20 };
  fill(place, () => ask(memberPath(member, 'decisions'), query), (page) => {
    if (!page.decisions.length && !page.cursor) return make('p.empty', t('decisions.none'));
    const list = make('ol.decisions');
    const more = make('div.more');
    const add = (next) => {
      const items = next.decisions.map(decisionItem);
      list.append(...items);
      more.replaceChildren();
      if (next.cursor) more.append(button(t('more'), () => older(next.cursor), { kind: 'quiet' }));
      return items;
    };
    async function older(cursor) {
      more.replaceChildren(skeleton(2));
      try {
        focusable(add(await ask(memberPath(member, 'decisions'), { ...query, cursor }))[0] ?? list).focus();
      } catch (error) {
        more.replaceChildren(errorBox(error, () => older(cursor)));
      }
    }
    add(page);
    return [list, more];
  }, { lines: 5 });
  return card(t('decisions'), place);
}

const OUTCOMES = { pass: 'check', fail: 'cross', missing: 'clock', not_applicable: 'dash' };

function decisionItem(decision) {
  const facts = [
    [t('decision.tier'), tierName(decision.tier)],
    [t('decision.order'), decision.order_id],
    [t('decision.dispute'), decision.dispute_id],
    [t('decision.request'), decision.request_id],
    [t('decision.payout'), decision.payout && money(decision.payout.amount, decision.payout.currency)],
    [t('decision.queue'), decision.queue && worded('queue', decision.queue)],
    [t('decision.due'), decision.review_due_at && moment(decision.review_due_at)],
  ].filter(([, value]) => value);
  const passed = decision.checks.filter((check) => check.outcome === 'pass').length;
  return make('li.decision',
    make('div.decision-head', make(`span.pill.${decision.decision}`, worded('decision', decision.decision)),
      make('h3', worded('decision.kind', decision.kind)), make('time', { datetime: decision.decided_at }, moment(decision.decided_at))),
    make('dl.facts', facts.map(([name, value]) => fact(name, value))),
    make('details', make('summary', t('checks', { passed: number(passed), all: number(decision.checks.length) })),
      make('ul.checks', decision.checks.map((check) =>
        make(`li.${check.outcome}`, icon(OUTCOMES[check.outcome] ?? 'dash'),
          make('div', make('b', worded('check', check.code)), ' ', make('span.outcome', worded('outcome', check.outcome)),
            make('p', { lang: 'en' }, check.detail)))))));
}
