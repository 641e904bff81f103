/** Maps and sets of bounded size, for what a server remembers: the entry that was made first is forgotten first. */

/** Sets an entry as the latest. Where there are `most` others, the oldest of them goes. */
export function keepLatest<K, V>(map: Map<K, V>, key: K, value: V, most: number): void {
  makeRoom(map, key, most)
  map.set(key, value)
}

/** The same for a set. */
export function addLatest<K>(set: Set<K>, key: K, most: number): void {
  makeRoom(set, key, most)
  set.add(key)
}

function makeRoom<K>(kept: { readonly size: number; keys(): Iterable<K>; delete(key: K): boolean }, key: K, most: number): void {
  kept.delete(key)
  if (kept.size < most) return
  for (const oldest of kept.keys()) {
    kept.delete(oldest)
    return
  }
}
