/** Copies of objects with members that the original may not have. */

/**
 * A copy with other members. Use it where every request comes by: on Node 20 an object that is spread, and gets a member that it did not have, has a
 * hidden class of its own, which makes each later look at it slow.
 */
export function withMembers<T extends object, M extends object>(original: T, members: M): Omit<T, keyof M> & M {
  return Object.assign({}, original, members)
}
