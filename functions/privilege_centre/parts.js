// What both views are built of: cards that load, the statement, and the dialog that answers "why?".

/** A card with a heading; `loud` gives it the accent. */
function card(title, ...content) {
  const id = newId('card');
  return make('section.card', { 'aria-labelledby': id }, make('h2', { id }, title), content);
}

function button(text, act, { kind = 'plain', ...more } = {}) {
  return make(`button.button.${kind}`, { type: 'button', click: act, ...more }, text);
}

/** The words for an error: what happened, and what can be done. */
function errorText(error) {
  const kind = error instanceof ApiError ? error.kind : 'broken';
  if (!(error instanceof ApiError)) console.error(error);
  return { title: t(`error.${kind}.title`), text: t(`error.${kind}.text`), fields: error.fields ?? [] };
}

/** What is wrong with one parameter, in the page's words where it has them, else in the API's, which are English. */
function faultItem(field) {
  const name = String(field.pointer).split('/').pop();
  const said = known(`fault.${field.code}`);
  return make('li', `${worded('parameter', name)}: `, make('span', { lang: said ? null : 'en' }, said ? t(`fault.${field.code}`) : field.detail));
}

function errorBox(error, again) {
  const { title, text, fields } = errorText(error);
  return make(
    'div.problem',
    { role: 'alert' },
    make('p.problem-title', icon('alert'), title),
    make('p', text),
    fields.length > 0 &&
      make('ul', fields.map(faultItem)),
    again && button(t('again'), again, { kind: 'quiet' }),
  );
}

const skeleton = (lines = 3) =>
  make('div.skeleton', { 'aria-hidden': 'true' }, Array.from({ length: lines }, () => make('span')));

/**
 * Fills `place` with what `load` gives, as `render` shows it; on the way it says that it loads, and an error with a way
 * to try again. A later call for the same place wins over an earlier one.
 */
async function fill(place, load, render, { lines = 3, focus = false, failed = () => {} } = {}) {
  const turn = (place.turn = (place.turn ?? 0) + 1);
  place.setAttribute('aria-busy', 'true');
  place.replaceChildren(skeleton(lines));
  announce(t('loading'));
  let content;
  let good = true;
  try {
    content = render(await load());
  } catch (error) {
    good = false;
    content = errorBox(error, () => fill(place, load, render, { lines, focus: true, failed }));
  }
  if (turn !== place.turn) return;
  place.removeAttribute('aria-busy');
  place.replaceChildren(...[content].flat());
  announce(good ? t('loaded') : '');
  if (!good) failed();
  // Whoever pressed "Try again" pressed a button that is gone now.
  if (focus) (place.querySelector('button, a, input, [tabindex]') ?? focusable(place)).focus();
}

function focusable(element) {
  element.setAttribute('tabindex', '-1');
  return element;
}

/** The amount of a row in its program's measure, as people read it. */
function amountText(program, value, options = {}) {
  if (program.measure === 'spend') return money(value, program.currency, options);
  return t('points', { count: Math.abs(value), n: number(value, options) });
}

const signed = (program, value) =>
  program.measure === 'spend'
    ? money(value, program.currency, { signDisplay: 'exceptZero' })
    : number(value, { signDisplay: 'exceptZero' });

function tierChange(from, to) {
  return make('span.change', make('b', tierName(from)), make('span', { 'aria-hidden': 'true' }, '→'),
    make('span.hidden', ` ${t('to')} `), make('b', tierName(to)));
}

// --- the statement

/** One entry of a statement: what, why, how much, and what it did to the tier. `look` opens its receipt. */
function entryItem(program, entry, member) {
  const amount = Number(amountOf(entry));
  const direction = amount > 0 ? 'up' : amount < 0 ? 'down' : 'still';
  const changed = entry.tier_before !== entry.tier_after;
  return make(
    'li.entry',
    make('div.entry-head',
      make('span.kind', worded('kind', entry.kind)),
      make('time', { datetime: entry.posted_at }, moment(entry.posted_at, program.time_zone, { dateStyle: 'medium' }))),
    make(`p.entry-amount.${direction}`, make('span.hidden', `${t('change')}: `), signed(program, amountOf(entry))),
    make('ul.reasons', entry.reasons.map((reason) => make('li', sentence(reason.text)))),
    make('p.entry-balance', t('balance', { amount: amountText(program, entry.balance) })),
    changed &&
      make('p.entry-tier', tierChange(entry.tier_before, entry.tier_after),
        button(t('why'), () => showReceipt(program, member, entry), {
          kind: 'link',
          'aria-label': `${t('why')} ${tierName(entry.tier_before)} ${t('to')} ${tierName(entry.tier_after)}, ${day(dayOf(entry.posted_at, program.time_zone))}`,
        })),
  );
}

const sentence = (text) => text.charAt(0).toLocaleUpperCase(language) + text.slice(1);

