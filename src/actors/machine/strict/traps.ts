import { impure } from './strict-errors.ts'
import { watch, watched } from './watch.ts'

/** Any function, as a trap stands in for it. */
export type AnyFunction = (this: unknown, ...args: never[]) => unknown

/** Says that something was used that no step may use, if one is watched; a trap that was kept for later is what it stands for. */
export function forbid(called: string, instead: string, trap: (...args: never) => unknown): void {
  const watching = watched()
  if (watching === undefined) return
  const error = impure(watching.doing, called, instead, trap)
  // The first is the one to tell of, also where the machine catches it.
  watching.violation ??= error
  throw error
}

/** A function that may not be called in a step; `allowed` says for which arguments it may. */
export function trapped(
  original: AnyFunction,
  called: string,
  instead: string,
  allowed: (args: readonly unknown[]) => boolean = () => false,
): AnyFunction {
  return new Proxy(original, {
    apply: function apply(target, self, args: never[]) {
      if (!allowed(args)) forbid(called, instead, apply)
      return Reflect.apply(target, self, args)
    },
    construct: function construct(target, args: never[], newTarget) {
      if (!allowed(args)) forbid(`new ${called}`, instead, construct)
      return Reflect.construct(target, args, newTarget) as object
    },
  })
}

/** An object of which nothing may be used in a step. */
export function trappedObject(original: object, name: string, instead: (member: string) => string): object {
  return new Proxy(original, {
    get: function get(target, member) {
      if (typeof member === 'string') forbid(`${name}.${member}`, instead(member), get)
      const value: unknown = Reflect.get(target, member, target)
      return typeof value === 'function' ? (value.bind(target) as unknown) : value
    },
  })
}

/** The console: what it does itself, a time that it prints say, is not the machine's. */
export function consoleOfSteps(original: unknown): unknown {
  return new Proxy(original as object, {
    get: (target, member) => {
      const method: unknown = Reflect.get(target, member)
      if (typeof method !== 'function') return method
      return (...args: unknown[]) => watch(undefined, () => Reflect.apply(method, target, args) as unknown)
    },
  })
}
