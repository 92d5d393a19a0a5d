import type { JsonValue } from '../contracts/json.ts'
import type { Creation, TimeMode } from '../contracts/unit.ts'
import { isWellFormed } from '../json/well-formed.ts'

/** What a run is created from. */
export interface RunBeginning {
  /** The machine's commit. */
  readonly machine: string
  readonly namespace: string
  /** With a key, every node derives the same run from the same beginning. Without, every call makes another run. */
  readonly key?: string | undefined
  readonly input?: JsonValue | undefined
  readonly snapshot?: JsonValue | undefined
  readonly fork?: Creation['fork'] | undefined
  readonly time: TimeMode
}

/** The creation of a run: keyed if there is a key, else with a random nonce. */
export function runCreation(beginning: RunBeginning): Creation {
  const { fork, input, key, machine, namespace, snapshot, time } = beginning
  checkName('namespace', namespace)
  if (key !== undefined) checkName('key', key)
  return Object.freeze({
    machine,
    namespace,
    ...(key === undefined ? { nonce: randomNonce() } : { key }),
    ...(input === undefined ? {} : { input }),
    ...(snapshot === undefined ? {} : { snapshot }),
    ...(fork === undefined ? {} : { fork: Object.freeze({ ...fork }) }),
    time,
  })
}

/** 128 random bits in hex. */
export function randomNonce(): string {
  let nonce = ''
  for (const byte of crypto.getRandomValues(new Uint8Array(16))) nonce += byte.toString(16).padStart(2, '0')
  return nonce
}

/**
 * Stores and brokers keep names as UTF-8: what UTF-8 cannot hold would make two names one, and no id can be made of it.
 * @throws TypeError for what is no such text
 */
export function checkName(what: string, name: unknown): void {
  if (typeof name !== 'string') throw new TypeError(`Expected \`${what}\` to be a string, got ${typeof name}`)
  if (!isWellFormed(name)) throw new TypeError(`Expected \`${what}\` to be well-formed Unicode, got a lone surrogate`)
}
