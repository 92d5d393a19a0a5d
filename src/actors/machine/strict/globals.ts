import { datesOfSteps, isNamed, isPlaced, nowOfSteps, parseOfSteps } from './dates.ts'
import { type Impostor, Place } from './places.ts'
import { type AnyFunction, consoleOfSteps, trapped, trappedObject } from './traps.ts'

const clock = "now() of 'xmachines', the unit's time"
const delay = '`after`, or `raise` and `sendTo` with a `delay`'
const invocation = 'an invocation (`invoke` with fromPromise), whose outcome is recorded'
const locale = 'a locale that is named'

const call =
  (called: string, instead: string, allowed?: (args: readonly unknown[]) => boolean): Impostor =>
  original =>
    trapped(original as AnyFunction, called, instead, allowed)

const object =
  (name: string, instead: (member: string) => string): Impostor =>
  original =>
    trappedObject(original as object, name, instead)

/** `Intl`, whose constructors want their locale named. */
const intl: Impostor = original => {
  const members = Object.getOwnPropertyNames(original).flatMap(name => {
    const member: unknown = Reflect.get(original as object, name)
    if (!/^[A-Z]/.test(name) || name === 'Locale' || typeof member !== 'function') return []
    const [what, instead, allowed] =
      name === 'DateTimeFormat'
        ? (['locale or time zone', 'a locale and a `timeZone` that are named', isPlaced] as const)
        : (['locale', locale, isNamed] as const)
    return [
      [name, { value: trapped(member as AnyFunction, `Intl.${name}() without ${what}`, instead, allowed) }] as const,
    ]
  })
  return Object.create(original as object, Object.fromEntries(members)) as object
}

const chance: Readonly<Record<string, string>> = {
  getRandomValues: "random() of 'xmachines'",
  randomUUID: "uuid() of 'xmachines'",
}

/** What answers otherwise at another time or place, or does something outside of the step. */
function places(): readonly Place[] {
  const world = globalThis as Record<string, unknown>
  const timers = ['setTimeout', 'setInterval', 'setImmediate', 'requestAnimationFrame', 'requestIdleCallback']
  const found = [
    new Place(world, 'Date', datesOfSteps),
    new Place(Date, 'now', nowOfSteps),
    new Place(Date, 'parse', parseOfSteps),
    new Place(Math, 'random', call('Math.random()', "random() of 'xmachines'")),
    new Place(
      world,
      'crypto',
      object('crypto', member => chance[member] ?? invocation),
    ),
    new Place(
      world,
      'performance',
      object('performance', () => clock),
    ),
    ...timers.map(name => new Place(world, name, call(`${name}()`, delay))),
    new Place(world, 'queueMicrotask', call('queueMicrotask()', '`raise`, or an action of your own')),
    new Place(world, 'fetch', call('fetch()', invocation)),
    new Place(world, 'Intl', intl),
    new Place(world, 'console', consoleOfSteps),
    new Place(Number.prototype, 'toLocaleString', call('toLocaleString() without locale', locale, isNamed)),
    new Place(BigInt.prototype, 'toLocaleString', call('toLocaleString() without locale', locale, isNamed)),
    new Place(String.prototype, 'toLocaleLowerCase', call('toLocaleLowerCase() without locale', locale, isNamed)),
    new Place(String.prototype, 'toLocaleUpperCase', call('toLocaleUpperCase() without locale', locale, isNamed)),
    new Place(
      String.prototype,
      'localeCompare',
      call('localeCompare() without locale', locale, ([, ...locales]) => isNamed(locales)),
    ),
  ]
  const { Temporal } = world
  if (typeof Temporal === 'object' && Temporal !== null)
    found.push(
      new Place(
        Temporal,
        'Now',
        object('Temporal.Now', () => clock),
      ),
    )
  return found
}

let all: readonly Place[] | undefined
let depth = 0

/** Runs `body` with the traps set. Outside of it the globals are as they were, also when it throws. */
export function withTraps<T>(body: () => T): T {
  all ??= places()
  try {
    if (depth++ === 0) for (const place of all) place.take()
    return body()
  } finally {
    if (--depth === 0) for (const place of all) place.giveBack()
  }
}
