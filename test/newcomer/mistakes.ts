/** All mistakes of the newcomer's table. */
import { functionMistakes, missingMistakes, oauth1Mistakes } from './functions.js'
import type { Mistake } from './mistake.js'
import { formatMistakes, optionMistakes } from './options.js'
import { clientOptionMistakes } from './registered-clients.js'
import { requestMistakes } from './requests.js'
import { runningMistakes } from './running.js'

/** What somebody does wrong who makes a server. */
export const deployerMistakes: readonly Mistake[] = [
  ...missingMistakes,
  ...functionMistakes,
  ...optionMistakes,
  ...formatMistakes,
  ...clientOptionMistakes,
  ...oauth1Mistakes,
  ...runningMistakes,
]

/** What somebody does wrong who makes a client. */
export const clientMistakes: readonly Mistake[] = requestMistakes
