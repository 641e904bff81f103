/** Plays everything in a process of its own, and tells its parent which secrets may not stand in what it printed. */
import { playEverything } from './canary-flows.js'

const { secrets } = await playEverything()
process.send?.([...secrets])
process.disconnect()
