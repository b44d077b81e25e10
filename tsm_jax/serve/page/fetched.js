// A file of the page, or an Error that says what is wrong with it.
export async function fetched(name, version = '') {
  const url = new URL(name, import.meta.url);
  if (version) url.search = version;  // an older one may be in a cache
  let response;
  try {
    response = await fetch(url, {cache: version ? 'default' : 'no-cache'});
  } catch {
    throw new Error(`${name}, a file of this page, cannot be fetched.`);
  }
  if (!response.ok) {
    throw new Error(
      `${name}, a file of this page, cannot be fetched (${response.status}); ` +
      'is the whole folder on the web space?');
  }
  return response;
}
