// What a member sees of themselves; an agent sees the same of a member.

const OUTLOOK_DAYS = 365;

/** The programs of a summary as tabs, each with its panel; below them rewards and the statement. */
function memberView(summary) {
  const member = summary.member_id;
  const ids = Object.keys(summary.programs);
  const statement = statementCard(summary.programs, member, ids[lastChosen.programs ?? 0]);
  let privileges = null; // one answer for all programs; after an error it is asked for again
  const load = {
    privileges: () => (privileges ??= ask(memberPath(member, 'privileges')).catch((error) => {
      privileges = null;
      throw error;
    })),
  };
  const tabs = ids.map((id) => ({
    label: programTab(summary.programs[id]),
    panel: () => programPanel({ id, ...summary.programs[id] }, summary, load),
    chosen: () => statement.show(id),
  }));
  const cases = summary.appeals?.length ? [casesCard(summary.appeals)] : [];
  return [tabbed(t('programs'), tabs, 'programs'), ...cases, rewardsCard(member), statement];
}

function programTab(program) {
  return [
    make('span.tab-title', program.title ?? ''),
    make('b.tab-tier', tierName(program.tier)),
    make('span.tab-amount', amountText(program, amountOf(program))),
  ];
}

const lastChosen = {}; // so that another language, or another member, shows the same tab

