/** Where the stores are, by name, and the built package. */
import * as postgres from './postgres.js'
import * as redis from './redis.js'

const places = { postgres, redis }

export const placeOf = (name) => places[name]

/** A module of the built package. */
export const libraryOf = (path) => import(new URL(`../../dist/${path}.js`, import.meta.url))
