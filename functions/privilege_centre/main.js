// What is shown when: no token, a member, an agent, a session that has ended.

const content = document.getElementById('content');

function start() {
  setLanguage(firstLanguage());
  readFragment();
  labels();
  for (const each of document.querySelectorAll('[data-language]')) {
    each.addEventListener('click', () => {
      setLanguage(each.dataset.language);
      labels();
      show();
    });
  }
  window.addEventListener('hashchange', () => {
    readFragment();
    labels();
    show();
  });
  document.querySelector('.skip').addEventListener('click', (event) => {
    event.preventDefault(); // no fragment of the page's own
    content.focus();
  });
  listenToHost(() => {
    labels();
    show();
  });
  if (!session.token) askHost();
  show();
}

/** The words around the content, in the language of now. */
function labels() {
  document.title = t('title');
  for (const each of document.querySelectorAll('[data-text]')) each.textContent = t(each.dataset.text);
  for (const each of document.querySelectorAll('[data-label]')) each.setAttribute('aria-label', t(each.dataset.label));
  for (const each of document.querySelectorAll('[data-language]')) each.setAttribute('aria-pressed', String(each.dataset.language === language));
}

function show() {
  document.getElementById('dialog').close();
  if (!session.token) return showSignedOut('none');
  if (isAgent()) return showAgent();
  return showMember();
}

function showMember() {
  const place = make('div.page');
  content.replaceChildren(make('h1', t('title')), place);
  fill(place, () => ask('members/me'), (summary) => [asOf(summary), memberView(summary)].flat(), { lines: 8 });
}

function showAgent() {
  const place = make('div.page');
  const found = (id) => {
    session.member = id;
    fill(place, () => ask(memberPath(id)), agentView, { lines: 8, focus: false });
  };
  content.replaceChildren(make('h1', t('agent.title')), searchCard(found), place);
  if (session.member) found(session.member);
  else place.append(make('p.empty', t('search.first')));
}

function asOf(summary) {
  return make('p.as-of', t('as_of', { at: moment(summary.as_of, 'UTC', { dateStyle: 'long', timeStyle: 'short' }) }));
}

/** The API took the token no longer: the host is asked for another, and what was shown is gone. */
function signedOut() {
  session.token = null;
  document.getElementById('dialog').close();
  showSignedOut('expired');
  focusable(content.querySelector('h2')).focus(); // what had the focus is gone
  askHost();
}

function showSignedOut(why) {
  content.replaceChildren(make('h1', t('title')), make('section.card.signed-out', { 'aria-labelledby': 'signed-out' },
    make('div.big-icon', icon('key')),
    make('h2', { id: 'signed-out' }, t(`signed_out.${why}.title`)),
    make('p', { role: why === 'expired' ? 'alert' : null }, t(`signed_out.${why}.text`)),
    make('p', isEmbedded ? t('signed_out.embedded') : t('signed_out.alone')),
    make('details', make('summary', t('signed_out.developer')), make('p', t('signed_out.how'))),
    isEmbedded && button(t('signed_out.ask'), askHost, { kind: 'quiet' })));
}

start();
