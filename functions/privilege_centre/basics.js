// Words, numbers and elements. Text goes into the page as text, never as markup.

const TEXTS = JSON.parse(document.getElementById('texts').textContent);
const SVG = 'http://www.w3.org/2000/svg';
// The texts of the API write days as "3 February 2027": so does the page. Numbers and money are America's.
const DAYS_AS = { en: 'en-GB', ru: 'ru' };

let language = 'en';

/** The page's own text of a key, with {names} filled in; `count` picks the plural form. */
function t(key, values = {}) {
  let text = TEXTS[language][key];
  if (text === undefined) throw new Error(`no text for ${key}`);
  if (typeof text === 'object') text = text[new Intl.PluralRules(language).select(Number(values.count))] ?? text.other;
  return text.replace(/\{(\w+)\}/g, (_, name) => values[name] ?? '');
}

/** Whether there is a text of that key: what the API may say one day has its code shown instead. */
const known = (key) => TEXTS[language][key] !== undefined;

const worded = (prefix, code) => (known(`${prefix}.${code}`) ? t(`${prefix}.${code}`) : code);

const minus = (text) => text.replace(/^-/, '−');

const number = (value, options) => minus(new Intl.NumberFormat(language, options).format(value));

const percent = (value) => number(value / 100, { style: 'percent', maximumFractionDigits: 1 });

const money = (value, currency, options) =>
  number(value, currency ? { style: 'currency', currency, ...options } : { minimumFractionDigits: 2, ...options });

/** "2027-02-03" as people read it. A day is the club's day, whatever zone the reader is in. */
function day(iso, style = { day: 'numeric', month: 'long', year: 'numeric' }) {
  return new Intl.DateTimeFormat(DAYS_AS[language], { ...style, timeZone: 'UTC' }).format(new Date(`${iso}T00:00:00Z`));
}

const monthOf = (iso, style) => day(`${iso.slice(0, 7)}-01`, style);

/** An instant as people read it, in the club's zone. */
function moment(iso, zone = 'UTC', style = { dateStyle: 'medium', timeStyle: 'short' }) {
  return new Intl.DateTimeFormat(DAYS_AS[language], { ...style, timeZone: zone }).format(new Date(iso));
}

/** The local day of an instant in a zone, as "2027-02-03". */
const dayOf = (iso, zone = 'UTC') =>
  new Intl.DateTimeFormat('sv-SE', { timeZone: zone, year: 'numeric', month: '2-digit', day: '2-digit' }).format(new Date(iso));

const tierName = (code) => (code === 'none' ? t('tier.none') : code);

/** An element: `make('p.note', {lang: 'en'}, 'text', child, …)`. Functions become listeners; null and false are left out. */
function make(what, ...rest) {
  const [name, ...classes] = what.split('.');
  return filled(document.createElement(name), classes, rest);
}

function makeSvg(what, ...rest) {
  const [name, ...classes] = what.split('.');
  return filled(document.createElementNS(SVG, name), classes, rest);
}

function filled(element, classes, rest) {
  if (classes.length) element.setAttribute('class', classes.join(' '));
  for (const each of rest.flat(Infinity)) {
    if (each === null || each === undefined || each === false) continue;
    if (each instanceof Node) element.append(each);
    else if (typeof each === 'object') attributes(element, each);
    else element.append(String(each));
  }
  return element;
}

function attributes(element, values) {
  for (const [name, value] of Object.entries(values)) {
    if (typeof value === 'function') element.addEventListener(name, value);
    else if (value === true) element.setAttribute(name, '');
    else if (value !== null && value !== undefined && value !== false) element.setAttribute(name, value);
  }
}

let lastId = 0;
const newId = (name) => `${name}-${(lastId += 1)}`;

/** Says something to whoever listens to the page instead of looking at it. */
function announce(text) {
  document.getElementById('status').textContent = text;
}

const ICONS = {
  check: 'M5 12.5l4.5 4.5L19 7.5',
  lock: 'M7 11V8a5 5 0 0 1 10 0v3M5.5 11h13v9h-13z',
  clock: 'M12 7v5l3.5 2M12 21a9 9 0 1 1 0-18 9 9 0 0 1 0 18z',
  gift: 'M4 11h16v9H4zM3 7h18v4H3zM12 7v13M12 7S8 7 8 5s3-2 4 2c1-4 4-4 4-2s-4 2-4 2z',
  people: 'M9 11a3.5 3.5 0 1 0 0-7 3.5 3.5 0 0 0 0 7zM2.5 20c0-4 3-6 6.5-6s6.5 2 6.5 6M16 4.5a3.5 3.5 0 0 1 0 6.5M18 14.5c2.2.8 3.5 2.7 3.5 5.5',
  alert: 'M12 4l9 16H3zM12 10v4M12 17v.5',
  key: 'M15.5 13a4.5 4.5 0 1 0-4.3-3.2L4 17v3h3v-2h2v-2h2l1.8-1.8a4.5 4.5 0 0 0 2.7-1.2zM16.5 7.5h.01',
  cross: 'M6 6l12 12M18 6L6 18',
  dots: 'M6 12h.01M12 12h.01M18 12h.01',
  dash: 'M7 12h10',
};

const icon = (name) =>
  makeSvg('svg.icon', { viewBox: '0 0 24 24', 'aria-hidden': 'true', focusable: 'false' }, makeSvg('path', { d: ICONS[name] }));
