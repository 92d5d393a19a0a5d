import type { XMachinesError } from '../../errors.ts'
import { changedInPlace } from './strict-errors.ts'

type Fields = Record<string | number, unknown>

/**
 * Finds out whether what a step was given is changed in place, and puts it back. The objects are the user's own (a context
 * literal in a config, an input), so they are not frozen: what they hold is remembered instead. What is frozen needs no memory.
 */
export class InPlaceChanges {
  readonly #held: Held[] = []
  readonly #seen = new Set<object>()

  /** Remembers what `value` holds, all the way down. */
  hold(value: unknown, name: string): void {
    this.#hold(value, name, undefined)
  }

  #hold(value: unknown, name: string | number, parent: Held | undefined): void {
    if (typeof value !== 'object' || value === null || this.#seen.has(value) || !isPlain(value)) return
    this.#seen.add(value)
    const held = new Held(value as Fields, name, parent)
    if (!Object.isFrozen(value)) this.#held.push(held)
    const { keys, values } = held
    for (let i = 0; i < values.length; i++) this.#hold(values[i], keys?.[i] ?? i, held)
  }

  /** The first change, as an error that wants to know who made it. */
  first(): ((doing: string | undefined) => XMachinesError) | undefined {
    for (const held of this.#held) {
      const key = held.changed()
      if (key !== undefined) return doing => changedInPlace(doing, held.path(key))
    }
    return undefined
  }

  /** Puts everything back as it was. */
  undo(): void {
    for (const held of this.#held) if (held.changed() !== undefined) held.restore()
  }
}

/** An object that may not change, with what it held. */
class Held {
  /** `undefined` of an array. */
  readonly keys: readonly string[] | undefined
  readonly values: readonly unknown[]
  readonly #object: Fields
  readonly #name: string | number
  readonly #parent: Held | undefined

  constructor(object: Fields, name: string | number, parent: Held | undefined) {
    this.#object = object
    this.#name = name
    this.#parent = parent
    this.keys = Array.isArray(object) ? undefined : Object.keys(object)
    this.values = Array.isArray(object) ? object.slice() : this.keys!.map(key => object[key])
  }

  /** The key of the first change. */
  changed(): string | number | undefined {
    const { keys, values } = this
    const object = this.#object
    if (keys === undefined) {
      const count = Math.max(values.length, object.length as number)
      for (let i = 0; i < count; i++) if (!Object.is(values[i], object[i])) return i
      return count === values.length && count === object.length ? undefined : count
    }
    let index = 0
    for (const key of Object.keys(object)) {
      if (key !== keys[index] || !Object.is(values[index], object[key])) return key
      index++
    }
    return keys[index]
  }

  restore(): void {
    const { keys, values } = this
    const object = this.#object
    if (Array.isArray(object)) object.splice(0, object.length, ...values)
    else {
      for (const key of Object.keys(object)) Reflect.deleteProperty(object, key)
      for (const [i, key] of keys!.entries()) Reflect.set(object, key, values[i])
    }
  }

  path(key: string | number): string {
    const own = this.#parent === undefined ? String(this.#name) : this.#parent.path(this.#name)
    return this.keys === undefined ? `${own}[${key}]` : `${own}.${key}`
  }
}

/** What a state may hold. Everything else is refused elsewhere, or is an actor. */
function isPlain(value: object): boolean {
  if (Array.isArray(value)) return true
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null
}
