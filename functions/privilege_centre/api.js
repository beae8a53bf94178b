// The API, from the same host as the page, and its errors in words.

const PATIENCE_MS = 20000;

class ApiError extends Error {
  /** `kind`: what the page has words for; `fields`: what the API says is wrong with which parameter. */
  constructor(kind, status, fields = []) {
    super(kind);
    this.kind = kind;
    this.status = status;
    this.fields = fields;
  }
}

const KINDS = { 400: 'invalid', 401: 'signed_out', 403: 'forbidden', 404: 'not_found', 429: 'busy', 502: 'busy', 503: 'busy', 504: 'busy' };

/** Asks for a path such as `members/me`, relative to the page. Gives the JSON of the answer. Raises ApiError. */
async function ask(path, query = {}) {
  const given = Object.entries(query).filter(([, value]) => value !== undefined && value !== null && value !== '');
  const search = given.length ? `?${new URLSearchParams(given)}` : '';
  const token = session.token;
  let response;
  try {
    response = await fetch(`${path}${search}`, {
      headers: { accept: 'application/json', 'accept-language': language, authorization: `Bearer ${token}` },
      cache: 'no-store',
      credentials: 'omit',
      redirect: 'error',
      signal: AbortSignal.timeout(PATIENCE_MS),
    });
    if (response.ok) return await response.json();
  } catch (error) {
    throw new ApiError(response ? 'broken' : 'offline', response ? response.status : 0);
  }
  const problem = await response.json().catch(() => ({}));
  const fields = Array.isArray(problem.errors) ? problem.errors : [];
  if (response.status === 401 && token === session.token) signedOut();
  throw new ApiError(KINDS[response.status] ?? 'broken', response.status, fields);
}

const memberPath = (member, part = '') => `members/${encodeURIComponent(member)}${part && `/${part}`}`;