/** Tabs as the ARIA practices have them: one stop for Tab, the arrows choose. Panels are made when first shown. */
function tabbed(label, tabs, name) {
  const panels = tabs.map(() => make('div.panel', { role: 'tabpanel', id: newId('panel'), hidden: true }));
  const heads = tabs.map((tab, index) =>
    make('button.tab', { type: 'button', role: 'tab', id: newId('tab'), 'aria-controls': panels[index].id, click: () => choose(index, true) }, tab.label));
  panels.forEach((panel, index) => panel.setAttribute('aria-labelledby', heads[index].id));
  const list = make(`div.tabs.${name}`, { role: 'tablist', 'aria-label': label, keydown: moved }, heads);
  let current = -1;

  function moved(event) {
    const to = { ArrowRight: current + 1, ArrowDown: current + 1, ArrowLeft: current - 1, ArrowUp: current - 1, Home: 0, End: tabs.length - 1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    choose((to + tabs.length) % tabs.length, true);
    heads[current].focus();
  }

  function choose(index, byHand) {
    if (index === current) return;
    current = lastChosen[name] = index;
    heads.forEach((head, at) => {
      head.setAttribute('aria-selected', String(at === index));
      head.tabIndex = at === index ? 0 : -1;
      panels[at].hidden = at !== index;
    });
    if (!panels[index].hasChildNodes()) panels[index].append(...[tabs[index].panel()].flat());
    if (byHand) tabs[index].chosen?.();
  }

  choose(Math.min(lastChosen[name] ?? 0, tabs.length - 1), false);
  return make('div.tabbed', list, panels);
}

function programPanel(program, summary, load) {
  const outlook = () => ask(memberPath(summary.member_id, 'outlook'), { program: program.id, days: OUTLOOK_DAYS });
  const keep = make('div.keep-place', skeleton(2));
  const ahead = make('div');
  fill(ahead, outlook, (found) => {
    keep.replaceChildren(keepBox(program, found.keep));
    return aheadView(program, found);
  }, { lines: 6, failed: () => keep.replaceChildren() });
  const privileges = make('div');
  fill(privileges, load.privileges, (found) => privilegesView(found.privileges.filter((each) => each.program === program.id)), { lines: 3 });
  return [
    make('div.hero-row', levelCard(program, summary), standingCard(program)),
    make('div.hero-row.second', keep, soonCard(program)),
    program.penalties?.length > 0 && penaltiesCard(program),
    program.import_allowance && allowanceCard(program),
    card(t('ahead'), ahead),
    card(t('privileges'), privileges),
  ].filter(Boolean);
}

function levelCard(program, summary) {
  const next = program.next_tier;
  const id = newId('card');
  return make(
    'section.card.hero', { 'aria-labelledby': id },
    make('h2.eyebrow', { id }, program.title ?? t('level')),
    make('div.level',
      make('p.tier-now', make('span.hidden', `${t('level')}: `), tierName(program.tier)),
      make('p.amount-now', make('b', program.measure === 'spend' ? money(amountOf(program), program.currency) : number(amountOf(program))),
        make('span', program.measure === 'spend' ? t('spend.unit') : t('points.unit', { count: amountOf(program) })))),
    next ? progress(program, next) : make('p.top-level', icon('check'), t('top')),
    make('div.since',
      program.tier_since && make('p', t('since', { day: day(program.tier_since) })),
      program.tier_since && button(whyText(program.tier), () => showTierReceipt(program, summary.member_id, summary.as_of), { kind: 'link' })),
  );
}

function progress(program, next) {
  const id = newId('progress');
  const share = next.progress_percent ?? Math.floor((100 * Number(amountOf(program))) / Number(next.from));
  return make('div.progress',
    make('p', { id }, t('next', { amount: amountText(program, next.missing), tier: tierName(next.tier) })),
    make('progress', { max: 100, value: share, 'aria-labelledby': id }),
    make('p.progress-end', t('next.from', { tier: tierName(next.tier), amount: amountText(program, next.from) })));
}

/** What expires within the next weeks, by the summary. */
function soonCard(program) {
  if (!program.expiring.length) return make('section.card.soon', make('h2', icon('clock'), t('soon')), make('p', t('soon.none')));
  const rows = program.expiring.slice(0, 3).map((each) => make('li', t('soon.row', { amount: amountText(program, amountOf(each)), day: day(each.on) })));
  const rest = program.expiring.length - rows.length;
  return make('section.card.soon', make('h2', icon('clock'), t('soon')), make('ul', rows, rest > 0 && make('li', t('soon.rest', { count: rest, n: number(rest) }))));
}

/** What confirmed cases take for a time, when it ends, and how to appeal. */
function penaltiesCard(program) {
  const rows = program.penalties.map((each) => make('li',
    make('p', t('penalties.row', { amount: amountText(program, each.points, { signDisplay: 'never' }), case: each.case_id, day: day(each.ends_on) })),
    each.tier_at_most !== undefined && make('p', t('penalties.cap', { tier: tierName(each.tier_at_most), day: day(each.tier_ends_on) }))));
  return card(t('penalties'), make('ul.changes', rows), make('p.note', t('penalties.appeal')));
}

/** Where the member's latest cases stand. */
function casesCard(appeals) {
  const row = (each) => make('li', make('p', make('b', t('cases.case', { case: each.case_id })), ' ', worded('cases', each.state)));
  return card(t('cases'), make('ul.changes', appeals.map(row)));
}

/** How much of this month's import allowance is used: for information, it limits nothing. */
function allowanceCard(program) {
  const { country, limit, used, currency, month } = program.import_allowance;
  const id = newId('progress');
  const amounts = { used: money(used, currency), limit: money(limit, currency), country };
  return card(t('allowance'), make('div.progress',
    make('p', { id }, t('allowance.used', { ...amounts, month: monthOf(month, { month: 'long', year: 'numeric' }) })),
    make('meter', { max: Number(limit) || 1, value: Number(used), 'aria-labelledby': id })),
  make('p.note', t('allowance.note')));
}

function standingCard(program) {
  const standing = program.standing;
  const title = t('standing');
  if (!standing) return card(title, make('p.empty', t('standing.none')));
  const share = Number(standing.below_percent);
  const section = card(title,
    make('p.standing-share', percent(share)),
    make('p', t('standing.text', { count: standing.members, n: number(standing.members) })),
    make('div.people', { 'aria-hidden': 'true' }, Array.from({ length: 20 }, (_, index) => make(index < Math.round(share / 5) ? 'i.below' : 'i'))),
    make('p.note', t('standing.note')));
  section.classList.add('standing');
  return section;
}

/** Why this tier, or why none. */
const whyText = (tier) => (tier === 'none' ? t('why') : t('why.level', { tier }));

/** What comes of it if nothing is earned. */
function keepElse(keep) {
  const on = day(keep.falls_on);
  return keep.falls_to === 'none' ? t('keep.lost', { day: on, from: keep.tier }) : t('keep.falls', { day: on, tier: keep.falls_to });
}

function keepBox(program, keep) {
  if (!keep) {
    const lowest = t(program.tier_since ? 'keep.none' : 'keep.lowest', { tier: tierName(program.tier) });
    return make('div.keep.calm', icon('check'), make('p', lowest));
  }
  return make('div.keep', icon('alert'), make('div', make('p.keep-text', keep.text),
    make('p', keepElse(keep))));
}

/** The months ahead: a chart, the days on which something changes, and the same as a table. */
function aheadView(program, outlook) {
  const shown = t('ahead.expires');
  const figure = make('figure.chart-figure', make('figcaption', aheadText(program, outlook)));
  drawn(figure, (width) => outlookSvg(outlook, width, shown));
  const months = monthsOf(outlook);
  const changes = outlook.changes;
  const line = (change) => make('li', make('span', change.text), change.tier_before !== change.tier && tierChange(change.tier_before, change.tier));
  const FEW = 4;
  return [
    figure,
    changes.length ? make('ul.changes', changes.slice(0, FEW).map(line)) : make('p.empty', t('ahead.nothing')),
    changes.length > FEW &&
      make('details', make('summary', t('ahead.rest', { count: changes.length - FEW, n: number(changes.length - FEW) })),
        make('ul.changes', changes.slice(FEW).map(line))),
    make('details', make('summary', t('ahead.table')), make('div.scroll', { tabindex: '0', role: 'group', 'aria-label': t('ahead.table') },
      table(t('ahead.caption'), [t('month'), t('expires'), t('ahead.stand'), t('level')],
        months.map((row) => [monthOf(row.month, { month: 'long', year: 'numeric' }), amountText(program, row.expires), amountText(program, row.amount), tierName(row.tier)])))),
  ].filter(Boolean);
}

function aheadText(program, outlook) {
  const last = outlook.days.at(-1);
  return t('ahead.text', {
    now: amountText(program, amountOf(outlook.today)), tier: tierName(outlook.today.tier),
    then: amountText(program, amountOf(last)), last: tierName(last.tier), day: day(last.date),
  });
}

function table(caption, heads, rows) {
  return make('table', make('caption', caption),
    make('thead', make('tr', heads.map((head) => make('th', { scope: 'col' }, head)))),
    make('tbody', rows.map(([first, ...rest]) => make('tr', make('th', { scope: 'row' }, first), rest.map((cell) => make('td', cell))))));
}

function privilegesView(privileges) {
  if (!privileges.length) return make('p.empty', t('privileges.none'));
  return make('ul.privileges', privileges.map((each) => privilegeItem(each)));
}

function privilegeItem(privilege) {
  const off = privilege.switched_off;
  const state = privilege.granted ? t('granted') : off ? t('switched_off') : t('locked', { tier: tierName(privilege.unlocked_by) });
  return make(privilege.granted ? 'li.privilege.granted' : 'li.privilege.locked',
    make('div.privilege-icon', icon(privilege.granted ? 'check' : 'lock')),
    make('div', make('p.state', state), make('h3', privilege.title), make('p', privilege.text),
      (privilege.levels ?? []).length > 1 && make('p.levels', privilege.levels.map((level) => make('span', `${tierName(level.tier)} ${levelText(privilege, level)}`)))));
}

function levelText(privilege, level) {
  return level.limit !== undefined ? money(level.limit, privilege.currency) : level.percent !== undefined ? percent(level.percent) : '';
}

function rewardsCard(member) {
  const place = make('div');
  fill(place, () => ask(memberPath(member, 'rewards')), (found) => rewardsView(found.rewards), { lines: 2 });
  return card(t('rewards'), place);
}

function rewardsView(rewards) {
  if (!rewards.length) return make('div.none-yet', icon('gift'), make('div', make('p.none-title', t('rewards.none')), make('p', t('rewards.none.text'))));
  return make('ul.rewards', rewards.map((each) => make('li', icon('gift'), make('div', make('p.none-title', each.title), make('p', each.text),
    each.valid ? make('p', t('rewards.codes'), each.codes.flatMap((code) => [' ', make('code', code)])) : make('p', t('rewards.over'))))));
}