/** The statement with its filters: program and days; older entries come on demand. */
function statementCard(programs, member, chosen) {
  const place = make('div');
  const select = make('select', { name: 'program', id: newId('program') },
    Object.entries(programs).map(([id, program]) => make('option', { value: id, selected: id === chosen }, program.title ?? id)));
  const from = make('input', { type: 'date', name: 'from', id: newId('from') });
  const to = make('input', { type: 'date', name: 'to', id: newId('to') });
  const clear = button(t('filter.clear'), () => {
    from.value = to.value = '';
    load();
  }, { kind: 'quiet' });
  const form = make('form.filters', { submit: (event) => (event.preventDefault(), load()) },
    field(t('filter.program'), select), field(t('filter.from'), from), field(t('filter.to'), to),
    make('div.field-buttons', make('button.button.plain', { type: 'submit' }, t('filter.apply')), clear));
  select.addEventListener('change', load);

  function load() {
    const program = { id: select.value, ...programs[select.value] };
    const query = { program: program.id, from: from.value, to: to.value, limit: 20 };
    fill(place, () => ask(memberPath(member, 'statement'), query), (page) => pages(program, query, page), { lines: 6 });
  }

  function pages(program, query, page) {
    const list = make('ol.entries', { 'aria-label': t('statement') });
    const more = make('div.more');
    const add = (next) => {
      const items = next.entries.map((entry) => entryItem(program, entry, member));
      list.append(...items);
      more.replaceChildren();
      if (next.cursor) more.append(button(t('more'), older, { kind: 'quiet' }));
      return items;
      async function older() {
        more.replaceChildren(skeleton(2));
        announce(t('loading'));
        try {
          const items = add(await ask(memberPath(member, 'statement'), { ...query, cursor: next.cursor }));
          announce(t('more.loaded', { count: items.length, n: number(items.length) }));
          if (items.length) focusable(items[0]).focus();
          else (more.querySelector('button') ?? focusable(list)).focus();
        } catch (error) {
          more.replaceChildren(errorBox(error, older));
        }
      }
    };
    add(page);
    if (!page.entries.length && !page.cursor) return make('p.empty', t('statement.empty'));
    return [list, more];
  }

  const section = card(t('statement'), form, place);
  section.classList.add('statement');
  section.show = (program) => {
    select.value = program;
    load();
  };
  load();
  return section;
}

function field(label, input) {
  return make('div.field', make('label', { for: input.id }, label), input);
}

// --- why?

/** Opens the dialog and gives it to `content` to fill; where the focus was, it returns to when it closes. */
function openDialog(title) {
  const dialog = document.getElementById('dialog');
  const body = make('div.dialog-body');
  const close = make('button.close', { type: 'button', 'aria-label': t('close'), click: () => dialog.close() }, icon('cross'));
  dialog.replaceChildren(make('div.dialog-head', make('h2', { id: 'dialog-title', tabindex: '-1', autofocus: true }, title), close), body);
  dialog.onclick = (event) => {
    if (event.target === dialog) dialog.close();
  };
  dialog.showModal();
  return body;
}

/** The receipt of the tier change that an entry brought. */
function showReceipt(program, member, entry) {
  const body = openDialog(t('receipt.title', { from: tierName(entry.tier_before), to: tierName(entry.tier_after) }));
  const before = new Date(Date.parse(entry.posted_at) - 1).toISOString();
  const load = () => ask(memberPath(member, 'explanation'), { program: program.id, from: before, to: entry.posted_at });
  const find = (found) => found.receipts.filter((each) => !entry.receipt_id || each.receipt_id === entry.receipt_id);
  fill(body, load, (found) => receipts(program, find(found)), { lines: 5 });
}

/** Why the held tier is held: the receipt of the day since which it is. */
function showTierReceipt(program, member, asOf) {
  const body = openDialog(t('receipt.since', { tier: tierName(program.tier), day: day(program.tier_since) }));
  const today = program.tier_since >= dayOf(asOf, program.time_zone);
  const query = { program: program.id, from: program.tier_since, to: today ? undefined : program.tier_since };
  const find = (found) => found.receipts.filter((each) => each.to === program.tier).slice(-1);
  fill(body, () => ask(memberPath(member, 'explanation'), query), (found) => receipts(program, find(found)), { lines: 5 });
}

function receipts(program, found) {
  return found.length ? found.map((each) => receiptView(program, each)) : make('p.empty', t('receipt.none'));
}

/** A receipt: its sentence, then the sum that leads from before to after. */
function receiptView(program, receipt) {
  const sum = [
    [t('receipt.before'), amountText(program, receipt.before), ''],
    ...receipt.causes.map((cause) => [causeName(cause), signed(program, amountOf(cause)), 'cause']),
    [t('receipt.after'), amountText(program, receipt.after), 'total'],
  ];
  return make(
    'article.receipt',
    make('p.lead', receipt.text),
    make('dl.sum', sum.map(([name, value, kind]) => make(kind ? `div.${kind}` : 'div', make('dt', name), make('dd', value)))),
    make('dl.facts',
      fact(t('receipt.on'), day(receipt.on)),
      receipt.threshold && fact(t('receipt.threshold', { tier: tierName(receipt.threshold.tier) }), amountText(program, receipt.threshold.from)),
      receipt.window && fact(t('receipt.window'), `${day(receipt.window.from)} – ${day(receipt.window.to)}`),
      receipt.way_back !== undefined && receipt.way_back !== null && fact(t('receipt.way_back'), amountText(program, receipt.way_back)),
      fact(t('receipt.version'), receipt.program_version)),
    make('details', make('summary', t('receipt.entries')), receipt.causes.map((cause) => receiptEntries(program, cause))),
  );
}

function receiptEntries(program, cause) {
  const row = (entry) => make('li', make('time', { datetime: entry.posted_at }, moment(entry.posted_at, program.time_zone)),
    make('span', t('entry.number', { n: entry.seq })), make('b', signed(program, amountOf(entry))));
  return make('div.receipt-entries', make('h3', causeName(cause)), make('ul', (cause.entries ?? []).map(row)));
}

const causeName = (cause) => worded('cause', cause.kind);

const fact = (name, value) => make('div', make('dt', name), make('dd', value));
