import { type AnyFunction, forbid, trapped } from './traps.ts'

const clock = "now() of 'xmachines', the unit's time"
const utc = 'the UTC methods (getUTCHours, toISOString), which read the same in every time zone'
const explicit = 'a locale and a `timeZone` that are named'

/** Methods of a date that answer in the time zone of the place. */
const local = [
  ...['getDate', 'getDay', 'getFullYear', 'getHours', 'getMinutes', 'getMonth', 'getTimezoneOffset', 'getYear'],
  ...['setDate', 'setFullYear', 'setHours', 'setMinutes', 'setMonth', 'setYear'],
  ...['toString', 'toDateString', 'toTimeString'],
]
const localised = ['toLocaleString', 'toLocaleDateString', 'toLocaleTimeString']

/** Whether a text means the same moment in every time zone. */
export function isZoned(text: string): boolean {
  return /^[+-]?\d{4,6}(-\d\d){0,2}$/.test(text) || /(Z|GMT|UTC|[+-]\d\d:?\d\d)\s*$/i.test(text)
}

/** Whether arguments name a locale, and a time zone too. */
export function isPlaced([locale, options]: readonly unknown[]): boolean {
  return isNamed([locale]) && typeof options === 'object' && options !== null && 'timeZone' in options
}

/** Whether arguments name a locale. */
export function isNamed([locale]: readonly unknown[]): boolean {
  return Array.isArray(locale) ? locale.length > 0 : locale !== undefined
}

/** `Date`, as it may be used in a step: the moments that it is given, read in UTC. */
export function datesOfSteps(original: unknown): unknown {
  const real = original as DateConstructor
  const prototype = Object.create(real.prototype as object) as object
  const define = (name: string, make: (method: AnyFunction) => AnyFunction): void => {
    const method: unknown = Reflect.get(real.prototype, name)
    if (typeof method === 'function')
      Object.defineProperty(prototype, name, { value: make(method as AnyFunction), writable: true, configurable: true })
  }
  for (const name of local) define(name, method => trapped(method, `Date.prototype.${name}()`, utc))
  for (const name of localised)
    define(name, method => trapped(method, `Date.prototype.${name}() without locale or time zone`, explicit, isPlaced))

  // Of a faked clock's `Date` too, whose own members are nobody's place.
  const members: Readonly<Record<string | symbol, unknown>> = {
    now: nowOfSteps(real.now),
    parse: parseOfSteps(real.parse),
  }
  const dates: DateConstructor = new Proxy(real, {
    get: (target, member) => (Object.hasOwn(members, member) ? members[member] : Reflect.get(target, member)),
    apply: function apply(target) {
      forbid('Date()', clock, apply)
      return target()
    },
    construct: function construct(target, args: readonly unknown[], newTarget) {
      const [first] = args
      if (args.length === 0) forbid('new Date()', `new Date(now()) with ${clock}`, construct)
      if (args.length > 1) forbid('new Date(year, month, …)', 'new Date(Date.UTC(year, month, …))', construct)
      if (typeof first === 'string' && !isZoned(first))
        forbid(`new Date(${JSON.stringify(first)})`, 'a text with its offset, such as …Z', construct)
      const date = Reflect.construct(target, args, newTarget === dates ? target : newTarget) as object
      return newTarget === dates ? Object.setPrototypeOf(date, prototype) : date
    },
  })
  return dates
}

/** `Date.now`. */
export function nowOfSteps(original: unknown): unknown {
  return trapped(original as AnyFunction, 'Date.now()', clock)
}

/** `Date.parse`. */
export function parseOfSteps(original: unknown): unknown {
  return trapped(
    original as AnyFunction,
    'Date.parse() of a text without offset',
    'a text with its offset, such as …Z',
    ([text]) => isZoned(String(text)),
  )
}
