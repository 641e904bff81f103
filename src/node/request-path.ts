/** The path of a URL or request target, without a slash at its end. */
export function pathOf(url: string): string {
  const path = /^[a-z][a-z0-9+.-]*:\/\/[^/?#]*([^?#]*)/i.exec(url)?.[1] ?? url.split('?', 1)[0] ?? ''
  return path === '' || path === '/' ? '/' : path.replace(/\/$/, '')
}
