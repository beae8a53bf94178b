// Who is here: the token, from the fragment or from the host that embeds the page. It lives in this variable and nowhere
// else. What is read out of it here only decides what is shown; the API checks it.

const session = { token: null, sub: '', scopes: [], member: '' }; // member: whom an agent looks at
const HOSTS = document.querySelector('meta[name="club-hosts"]').content.split(' ').filter(Boolean);
const isEmbedded = window.parent !== window;

/** Reads #token=…&member=…&lang=… and removes it from the address at once. Tells whether there was a token. */
function readFragment() {
  const given = new URLSearchParams(location.hash.slice(1));
  if (!given.has('token') && !given.has('member') && !given.has('lang')) return false;
  history.replaceState(null, '', location.pathname + location.search);
  if (given.has('lang')) setLanguage(given.get('lang'));
  return takeToken(given.get('token'), given.get('member'));
}

/** Takes a token; what is none is passed over. */
function takeToken(token, member) {
  const claims = typeof token === 'string' ? claimsOf(token) : null;
  if (!claims) return false;
  const granted = claims.scope ?? claims.scp ?? [];
  const sub = typeof claims.sub === 'string' ? claims.sub : '';
  // The same agent with a fresh token goes on where the old one ended; anybody else starts anew.
  if (typeof member === 'string' || sub !== session.sub) session.member = member ?? '';
  session.token = token;
  session.sub = sub;
  session.scopes = Array.isArray(granted) ? granted.map(String) : String(granted).split(/\s+/).filter(Boolean);
  return true;
}

function claimsOf(token) {
  try {
    const part = token.split('.')[1].replace(/-/g, '+').replace(/_/g, '/');
    const bytes = Uint8Array.from(atob(part), (letter) => letter.charCodeAt(0));
    const claims = JSON.parse(new TextDecoder().decode(bytes));
    return claims && typeof claims === 'object' ? claims : null;
  } catch {
    return null;
  }
}

const isAgent = () => session.scopes.includes('club:support');

/** Asks the page's host for a token: at the start, and again when one has expired. It holds no secret, so anyone may hear it. */
function askHost() {
  if (isEmbedded) window.parent.postMessage({ type: 'club:ready' }, '*');
}

/** Listens to the host; `taken` is called after each token that was accepted. */
function listenToHost(taken) {
  window.addEventListener('message', (event) => {
    const said = event.data;
    if (!isEmbedded || event.source !== window.parent || !HOSTS.includes(event.origin)) return;
    if (!said || typeof said !== 'object' || said.type !== 'club:token') return;
    if (typeof said.language === 'string') setLanguage(said.language);
    if (takeToken(said.token, said.member_id)) taken();
  });
}

function setLanguage(wanted) {
  const found = String(wanted).toLowerCase().split('-')[0];
  if (!TEXTS[found]) return;
  language = found;
  document.documentElement.lang = found;
}

function firstLanguage() {
  for (const wanted of navigator.languages ?? []) {
    if (TEXTS[wanted.toLowerCase().split('-')[0]]) return wanted;
  }
  return 'en';
}
