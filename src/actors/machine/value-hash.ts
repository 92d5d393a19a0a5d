import { type ActorRef, pathOf } from './actor-ref.ts'
import { isActorRef } from './state-json.ts'

/*
 * A 32-bit hash of what a state may hold: JSON, references to actors, and properties that are `undefined`, which count as
 * absent. The order of keys does not count. It finds where two states differ; it is no identity and guards no secret.
 * Its results are stored (see state-hash.ts): a change of anything here is a new version of that format.
 */

const seeds = { null: 0x27d4eb2f, true: 0x165667b1, false: 0x61c88647, other: 0x3c6ef372 } as const
const [ofString, ofNumber, ofArray, ofObject, ofActor] = [0x1b873593, 0x2545f491, 0x52dce729, 0x38495ab5, 0x6c078965]

/** Takes one more word in. */
export function mix(hash: number, word: number): number {
  let next = Math.imul(word, 0xcc9e2d51)
  next = Math.imul((next << 15) | (next >>> 17), 0x1b873593)
  next ^= hash
  return (Math.imul((next << 13) | (next >>> 19), 5) + 0xe6546b64) | 0
}

/** Spreads the last words over all bits. */
function finish(hash: number): number {
  let next = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  next = Math.imul(next ^ (next >>> 13), 0xc2b2ae35)
  return next ^ (next >>> 16)
}

/** The hash of a value. */
export function hashValue(value: unknown): number {
  switch (typeof value) {
    case 'string':
      return hashString(value)
    case 'number':
      return hashNumber(value)
    case 'boolean':
      return value ? seeds.true : seeds.false
    case 'object':
      return value === null ? seeds.null : hashKnown(value)
    default:
      return seeds.other
  }
}

const float = new Float64Array(1)
const words = new Int32Array(float.buffer)

function hashNumber(value: number): number {
  if ((value | 0) === value) return finish(mix(ofNumber, value))
  float[0] = value
  // The same words on every machine: the halves of a float come in the machine's own order.
  const [low, high] = littleEndian ? [words[0]!, words[1]!] : [words[1]!, words[0]!]
  return finish(mix(mix(ofNumber, low), high))
}
float[0] = 1
const littleEndian = words[0] === 0

/** Long strings, and names of properties: they come again and again. */
const strings = new Map<string, number>()
const mostStrings = 4096
const longString = 64

function hashString(text: string): number {
  return text.length < longString ? hashCharacters(text) : remembered(text)
}

function remembered(text: string): number {
  let hash = strings.get(text)
  if (hash === undefined) {
    hash = hashCharacters(text)
    if (strings.size >= mostStrings) strings.clear()
    strings.set(text, hash)
  }
  return hash
}

function hashCharacters(text: string): number {
  let hash: number = ofString
  for (let i = 0; i < text.length; i++) hash = mix(hash, text.charCodeAt(i))
  return finish(mix(hash, text.length))
}

/** Large objects: what an assignment does not touch is the same object in the next state. */
const objects = new WeakMap<object, number>()
const largeObject = 16
let visited = 0

function hashKnown(value: object): number {
  const known = objects.get(value)
  if (known !== undefined) return known
  const before = visited++
  const hash = Array.isArray(value)
    ? hashArray(value)
    : isActorRef(value)
      ? hashPath(value as ActorRef)
      : hashObject(value as Readonly<Record<string, unknown>>)
  if (visited - before >= largeObject) objects.set(value, hash)
  return hash
}

function hashArray(items: readonly unknown[]): number {
  let hash: number = ofArray
  visited += items.length
  for (let i = 0; i < items.length; i++) hash = mix(hash, hashValue(items[i]))
  return finish(mix(hash, items.length))
}

function hashObject(object: Readonly<Record<string, unknown>>): number {
  let sum: number = ofObject
  let count = 0
  for (const key in object) {
    const value = object[key]
    if (value === undefined) continue
    sum = (sum + finish(mix(remembered(key), hashValue(value)))) | 0
    count++
  }
  visited += count
  return finish(mix(sum, count))
}

/** The hash of where an actor stands. */
export function hashPath(ref: ActorRef): number {
  let hash: number = ofActor
  for (const id of pathOf(ref)) hash = mix(hash, hashString(id))
  return finish(hash)
}
