/**
 * What the application's `authorize` returns: who is logged in, and to how much of the scope they may agree. Checked here, before anybody is asked and again
 * when they have answered, because a wrong one must give no code.
 */
import { jsonCopy, type JsonObject } from '../../json.js'
import { ServerError } from '../../errors.js'
import { didYouMean } from '../../option-checks/did-you-mean.js'
import { kindOf } from '../../option-checks/reader.js'
import { isWithinScope, readScopeList, type Scope } from '../../authorization/scope.js'
import { isSubject, subjectFault } from '../../option-checks/subject.js'

/** Who agreed, and to what. */
export interface AuthorizationDecision {
  readonly subject: string
  /** Default: all that was asked for. */
  readonly scope?: string | Scope
  /** Found again in hooks and in `req.auth.extra`; plain JSON. `auth_time`, `acr` and `amr` become claims of signed tokens. */
  readonly extra?: JsonObject | undefined
}

/** A decision with the scope that it stands for. */
export interface CheckedDecision {
  readonly subject: string
  readonly scope: Scope
  readonly extra: JsonObject | undefined
}

/** Who hears of a decision before it is known to be right. */
export interface Listeners {
  readonly warn: (message: string) => void
  /** Called as soon as the subject is right: somebody is there. */
  readonly named: () => void
}

const memberNames = ['subject', 'scope', 'extra'] satisfies (keyof AuthorizationDecision)[]

/**
 * Reads what `authorize` returned for a request. Undefined: it has answered by itself.
 *
 * @throws ServerError when that is no decision, or one about more than was asked for. The reason says what it was, without the texts in it.
 */
export function readDecision(decided: unknown, shown: { readonly scope: Scope }, { warn, named }: Listeners): CheckedDecision | undefined {
  if (decided === undefined) return undefined
  if (typeof decided !== 'object' || decided === null || Array.isArray(decided))
    throw refuse(decided, 'it must be { subject } of the person who is logged in, or undefined where authorize answers by itself')
  const { subject, scope, extra } = decided as Partial<Record<string, unknown>>
  if (!('subject' in decided)) throw refuse(decided, 'subject is missing; return { subject: String(user.id) }')
  if (!isSubject(subject)) throw refuse(decided, subjectFault(subject))
  named()
  const unread = Object.keys(decided).find((name) => !(memberNames as readonly string[]).includes(name))
  if (unread !== undefined && isName(unread))
    warn(
      `authorize returned the member "${unread}", which is not read${didYouMean(unread, memberNames) || `; there is ${memberNames.join(', ')}`}`,
    )
  return { subject, scope: agreedScope(scope, shown, decided), extra: readExtra(extra, decided) }
}

/** The person may agree to less than was asked for, never to more. */
function agreedScope(scope: unknown, shown: { readonly scope: Scope }, decided: object): Scope {
  if (scope === undefined) return shown.scope
  const agreed = readScopeList(scope)
  if (agreed === undefined) throw refuse(decided, 'scope must be scope tokens, as an array or separated by spaces')
  if (isWithinScope(agreed, shown.scope)) return agreed
  throw refuse(decided, 'scope must be a part of the scope that was asked for; take it from request.scope')
}

function readExtra(extra: unknown, decided: object): JsonObject | undefined {
  if (extra === undefined) return undefined
  try {
    return jsonCopy(extra as JsonObject, 'extra')
  } catch {
    throw refuse(decided, 'extra must be an object of plain JSON')
  }
}

function refuse(decided: unknown, fault: string): ServerError {
  return new ServerError(undefined, { reason: `authorize returned ${described(decided)}: ${fault}` })
}

/** A value of the application, for its developer: numbers as they are, and of texts no more than that they are some. */
function described(value: unknown): string {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return shape(value)
  const members = Object.entries(value).slice(0, 4)
  if (members.length === 0 || !members.every(([name]) => isName(name))) return 'an object'
  return `{ ${members.map(([name, member]) => `${name}: ${shape(member)}`).join(', ')} }`
}

function shape(value: unknown): string {
  if (typeof value === 'string' && value !== '') return 'a text'
  return ['number', 'bigint', 'boolean'].includes(typeof value) ? String(value) : kindOf(value)
}

function isName(name: string): boolean {
  return /^[A-Za-z_]\w{0,31}$/.test(name)
}
